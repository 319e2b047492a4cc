//! The failures of task queues that keep them in Redis.

use async_trait::async_trait;
use serde::Deserialize;

use super::depths::FailedCount;
use super::discovery::Discovery;
use super::{QueueLayout, Queues, dramatiq, now, rq, with_not_measured};
use crate::checks::Check;
use crate::checks::fields::counted;
use crate::checks::redis::RedisServerOptions;
use crate::checks::redis::link::{Link, on_first};
use crate::checks::thresholds::Thresholds;
use crate::model::{CheckError, Finding, SpecError};
use crate::runtime::Context;

/// Failures (5, 20) within `window_minutes` (60) of a task queue that keeps them in Redis: RQ's registries of failed jobs
/// (of which at most 200 of a queue are looked at), dramatiq's dead letters.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisFailedTasksCheck {
    pub server: RedisServerOptions,
    /// Used in this order while `server` is unreachable, as by clients with several URLs.
    #[serde(default)]
    pub alternatives: Vec<RedisServerOptions>,
    /// "rq" or "dramatiq".
    pub layout: QueueLayout,
    /// Names of queues, at most 500.
    #[serde(default)]
    pub queues: Vec<String>,
    /// Also queues that are found in Redis.
    #[serde(default)]
    pub discover: bool,
    /// What all keys begin with: RQ's `RQ_KEY_PREFIX` ("rq"), dramatiq's namespace ("dramatiq").
    #[serde(default)]
    pub prefix: Option<String>,
    #[serde(default = "failure_window")]
    pub window_minutes: u32,
    #[serde(default = "failure_thresholds")]
    pub thresholds: Thresholds,
}

impl RedisFailedTasksCheck {
    fn names(&self) -> Queues<'_> {
        Queues::new(self.layout, self.prefix.as_deref(), &self.queues, self.discover)
    }

    async fn measure(&self, context: &Context, server: &RedisServerOptions) -> Result<FailedCount, CheckError> {
        let link = Link::open(context, server).await?;
        let queues = self.names();
        let discovery = Discovery::new(context, server, &queues, &link, "failed");
        let since = now() - f64::from(self.window_minutes) * 60.0;
        match self.layout {
            QueueLayout::Rq => rq::failed(&link, &queues, &discovery, since).await,
            _ => dramatiq::failed(&link, &queues, &discovery, since).await,
        }
    }
}

#[async_trait]
impl Check for RedisFailedTasksCheck {
    fn validate(&self) -> Result<(), SpecError> {
        if self.window_minutes == 0 {
            return Err(SpecError("window_minutes must be at least 1, not 0".to_owned()));
        }
        kept_in_redis(self.layout)?;
        self.names().validate()
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let measure = |server| self.measure(context, server);
        let failures = on_first(context, &self.server, &self.alternatives, measure).await?;
        let window = self.window_minutes;
        let (count, left) = (failures.count, failures.not_measured);
        let message = format!("{} failed in the last {}", counted("task", count), counted("minute", u64::from(window)));
        let finding = Finding::new(self.thresholds.judge(count as f64), with_not_measured(message, left))
            .with("failed_count_last_hour", count)
            .with("window_minutes", window);
        Ok(if left > 0 { finding.with("queues_not_measured", left) } else { finding })
    }
}

/// Refuses layouts of queues that keep neither failures nor workers in Redis.
pub fn kept_in_redis(layout: QueueLayout) -> Result<(), SpecError> {
    match layout {
        QueueLayout::Rq | QueueLayout::Dramatiq => Ok(()),
        _ => Err(SpecError("layout must be 'rq' or 'dramatiq': no other keeps this in Redis".to_owned())),
    }
}

fn failure_thresholds() -> Thresholds {
    Thresholds::new(5.0, 20.0)
}

fn failure_window() -> u32 {
    60
}
