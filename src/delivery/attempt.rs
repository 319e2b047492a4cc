//! One attempt to deliver one notice, within its time.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::timeout_at;

use super::alerts::Alerts;
use super::{Attempt, Channel};
use crate::model::Notice;
use crate::runtime::{Context, Process};

impl Alerts {
    /// Attempts to deliver a notice over a channel, beside all outboxes; `None` if there is no such channel. Blocks for
    /// one attempt at most.
    pub fn attempt(&self, channel: &str, notice: &Notice, reference: Option<&str>) -> io::Result<Option<Attempt>> {
        let Some(channel) = self.settings.channel(channel) else { return Ok(None) };
        let process = Process::current()?;
        let sending = attempt(&**channel, notice, reference, self.settings.timeout, process.clone());
        Ok(Some(process.runtime.block_on(sending)))
    }
}

/// One attempt within its time, whatever the channel does.
pub async fn attempt(
    channel: &dyn Channel,
    notice: &Notice,
    reference: Option<&str>,
    timeout: Duration,
    process: Arc<Process>,
) -> Attempt {
    let context = Context::new(process, timeout);
    let sending = AssertUnwindSafe(channel.send(&context, notice, reference)).catch_unwind();
    let lost = |answer: String| Attempt::Failed { answer, retry_after: None, may_have_arrived: true };
    match timeout_at(context.deadline(), sending).await {
        Ok(Ok(attempt)) => attempt,
        Ok(Err(_panic)) => lost("InternalError: the channel failed, which is a bug".to_owned()),
        Err(_elapsed) => lost(format!("TimeoutError after {} s", timeout.as_secs_f64())),
    }
}
