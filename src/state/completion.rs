//! The duty to complete a run that callers in this process wait for.

use std::sync::Arc;

use super::check_state::CheckState;
use super::in_flight::{InFlightRun, RunResult};
use super::record::Wanted;
use crate::model::NotRun;

/// The duty to complete a run that callers in this process wait for. Dropped without a result, it completes as a fault
/// of this process.
pub struct Completion {
    state: Arc<CheckState>,
    run: InFlightRun,
    wanted: Wanted,
    /// How many outcomes there were at the request.
    after: u64,
}

impl Completion {
    pub fn new(state: Arc<CheckState>, run: InFlightRun, wanted: Wanted, after: u64) -> Self {
        Self { state, run, wanted, after }
    }

    pub fn state(&self) -> &Arc<CheckState> {
        &self.state
    }

    pub fn run(&self) -> &InFlightRun {
        &self.run
    }

    /// Which outcome of another process is acceptable: at the request, and while waiting for one.
    pub fn wanted(&self) -> (Wanted, Wanted) {
        (self.wanted, Wanted::SettledAfter(self.after))
    }

    /// Wakes all callers that wait in this process.
    pub fn complete(self, result: RunResult) {
        self.end(result);
    }

    fn end(&self, result: RunResult) {
        self.state.forget(&self.run);
        self.run.complete(result);
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        // Does nothing after a result.
        self.end(Err(NotRun::Observer));
    }
}
