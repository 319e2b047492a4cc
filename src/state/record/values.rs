//! What is requested of a record, what a run hands to it, and what it returns.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::model::{CircuitMode, EventKind, LastError, Outcome, Status, Transition};
use crate::policy::breaker::{CallResult, Refused};

/// Which outcome a caller accepts.
#[derive(Clone, Copy, Debug)]
pub enum Wanted {
    NotOlderThan(Duration),
    /// That of a run which ended after the record had counted so many.
    SettledAfter(u64),
}

/// How a request for the lease ends.
#[derive(Debug)]
pub enum Acquired {
    /// An outcome that is acceptable is there.
    Answered(Arc<Outcome>),
    /// Another owner runs the check.
    Held,
    /// The breaker does not allow a run.
    Refused(Refused),
    /// The caller has to run it.
    Leader(Option<Transition>),
}

/// What an operator does to a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    ForceOpen,
    ForceClosed,
    Disable,
    Reset,
}

impl From<CircuitMode> for Operation {
    /// The operation that leads to a mode.
    fn from(mode: CircuitMode) -> Self {
        match mode {
            CircuitMode::ForcedOpen => Self::ForceOpen,
            CircuitMode::ForcedClosed => Self::ForceClosed,
            CircuitMode::Disabled => Self::Disable,
            CircuitMode::Automatic => Self::Reset,
        }
    }
}

/// One run of a check, as it was found.
#[derive(Clone, Debug)]
pub struct Run {
    pub outcome: Outcome,
    /// What it means for the breaker.
    pub call_result: CallResult,
    /// The first one of its process.
    pub first: bool,
}

/// What a run came to once the policies have judged it.
#[derive(Debug)]
pub struct Settled {
    pub outcome: Arc<Outcome>,
    /// What it changed.
    pub transition: Option<Transition>,
    pub status_change: Option<StatusChange>,
}

/// A status was left for another.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusChange {
    pub from: Option<Status>,
    pub since: Option<SystemTime>,
    pub sequence: u64,
}

impl StatusChange {
    /// As an event about `check`, whose new outcome is `outcome`.
    pub fn event(self, check: Arc<str>, outcome: &Outcome) -> EventKind {
        EventKind::Status {
            check,
            from: self.from,
            to: outcome.status,
            raw: outcome.raw_status.unwrap_or(outcome.status),
            since: self.since,
            message: outcome.message.clone(),
            error_type: outcome.error_type.clone(),
        }
    }
}

/// When the status shown was taken, how often it has changed, and the last error.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StatusHistory {
    pub since: Option<SystemTime>,
    pub sequence: u64,
    pub last_error: Option<LastError>,
}
