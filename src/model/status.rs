//! The states of a result.

use serde::{Deserialize, Serialize};

/// The four states of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Healthy,
    Degraded,
    Error,
    Skipped,
}

impl Status {
    pub const ALL: [Self; 4] = [Self::Healthy, Self::Degraded, Self::Error, Self::Skipped];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Error => "error",
            Self::Skipped => "skipped",
        }
    }
}
