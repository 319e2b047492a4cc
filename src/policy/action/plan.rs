//! What is configured of one action, as far as it decides when the action runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Status;

/// The most starts in an hour that may be configured.
pub const MAX_PER_HOUR: u32 = 60;
/// The longest pause between two runs of an action that has just run.
const MAX_PAUSE: Duration = Duration::from_secs(3_600);

/// From which status on a run counts as a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Threshold {
    Degraded,
    Error,
}

impl Threshold {
    /// Whether a status is a failure; `None`: it says nothing.
    pub fn is_bad(self, status: Status) -> Option<bool> {
        match status {
            Status::Healthy => Some(false),
            Status::Degraded => Some(self == Self::Degraded),
            Status::Error => Some(true),
            Status::Skipped => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Degraded => "degraded",
            Self::Error => "error",
        }
    }
}

/// What an action is due by.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    pub check: String,
    pub status: Threshold,
    /// Failures in a row, and how long ago the first of them was: both are required.
    pub runs: u32,
    pub seconds: Duration,
}

/// When an action runs, and when not.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionPlan {
    pub name: String,
    /// What it does, such as `warm_cache`.
    pub kind: String,
    /// `None`: only as a rung of another one's ladder, or when a person runs it.
    pub trigger: Option<Trigger>,
    pub per_hour: u32,
    pub per_incident: u32,
    /// The pause after the first run of an hour; each further one doubles it.
    pub cooldown: Duration,
    /// How long the check has to turn.
    pub verify: Duration,
    /// How long a run may take.
    pub timeout: Duration,
    /// The action that follows if this one has not helped.
    pub then: Option<String>,
    /// That one is shared by other processes than this one is.
    pub then_elsewhere: bool,
    pub dry_run: bool,
    /// The process that runs it ends by that: its death completes the run.
    pub ends_process: bool,
}

impl ActionPlan {
    /// The pause after the latest of so many runs within an hour.
    pub fn pause(&self, runs: usize) -> Duration {
        let doubled = u32::try_from(runs.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
        self.cooldown.saturating_mul(1 << doubled).min(MAX_PAUSE.max(self.cooldown))
    }
}
