//! A check written in Python, run on a thread of Python's own.

use std::time::Duration;

use async_trait::async_trait;

use crate::checks::Check;
use crate::model::{CheckError, Finding, Phase};
use crate::runtime::Context;

/// The callable that Python knows by `id`.
pub struct Callable {
    pub id: u64,
    pub timeout: Duration,
}

#[async_trait]
impl Check for Callable {
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        // Only a call that a thread has taken has got anywhere.
        let on_start = || context.enter(Phase::Query);
        context.process.callables.call_observed(self.id, self.timeout, on_start).await
    }

    fn needs_python(&self) -> bool {
        true
    }

    fn errors_trip_breaker(&self) -> bool {
        true
    }
}
