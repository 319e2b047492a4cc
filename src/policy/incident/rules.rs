//! What a subject of alerts is judged by: when it fires, and what was observed of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::since::Since;
use crate::model::{AlertOptions, Instances, Severity, Status};
use crate::policy::run_history::RunHistory;

/// When a subject fires and resolves.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// False: this process neither opens nor ends an incident of it.
    pub enabled: bool,
    /// Failures in a row after which it fires, and successes in a row after which it resolves.
    pub failures: u32,
    pub successes: u32,
    /// How long it fails before it fires, however few the failures; zero: only their number counts.
    pub seconds: Duration,
    /// Between two reminders; zero: none.
    pub reminder: Duration,
    pub severity: Option<Severity>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            enabled: true,
            failures: 3,
            successes: 2,
            seconds: Duration::ZERO,
            reminder: Duration::from_secs(4 * 3_600),
            severity: None,
        }
    }
}

impl Rules {
    /// The rules of a check that differs from all others in `options`.
    #[must_use]
    pub fn of(&self, options: &AlertOptions) -> Self {
        Self {
            enabled: options.enabled.unwrap_or(self.enabled),
            failures: options.failures.unwrap_or(self.failures),
            successes: options.successes.unwrap_or(self.successes),
            seconds: options.seconds.unwrap_or(self.seconds),
            reminder: options.reminder.unwrap_or(self.reminder),
            severity: options.severity.or(self.severity),
        }
    }

    /// The fewest runs in which an incident opens and is over. How many pass in `seconds` is not known: not more than
    /// usual.
    pub fn cycle(&self) -> u32 {
        let failures = if self.seconds.is_zero() { self.failures } else { self.failures.min(Self::default().failures) };
        failures + self.successes
    }
}

/// How urgent a bad status of a check is.
pub fn severity_of(status: Status, critical: bool) -> Severity {
    match status {
        Status::Error if critical => Severity::Critical,
        Status::Error => Severity::Error,
        _ => Severity::Warning,
    }
}

/// Whether a status is bad; `None`: it says nothing.
pub fn is_bad(status: Status) -> Option<bool> {
    match status {
        Status::Healthy => Some(false),
        Status::Degraded | Status::Error => Some(true),
        Status::Skipped => None,
    }
}

/// What is known of a subject at one moment.
#[derive(Clone, Debug)]
pub struct Observed {
    pub evidence: Evidence,
    /// What it shows now.
    pub status: Status,
    pub message: String,
    /// The text of its last error, for an incident that fires though it is well again.
    pub last_error: String,
    /// The subjects that wait for it.
    pub blocks: Vec<String>,
    pub instances: Instances,
    /// The silence or the maintenance in which it is, in words.
    pub suppressed: Option<String>,
}

/// By what it is judged.
#[derive(Clone, Debug)]
pub enum Evidence {
    /// The runs of a check.
    Runs(ObservedRuns),
    /// A state that lasts, as one process sees it. It is over once it was not bad for `calm`.
    Level { is_bad: bool, severity: Severity, calm: Duration },
    /// What the instances of a fleet say, each by its own counts.
    Fleet(ObservedFleet),
    /// Nothing is known of it now.
    Unknown,
}

/// On which of the instances of a fleet a subject has failed for as long as its rules want.
#[derive(Clone, Debug)]
pub struct ObservedFleet {
    /// The highest severity on any; `None`: it fails on none.
    pub failing: Option<Severity>,
    /// Since when it has failed on the first of them.
    pub since: Option<Since>,
    /// Whether it flaps on any.
    pub is_flapping: bool,
}

/// The runs of a check, by their numbers in its record.
#[derive(Clone, Debug)]
pub struct ObservedRuns {
    pub history: RunHistory,
    /// The number of the latest.
    pub last: u64,
    /// A run older than that says nothing.
    pub stale_after: Duration,
    /// Whether what it shows stands though its last run is old: its breaker refuses another.
    pub holds: bool,
    /// A parent has failed: its own runs say nothing.
    pub is_blocked: bool,
    pub critical: bool,
}

/// Which runs of a record were counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CountedRuns {
    pub record: u64,
    pub last: u64,
}
