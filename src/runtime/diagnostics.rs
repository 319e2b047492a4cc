//! The diagnostics of this process that were not logged yet.

use super::per_process::PerProcess;
use super::queue::Queue;
use crate::model::Diagnostic;

static DIAGNOSTICS: PerProcess<Queue<Diagnostic>> = PerProcess::new();

/// Queues a diagnostic for the log.
pub fn publish(is_warning: bool, text: String) {
    DIAGNOSTICS.get_or_init(Queue::default).push(Diagnostic { is_warning, text });
}

/// Whether there are any of this process.
pub fn are_pending() -> bool {
    DIAGNOSTICS.get().is_some_and(|diagnostics| !diagnostics.is_empty())
}

/// Removes and returns all of this process.
pub fn take() -> Vec<Diagnostic> {
    DIAGNOSTICS.get().map(|diagnostics| diagnostics.take()).unwrap_or_default()
}
