//! The diagnostics of this process that were not logged yet.

use super::per_process::PerProcess;
use super::queue::Queue;
use crate::model::Diagnostic;

static DIAGNOSTICS: PerProcess<Queue<Diagnostic>> = PerProcess::new();

/// The logger of the engine itself.
pub const ENGINE: &str = "lifesigns";
/// The logger of the probe servers.
const PROBE_SERVER: &str = "lifesigns.probe_server";

/// Queues a diagnostic of the engine for the log.
pub fn publish(is_warning: bool, text: String) {
    publish_to(ENGINE, is_warning, text);
}

/// Queues a diagnostic for a logger.
pub fn publish_to(logger: &'static str, is_warning: bool, text: String) {
    push(Diagnostic { is_warning, logger, text, address: None });
}

/// Queues a diagnostic of the probe server at an address.
pub fn publish_of_server(address: String, is_warning: bool, text: String) {
    push(Diagnostic { is_warning, logger: PROBE_SERVER, text, address: Some(address) });
}

fn push(diagnostic: Diagnostic) {
    DIAGNOSTICS.get_or_init(Queue::default).push(diagnostic);
}

/// Whether there are any of this process.
pub fn are_pending() -> bool {
    DIAGNOSTICS.get().is_some_and(|diagnostics| !diagnostics.is_empty())
}

/// Removes and returns all of this process.
pub fn take() -> Vec<Diagnostic> {
    DIAGNOSTICS.get().map(|diagnostics| diagnostics.take()).unwrap_or_default()
}
