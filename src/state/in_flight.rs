//! The run of a check, watched by all who wait for it.

use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

use crate::model::Outcome;

/// The run of a check that is under way or has just ended.
#[derive(Clone, Debug, Default)]
pub struct InFlightRun(Arc<Run>);

#[derive(Debug, Default)]
struct Run {
    outcome: OnceLock<Arc<Outcome>>,
    ended: Notify,
}

impl InFlightRun {
    /// The outcome, if the run has ended.
    pub fn landed(&self) -> Option<&Arc<Outcome>> {
        self.0.outcome.get()
    }

    /// The outcome, once the run has ended.
    pub async fn wait(&self) -> Arc<Outcome> {
        loop {
            // Before the look at the outcome: it hears of an end from now on, not only once it is polled.
            let ended = self.0.ended.notified();
            if let Some(outcome) = self.landed() {
                return outcome.clone();
            }
            ended.await;
        }
    }

    /// Tells all who wait. Only the first outcome counts.
    pub(super) fn land(&self, outcome: Arc<Outcome>) {
        if self.0.outcome.set(outcome).is_ok() {
            self.0.ended.notify_waiters();
        }
    }
}
