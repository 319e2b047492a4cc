//! The depth of queues in Redis: how many tasks are ready in each, since when, and what is beside them.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::celery::CeleryKeys;
use super::depths::Depths;
use super::discovery::Discovery;
use super::flow::Flow;
use super::lists::ListKeys;
use super::overdue::{due_before, with_overdue};
use super::{QueueLayout, Queues, celery, dramatiq, lists, rq, with_not_measured};
use crate::checks::Check;
use crate::checks::fields::{counted, printable};
use crate::checks::flow::with_flow;
use crate::checks::oldest_task::{day, judge_oldest, validate_oldest};
use crate::checks::postgres::FinishedTasksOptions;
use crate::checks::redis::RedisServerOptions;
use crate::checks::redis::link::{Link, on_first};
use crate::checks::thresholds::Thresholds;
use crate::model::{CheckError, Finding, SpecError};
use crate::runtime::Context;

/// How many queues the details list; the totals are of all.
const LISTED: usize = 100;

/// The depth of the deepest queue (100, 500) of a task queue whose broker is Redis. A queue that does not exist is empty.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisPendingTasksCheck {
    pub server: RedisServerOptions,
    /// Used in this order while `server` is unreachable, as by clients with several URLs.
    #[serde(default)]
    pub alternatives: Vec<RedisServerOptions>,
    pub layout: QueueLayout,
    /// Names of queues, at most 500.
    #[serde(default)]
    pub queues: Vec<String>,
    /// Also queues that are found in Redis (not with the layout "lists").
    #[serde(default)]
    pub discover: bool,
    /// What all keys begin with: Celery's `global_keyprefix`, RQ's `RQ_KEY_PREFIX` ("rq"), dramatiq's namespace
    /// ("dramatiq").
    #[serde(default)]
    pub prefix: Option<String>,
    /// Celery's `priority_steps` (0, 3, 6, 9).
    #[serde(default = "priority_steps")]
    pub priority_steps: Vec<u32>,
    /// Celery's `sep`, between a queue and its step.
    #[serde(default = "separator")]
    pub separator: String,
    #[serde(default = "unacked_key")]
    pub unacked_key: String,
    #[serde(default = "unacked_index_key")]
    pub unacked_index_key: String,
    /// The key of a queue of the layout "lists": `{queue}` stands for its name.
    #[serde(default = "key")]
    pub key: String,
    /// The key of the sorted set of its tasks that are to run later.
    #[serde(default)]
    pub scheduled_key: Option<String>,
    /// The zone as whose local time its scores have UTC: "UTC" where they are seconds since 1970; huey's are by the zone of
    /// the process. Without it no task is overdue.
    #[serde(default)]
    pub scheduled_zone: Option<String>,
    /// Its keys are sorted sets instead of lists.
    #[serde(default)]
    pub sorted: bool,
    #[serde(default = "depth_thresholds")]
    pub thresholds: Thresholds,
    /// Degraded if the oldest task that could run has waited for longer, in seconds (86,400); 0 is no limit. Of the
    /// layouts "celery" and "lists" no age is known.
    #[serde(default = "day")]
    pub oldest_seconds: f64,
    /// Where the results of finished tasks are in PostgreSQL.
    #[serde(default)]
    pub finished: Option<FinishedTasksOptions>,
}

