//! The workers of task queues that keep them in Redis.

use async_trait::async_trait;
use serde::Deserialize;

use super::discovery::Discovery;
use super::failed::kept_in_redis;
use super::staff::{DEPLOY, LastHeartbeat, Staff, Uncovered, sightings};
use super::{QueueLayout, Queues, dramatiq, rq, with_not_measured};
use crate::checks::Check;
use crate::checks::fields::{counted, printable};
use crate::checks::redis::RedisServerOptions;
use crate::checks::redis::link::{Link, on_first};
use crate::model::{CheckError, Finding, SpecError, Status};
use crate::runtime::Context;

/// Live workers of a task queue that keeps them in Redis, against `expected_workers` (1). Degraded, too: tasks that a dead
/// worker has left behind, a queue in which tasks wait and to which no worker listens, suspended workers. None is an
/// error once none has been seen for 5 minutes by any process that shares the engine's store, if none ever was, or if they
/// died: in a deploy there is none for a while.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisTaskWorkersCheck {
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
    /// How old a heartbeat of dramatiq may be (1); the keys of RQ's workers expire by themselves.
    #[serde(default = "heartbeat_window")]
    pub heartbeat_window_minutes: u32,
    #[serde(default = "one")]
    pub expected_workers: u32,
    /// Degraded where a job of RQ has been running for longer. Default: no limit.
    #[serde(default)]
    pub stuck_after_seconds: Option<f64>,
}

impl RedisTaskWorkersCheck {
    fn names(&self) -> Queues<'_> {
        Queues::new(self.layout, self.prefix.as_deref(), &self.queues, self.discover)
    }

    async fn measure(&self, context: &Context, server: &RedisServerOptions) -> Result<Staff, CheckError> {
        let link = Link::open(context, server).await?;
        let queues = self.names();
        let discovery = Discovery::new(context, server, &queues, &link, "workers");
        let window = f64::from(self.heartbeat_window_minutes) * 60.0;
        let last_heartbeat = LastHeartbeat::new(context, server, &queues);
        let sightings = sightings(context, server, &queues);
        match self.layout {
            QueueLayout::Rq => rq::workers(&link, &queues, &discovery, &last_heartbeat, &sightings).await,
            _ => dramatiq::workers(&link, &queues, &discovery, window, &sightings).await,
        }
    }
}

#[async_trait]
impl Check for RedisTaskWorkersCheck {
    fn validate(&self) -> Result<(), SpecError> {
        if self.heartbeat_window_minutes == 0 {
            return Err(SpecError("heartbeat_window_minutes must be at least 1, not 0".to_owned()));
        }
        if self.stuck_after_seconds.is_some_and(|seconds| !(seconds > 0.0 && seconds.is_finite())) {
            return Err(SpecError("stuck_after_seconds must be a number of seconds above 0".to_owned()));
        }
        kept_in_redis(self.layout)?;
        self.names().validate()
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let measure = |server| self.measure(context, server);
        let staff = on_first(context, &self.server, &self.alternatives, measure).await?;
        Ok(judge(self.expected_workers, self.stuck_after_seconds, &staff))
    }
}

