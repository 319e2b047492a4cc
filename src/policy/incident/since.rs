//! Since when something is so.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::model::clock;

/// By the time since boot, and for texts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Since {
    #[serde(with = "clock::nanos")]
    pub boot: u64,
    pub wall: SystemTime,
}
