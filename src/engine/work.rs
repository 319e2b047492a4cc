//! The runs that a sweep takes.

use std::sync::Arc;
use std::time::Duration;

use super::on_drop::OnDrop;
use super::registry::Lead;
use super::runner;
use crate::model::largest_first;
use crate::runtime::Process;
use crate::state::{InFlightRun, RunResult};

/// The runs that a sweep takes. They continue after the caller has stopped waiting, since others may wait for them.
#[must_use = "others may wait for its runs"]
pub struct Work {
    /// `None` where the engine's threads cannot be started: there is nothing to run then.
    pub(super) process: Option<Arc<Process>>,
    /// With how long the last run took.
    pub(super) leads: Vec<(Duration, Lead)>,
    pub(super) joined: Vec<InFlightRun>,
}

impl Work {
    pub(super) fn new(process: Option<Arc<Process>>) -> Self {
        Self { process, leads: Vec::new(), joined: Vec::new() }
    }

    /// Whether there is nothing to run or to wait for.
    pub fn is_none(&self) -> bool {
        self.leads.is_empty() && self.joined.is_empty()
    }

    /// Starts it: each run is a task of its own, so that none can hold up another. `done` is called when all have ended,
    /// from any thread.
    pub fn start(self, done: impl FnOnce() + Send + Sync + 'static) {
        self.start_runs(Arc::new(OnDrop::new(done)));
    }

    fn start_runs(self, done: Arc<OnDrop>) {
        let Self { process, mut leads, joined } = self;
        let Some(process) = process else { return };
        // The longest first: it is what the sweep waits for.
        largest_first(&mut leads, |(duration, _)| duration.as_millis() as u64);
        if !leads.is_empty() {
            let leads = leads.into_iter().map(|(_, lead)| lead).collect();
            runner::start(leads, process.clone(), Some(done.clone()));
        }
        for run in joined {
            let done = done.clone();
            process.spawn(async move {
                let _: RunResult = run.wait().await;
                drop(done);
            });
        }
    }
}
