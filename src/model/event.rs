//! What happened beside the results: state changes, and diagnostics of the engine itself.

use std::sync::Arc;
use std::time::SystemTime;

use super::circuit::Transition;

/// A circuit breaker has changed its state.
#[derive(Clone, Debug)]
pub struct Event {
    pub check: Arc<str>,
    pub transition: Transition,
    pub at: SystemTime,
}

/// Something that an operator should know of, though it is about no check. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub is_warning: bool,
    pub text: String,
}