impl RedisPendingTasksCheck {
    fn names(&self) -> Queues<'_> {
        Queues::new(self.layout, self.prefix.as_deref(), &self.queues, self.discover)
    }

    fn celery_keys(&self) -> CeleryKeys<'_> {
        CeleryKeys {
            priority_steps: &self.priority_steps,
            separator: &self.separator,
            unacked: &self.unacked_key,
            unacked_index: &self.unacked_index_key,
        }
    }

    async fn measure_lists(&self, context: &Context, link: &Link<'_>) -> Result<Depths, CheckError> {
        let due_before = match &self.scheduled_zone {
            Some(zone) => due_before(context, zone).await,
            None => None,
        };
        let scheduled = self.scheduled_key.as_deref();
        let keys = ListKeys { queue: &self.key, scheduled, sorted: self.sorted, due_before };
        let mut depths = lists::pending(&keys, link, &self.names()).await?;
        let unknown = self.scheduled_zone.as_ref().filter(|_| scheduled.is_some() && due_before.is_none());
        depths.overdue_unknown = unknown.map(|zone| format!("the time zone {:?} is not known here", printable(zone)));
        Ok(depths)
    }

    async fn measure(&self, context: &Context, server: &RedisServerOptions) -> Result<Depths, CheckError> {
        let link = Link::open(context, server).await?;
        let queues = self.names();
        let discovery = Discovery::new(context, server, &queues, &link, "pending");
        match self.layout {
            QueueLayout::Celery => celery::pending(&self.celery_keys(), &link, &queues, &discovery).await,
            QueueLayout::Rq => rq::pending(&link, &queues, &discovery, &Flow::new(context, server, &queues)).await,
            QueueLayout::Dramatiq => dramatiq::pending(&link, &queues, &discovery).await,
            QueueLayout::Lists => self.measure_lists(context, &link).await,
        }
    }
}

#[async_trait]
impl Check for RedisPendingTasksCheck {
    fn validate(&self) -> Result<(), SpecError> {
        self.names().validate()?;
        validate_oldest(self.oldest_seconds)?;
        if self.priority_steps.len() > 256 {
            return Err(SpecError("priority_steps must be at most 256 numbers".to_owned()));
        }
        if self.layout == QueueLayout::Lists && self.queues.len() > 1 && !self.key.contains("{queue}") {
            return Err(SpecError("key must contain {queue}, which stands for the name of each queue".to_owned()));
        }
        self.finished.as_ref().map_or(Ok(()), FinishedTasksOptions::validate)
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let measure = |server| self.measure(context, server);
        let broker = async {
            let depths = on_first(context, &self.server, &self.alternatives, measure).await?;
            Ok(judge_oldest(judge(self.layout, self.thresholds, depths), self.oldest_seconds))
        };
        FinishedTasksOptions::beside(self.finished.as_ref(), context, broker).await
    }
}

fn judge(layout: QueueLayout, thresholds: Thresholds, depths: Depths) -> Finding {
    let mut ready = depths.ready;
    ready.sort_unstable_by(|(left, fewer), (right, more)| more.cmp(fewer).then_with(|| left.cmp(right)));
    let total: u64 = ready.iter().map(|(_, depth)| depth).sum();
    let deepest = ready.first().map_or(0, |(_, depth)| *depth);
    let queues = ready.len() as u64;
    let breakdown: Map<String, Value> =
        ready.into_iter().take(LISTED).map(|(name, depth)| (printable(&name), json!(depth))).collect();
    let message =
        format!("{} pending in {}, at most {deepest} in one", counted("task", total), counted("queue", queues));
    let message = with_not_measured(message, depths.not_measured);
    let mut finding = Finding::new(thresholds.judge(deepest as f64), message)
        .with("total_pending", total)
        .with("max_queue_depth", deepest)
        .with("queue_count", queues)
        .with("queue_breakdown", breakdown)
        .with("oldest_pending_seconds", depths.oldest_pending);
    if depths.not_measured > 0 {
        finding = finding.with("queues_not_measured", depths.not_measured);
    }
    if let Some(scheduled) = depths.scheduled {
        finding = finding.with("scheduled_tasks", scheduled);
    }
    if let Some(overdue) = &depths.overdue {
        finding = with_overdue(finding, overdue);
    }
    if let Some(reason) = depths.overdue_unknown {
        finding = finding.with("unavailable", json!({"overdue_schedules": reason}));
    }
    if let Some(taken) = depths.taken {
        finding = finding.with("taken_tasks", taken);
        if layout == QueueLayout::Celery {
            finding = finding.with("unacked_count", taken).with("oldest_unacked_seconds", depths.oldest_taken);
        }
        if layout == QueueLayout::Celery || depths.oldest_taken.is_some() {
            finding = finding.with("oldest_taken_seconds", depths.oldest_taken);
        }
    }
    if let Some(flow) = depths.finished_per_minute {
        finding = with_flow(finding, flow);
    }
    if !depths.forbidden.is_empty() {
        finding = finding.with("not_allowed", depths.forbidden.into_iter().collect::<Vec<_>>());
    }
    finding
}

