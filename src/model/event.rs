//! What happened beside the results: state changes, each reported once per scope, and diagnostics of the engine itself.

use std::sync::Arc;
use std::time::SystemTime;

use super::circuit::Transition;
use super::incident::Severity;
use super::status::Status;

/// One change of state.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Counts the changes of this check, or of readiness, in the whole scope.
    pub sequence: u64,
    pub at: SystemTime,
    pub kind: EventKind,
}

/// What changed.
#[derive(Clone, Debug, PartialEq)]
pub enum EventKind {
    /// The status of a check.
    Status {
        check: Arc<str>,
        /// `None`: it had not run before.
        from: Option<Status>,
        to: Status,
        /// What the run itself found.
        raw: Status,
        /// When it took the status that it has left.
        since: Option<SystemTime>,
        message: String,
        error_type: Option<String>,
    },
    /// The state of a circuit breaker.
    Breaker { check: Arc<str>, transition: Transition },
    /// Whether every critical check passes.
    Readiness { ready: bool, failing: Vec<Arc<str>>, since: Option<SystemTime> },
    /// An incident, or the delivery of one of its notices.
    Incident(IncidentEvent),
    /// This process is about to end.
    Draining,
}

/// What happened to an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentEvent {
    pub check: String,
    pub incident: String,
    /// `triggered`, `acknowledged`, `resolved`, or `delivery_` and `refused`, `failing`, `given_up`, `recovered`.
    pub change: &'static str,
    pub state: &'static str,
    pub severity: Severity,
    /// The last error or how it ended; of a delivery the last answer.
    pub message: String,
    pub since: SystemTime,
    /// Of a delivery.
    pub channel: Option<String>,
}

/// Something that an operator should know of, though it is about no check. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub is_warning: bool,
    /// The name of the logger that it goes to.
    pub logger: &'static str,
    pub text: String,
    /// Of the probe server that it is about.
    pub address: Option<String>,
}
