//! A check written in Python, run on a thread of Python's own.

use std::time::Duration;

use async_trait::async_trait;

use crate::checks::Check;
use crate::model::{CheckError, Finding, NotRun, Phase};
use crate::runtime::{Context, Process};

/// The callable that Python knows by `id`.
pub struct CallableCheck {
    pub id: u64,
    pub timeout: Duration,
}

#[async_trait]
impl Check for CallableCheck {
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        // Only a call that a thread has taken has got anywhere.
        let on_start = || context.enter(Phase::Function);
        context.process.callables.call_observed(self.id, self.timeout, on_start).await
    }

    fn obstacle(&self, process: &Process) -> Option<NotRun> {
        if !process.callables.is_available() {
            // A process that cannot run Python finds out nothing, and must not keep others from it.
            return Some(NotRun::Observer);
        }
        let seconds = process.callables.running_for(self.id)?.as_secs();
        Some(NotRun::StillRunning { seconds })
    }

    fn needs_python(&self) -> bool {
        true
    }

    fn errors_trip_breaker(&self) -> bool {
        true
    }
}