fn priority_steps() -> Vec<u32> {
    vec![0, 3, 6, 9]
}

fn separator() -> String {
    "\u{6}\u{16}".to_owned()
}

fn unacked_key() -> String {
    "unacked".to_owned()
}

fn unacked_index_key() -> String {
    "unacked_index".to_owned()
}

fn key() -> String {
    "{queue}".to_owned()
}

fn depth_thresholds() -> Thresholds {
    Thresholds::new(100.0, 500.0)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::Status;

    fn ready(depths: &[(&str, u64)]) -> Depths {
        let ready = depths.iter().map(|(name, depth)| ((*name).to_owned(), *depth)).collect();
        Depths { ready, ..Depths::default() }
    }

    #[test]
    fn judge_deepest_queue() {
        for (depths, status, message) in [
            (&[][..], Status::Healthy, "0 tasks pending in 0 queues, at most 0 in one"),
            (&[("a", 1)], Status::Healthy, "1 task pending in 1 queue, at most 1 in one"),
            (&[("a", 60), ("b", 100)], Status::Healthy, "160 tasks pending in 2 queues, at most 100 in one"),
            (&[("a", 101)], Status::Degraded, "101 tasks pending in 1 queue, at most 101 in one"),
            (&[("a", 501)], Status::Error, "501 tasks pending in 1 queue, at most 501 in one"),
        ] {
            let finding = judge(QueueLayout::Celery, depth_thresholds(), ready(depths));
            assert_eq!((finding.status, finding.message.as_str()), (status, message));
        }
    }

    #[test]
    fn judge_details_of_what_is_known() {
        let depths = Depths { taken: Some(2), oldest_taken: Some(1.5), ..ready(&[("a", 1), ("c", 3), ("b", 3)]) };
        let finding = judge(QueueLayout::Celery, depth_thresholds(), depths);
        assert_eq!(
            Value::Object(finding.details),
            json!({
                "total_pending": 7, "max_queue_depth": 3, "queue_count": 3, "queue_breakdown": {"b": 3, "c": 3, "a": 1},
                "oldest_pending_seconds": null, "taken_tasks": 2, "unacked_count": 2, "oldest_unacked_seconds": 1.5,
                "oldest_taken_seconds": 1.5,
            })
        );
        let depths = Depths { scheduled: Some(4), forbidden: BTreeSet::from(["SCAN"]), ..ready(&[("a", 1)]) };
        let details = judge(QueueLayout::Lists, depth_thresholds(), depths).details;
        assert_eq!((&details["scheduled_tasks"], &details["not_allowed"]), (&json!(4), &json!(["SCAN"])));
        assert!(!details.contains_key("taken_tasks"));
        assert!(!details.contains_key("queues_not_measured"));
    }

    #[test]
    fn judge_names_queues_that_are_not_measured() {
        let depths = Depths { not_measured: 1, ..ready(&[("a", 1)]) };
        let finding = judge(QueueLayout::Rq, depth_thresholds(), depths);
        assert_eq!(finding.message, "1 task pending in 1 queue, at most 1 in one; 1 queue not measured");
        assert_eq!(finding.details["queues_not_measured"], 1);
    }

    #[test]
    fn judge_says_why_overdue_tasks_are_not_known() {
        let depths = Depths { overdue_unknown: Some("no zone".to_owned()), ..ready(&[("a", 1)]) };
        let finding = judge(QueueLayout::Lists, depth_thresholds(), depths);
        assert_eq!(
            (finding.status, &finding.details["unavailable"]["overdue_schedules"]),
            (Status::Healthy, &json!("no zone"))
        );
    }

    #[test]
    fn judge_wait_is_depth_by_flow() {
        let depths = Depths { finished_per_minute: Some(30.0), ..ready(&[("a", 90)]) };
        let details = judge(QueueLayout::Rq, depth_thresholds(), depths).details;
        assert_eq!((&details["finished_per_minute"], &details["expected_wait_seconds"]), (&json!(30.0), &json!(180.0)));
    }
}