fn judge(expected: u32, stuck_after: Option<f64>, staff: &Staff) -> Finding {
    let mut status = match staff.active {
        enough if enough >= u64::from(expected) => Status::Healthy,
        0 if staff.last_seen.is_none() => Status::Error,
        _ => Status::Degraded,
    };
    let mut message = format!("{} of {expected} expected workers alive", staff.active);
    if let (0, Some(seconds)) = (staff.active, staff.last_heartbeat) {
        message = format!("{message}, the last heartbeat was {seconds} s ago");
    }
    if let (Status::Degraded, 0, Some(seen)) = (status, staff.active, staff.last_seen) {
        let (seen, limit) = (seen.as_secs(), DEPLOY.as_secs());
        message =
            format!("{message}, one was seen {seen} s ago: an error after {limit} s, since a deploy may be under way");
    }
    let overdue = staff.oldest_running.zip(stuck_after).filter(|(oldest, limit)| oldest > limit);
    let mut complaints = Vec::new();
    if let Some(left) = staff.abandoned.filter(|left| *left > 0) {
        complaints.push(format!("{} left behind by a worker that died", counted("task", left)));
    }
    if let Some((oldest, _)) = overdue {
        complaints.push(format!("a task has been running for {oldest} s"));
    }
    if let Some(Uncovered { queue, pending }) = staff.uncovered.first() {
        let verb = if *pending == 1 { "is" } else { "are" };
        complaints.push(format!("no worker listens to {queue:?}, where {} {verb} pending", counted("task", *pending)));
    }
    if staff.suspended {
        complaints.push("the workers are suspended".to_owned());
    }
    if !complaints.is_empty() {
        message = format!("{message}; {}", complaints.join("; "));
        if status == Status::Healthy {
            status = Status::Degraded;
        }
    }
    let mut finding = Finding::new(status, with_not_measured(message, staff.not_measured))
        .with("active_workers", staff.active)
        .with("expected_workers", expected)
        .with("heartbeat_window_minutes", staff.window.map(|seconds| seconds / 60.0));
    if staff.last_heartbeat.is_some() {
        finding = finding.with("last_heartbeat_seconds", staff.last_heartbeat);
    }
    if let Some(running) = staff.running {
        finding = finding.with("running_tasks", running).with("oldest_running_seconds", staff.oldest_running);
    }
    if let Some(abandoned) = staff.abandoned {
        finding = finding.with("stuck_tasks", abandoned + u64::from(overdue.is_some()));
    }
    if !staff.uncovered.is_empty() {
        let names: Vec<_> = staff.uncovered.iter().map(|queue| printable(&queue.queue)).take(20).collect();
        finding = finding.with("queues_without_worker", names);
    }
    if staff.not_measured > 0 {
        finding = finding.with("queues_not_measured", staff.not_measured);
    }
    finding
}

fn heartbeat_window() -> u32 {
    1
}

fn one() -> u32 {
    1
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn judge_number_of_workers() {
        for (expected, active, status) in [
            (1, 1, Status::Healthy),
            (2, 3, Status::Healthy),
            (2, 1, Status::Degraded),
            (1, 0, Status::Error),
            (0, 0, Status::Healthy),
        ] {
            let finding = judge(expected, None, &Staff { active, ..Staff::default() });
            assert_eq!(finding.status, status, "{active} of {expected}");
        }
    }

    #[test]
    fn judge_no_worker_in_a_deploy_is_no_error() {
        let last_seen = Some(std::time::Duration::from_millis(8_900));
        for (expected, active, status, said) in [
            (
                2,
                0,
                Status::Degraded,
                "0 of 2 expected workers alive, one was seen 8 s ago: an error after 300 s, since a deploy may be under way",
            ),
            (2, 1, Status::Degraded, "1 of 2 expected workers alive"),
            (0, 0, Status::Healthy, "0 of 0 expected workers alive"),
        ] {
            let finding = judge(expected, None, &Staff { active, last_seen, ..Staff::default() });
            assert_eq!((finding.status, finding.message.as_str()), (status, said));
        }
    }

    #[test]
    fn judge_message_has_the_last_heartbeat_of_workers_that_are_gone() {
        for (active, said) in [
            (0, "0 of 1 expected workers alive, the last heartbeat was 613 s ago"),
            (1, "1 of 1 expected workers alive"),
        ] {
            let finding = judge(1, None, &Staff { active, last_heartbeat: Some(613.0), ..Staff::default() });
            assert_eq!((finding.message.as_str(), &finding.details["last_heartbeat_seconds"]), (said, &613.0.into()));
        }
    }

    #[test]
    fn judge_complaints_are_degraded_and_no_better_than_the_number() {
        let uncovered = || vec![Uncovered { queue: "mail".to_owned(), pending: 2 }];
        for (staff, words) in [
            (Staff { abandoned: Some(2), ..Staff::default() }, "2 tasks left behind by a worker that died"),
            (
                Staff { uncovered: uncovered(), ..Staff::default() },
                "no worker listens to \"mail\", where 2 tasks are pending",
            ),
            (Staff { suspended: true, ..Staff::default() }, "the workers are suspended"),
            (Staff { oldest_running: Some(61.0), ..Staff::default() }, "a task has been running for 61 s"),
        ] {
            let none = judge(1, Some(60.0), &staff);
            let finding = judge(1, Some(60.0), &Staff { active: 1, ..staff });
            assert_eq!((none.status, finding.status), (Status::Error, Status::Degraded), "{words}");
            assert!(finding.message.ends_with(words), "{}", finding.message);
        }
        let slow = Staff { active: 1, oldest_running: Some(61.0), abandoned: Some(0), ..Staff::default() };
        assert_eq!(judge(1, None, &slow).status, Status::Healthy);
        assert_eq!(judge(1, Some(60.0), &slow).details["stuck_tasks"], 1);
    }
}
