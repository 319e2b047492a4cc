//! The run of a check that is under way in this process, watched by all callers that wait for it.

use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::model::{NotRun, Outcome};
use crate::runtime::Context;

/// What a request for a run came to.
pub type RunResult = Result<Arc<Outcome>, NotRun>;

/// A run that is under way or has just ended.
#[derive(Clone)]
pub struct InFlightRun(Arc<Watched>);

struct Watched {
    requested: Instant,
    progress: OnceLock<(Instant, Arc<Context>)>,
    result: OnceLock<RunResult>,
    ended: Notify,
}

impl InFlightRun {
    /// A run that was requested at this moment.
    pub fn new(requested: Instant) -> Self {
        let (progress, result, ended) = Default::default();
        Self(Arc::new(Watched { requested, progress, result, ended }))
    }

    /// When the first caller requested it.
    pub fn requested(&self) -> Instant {
        self.0.requested
    }

    /// The result, if the run has ended.
    pub fn result(&self) -> Option<&RunResult> {
        self.0.result.get()
    }

    /// Waits for the result.
    pub async fn wait(&self) -> RunResult {
        loop {
            // Made before the result is read: a run that ends in between wakes it all the same.
            let ended = self.0.ended.notified();
            if let Some(result) = self.result() {
                return result.clone();
            }
            ended.await;
        }
    }

    /// When this process started the check itself, and what it has been doing since; `None` while it waits for parents
    /// or for another process.
    pub fn progress(&self) -> Option<&(Instant, Arc<Context>)> {
        self.0.progress.get()
    }

    /// Records that the check itself starts.
    pub fn start(&self, context: Arc<Context>) {
        let _ = self.0.progress.set((Instant::now(), context));
    }

    /// Wakes all callers that wait. Only the first result counts.
    pub(super) fn complete(&self, result: RunResult) {
        if self.0.result.set(result).is_ok() {
            self.0.ended.notify_waiters();
        }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
