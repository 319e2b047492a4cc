//! Judge a broker by its queues, and what waits in them.

use serde_json::{Map, json};

use super::management::Taken;
use super::queue::{AmqpQueue, Published};
use super::spec::{AmqpCheck, AmqpPendingTasksCheck, AmqpServer, MissingQueue};
use crate::checks::fields::{counted, printable};
use crate::checks::oldest_task::judge_oldest;
use crate::model::{CheckError, Finding, Status, largest_first};
use crate::net;

/// How many queues the details list; the totals are of all.
const SHOWN: usize = 100;

/// What one run found out about a broker.
pub struct BrokerState {
    pub version: Option<String>,
    pub queues: Vec<AmqpQueue>,
    pub published: Option<Published>,
}

pub fn judge_broker(check: &AmqpCheck, server: &AmqpServer, seen: &BrokerState) -> Finding {
    let target = net::target(&server.host, server.port);
    let named = || check.queues.iter().zip(&seen.queues);
    let missing = names(named(), |queue| queue == AmqpQueue::Missing);
    let mut finding = Finding::healthy(format!("Connected to {target}"))
        .with("broker", server.host.as_str())
        .with("port", server.port)
        .with("vhost", server.vhost.as_str())
        .with("connection_test", "passed");
    if let Some(version) = &seen.version {
        finding = finding.with("broker_version", version.as_str());
    }
    if let Some(published) = seen.published {
        finding = finding.with(
            "publish_test",
            match published {
                Published::Returned => "passed",
                Published::NotPermitted => "not permitted",
            },
        );
    }
    if !check.queues.is_empty() {
        let queues: Map<_, _> = named().take(SHOWN).map(|(name, queue)| (printable(name), queue.details())).collect();
        finding = finding.with("queues", queues).with("missing_queues", missing.clone());
    }
    if let Some(backend) = &check.task_queue {
        finding = finding.with("task_tables_available", true).with("table_count", 0).with("backend", backend.as_str());
    }
    if !missing.is_empty() && check.missing_queue != MissingQueue::Detail {
        finding.status = if check.missing_queue == MissingQueue::Error { Status::Error } else { Status::Degraded };
        finding.message = format!("{target} has no {}", named_queues(&missing));
    }
    finding
}

pub fn judge_pending(
    check: &AmqpPendingTasksCheck,
    target: &str,
    queues: &[AmqpQueue],
    taken: Option<Result<Taken, CheckError>>,
) -> Result<Finding, CheckError> {
    let named = || check.queues.iter().zip(queues);
    let hidden = names(named(), |queue| matches!(queue, AmqpQueue::Exclusive | AmqpQueue::NotPermitted));
    if !hidden.is_empty() {
        let reason = format!("this user may not look at the {}", named_queues(&hidden));
        return Err(CheckError::Rejected { target: target.to_owned(), reason: reason.into() });
    }
    let missing = names(named(), |queue| queue == AmqpQueue::Missing);
    let unserved = names(named(), |queue| matches!(queue, AmqpQueue::Found { messages: 1.., consumers: 0 }));
    let mut counts: Vec<(&String, u32, u32)> = named()
        .map(|(name, queue)| match *queue {
            AmqpQueue::Found { messages, consumers } => (name, messages, consumers),
            _ => (name, 0, 0),
        })
        .collect();
    largest_first(&mut counts, |(_, messages, _)| u64::from(*messages));
    let total: u64 = counts.iter().map(|(_, messages, _)| u64::from(*messages)).sum();
    let deepest = counts.first().map_or(0, |(_, messages, _)| *messages);
    let number = u64::try_from(counts.len()).unwrap_or(u64::MAX);
    let mut message =
        format!("{} pending in {}, at most {deepest} in one", counted("task", total), counted("queue", number));
    if !unserved.is_empty() {
        message += &format!("; no worker consumes the {}", named_queues(&unserved));
    }
    let shown = || counts.iter().take(SHOWN);
    let breakdown: Map<_, _> = shown().map(|(name, messages, _)| (printable(name), json!(messages))).collect();
    let consumers: Map<_, _> = shown().map(|(name, _, consumers)| (printable(name), json!(consumers))).collect();
    let (taken, management) = match taken {
        None => (Taken::default(), None),
        Some(Ok(taken)) => (taken, None),
        // It is beside the broker, and only says more of it.
        Some(Err(error)) => (Taken::default(), Some(error.to_string())),
    };
    let finding = Finding::new(check.thresholds.judge(f64::from(deepest)), message)
        .with("total_pending", total)
        .with("max_queue_depth", deepest)
        .with("queue_count", number)
        .with("queue_breakdown", breakdown)
        .with("oldest_pending_seconds", taken.oldest_seconds)
        .with("consumers", consumers)
        .with("missing_queues", missing)
        .with("taken_tasks", taken.messages)
        .with("unacked_count", taken.messages);
    let finding = judge_oldest(finding, check.oldest_seconds);
    Ok(match management {
        Some(error) => finding.with("management_error", error),
        None => finding,
    })
}

/// As they are shown.
fn names<'a>(
    queues: impl Iterator<Item = (&'a String, &'a AmqpQueue)>,
    wanted: impl Fn(AmqpQueue) -> bool,
) -> Vec<String> {
    queues.filter(|(_, queue)| wanted(**queue)).map(|(name, _)| printable(name)).collect()
}

/// `queue a` or `queues a, b`; of many, the first ones.
fn named_queues(names: &[String]) -> String {
    const MENTIONED: usize = 5;
    let mentioned = names.iter().take(MENTIONED).cloned().collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(MENTIONED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("queue{} {mentioned}{rest}", if names.len() == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use serde_json::Value;

    use super::*;

    const FOUND: AmqpQueue = AmqpQueue::Found { messages: 0, consumers: 1 };

    fn broker(missing_queue: &str) -> AmqpCheck {
        serde_json::from_value(json!({"host": "h", "queues": ["a", "b"], "missing_queue": missing_queue})).unwrap()
    }

    fn pending(queues: &[&str]) -> AmqpPendingTasksCheck {
        serde_json::from_value(json!({"servers": [{"host": "h"}], "queues": queues})).unwrap()
    }

    #[test]
    fn missing_queue_as_configured() {
        for (missing_queue, status, said) in [
            ("detail", Status::Healthy, "Connected to h:5672"),
            ("degraded", Status::Degraded, "h:5672 has no queue b"),
            ("error", Status::Error, "h:5672 has no queue b"),
        ] {
            let check = broker(missing_queue);
            let seen = |second| BrokerState { version: None, queues: vec![FOUND, second], published: None };
            let finding = judge_broker(&check, &check.servers[0], &seen(AmqpQueue::Missing));
            assert_eq!((finding.status, finding.message.as_str()), (status, said));
            assert_eq!(finding.details["missing_queues"], json!(["b"]));
            assert_eq!(finding.details["queues"]["b"], json!({"state": "missing"}));
            for other in [FOUND, AmqpQueue::Exclusive, AmqpQueue::NotPermitted] {
                assert_eq!(judge_broker(&check, &check.servers[0], &seen(other)).status, Status::Healthy);
            }
        }
    }

    #[test]
    fn depth_of_deepest_queue_is_judged() {
        for (messages, status) in
            [(0, Status::Healthy), (100, Status::Healthy), (101, Status::Degraded), (501, Status::Error)]
        {
            let queues = [AmqpQueue::Found { messages: 1, consumers: 1 }, AmqpQueue::Found { messages, consumers: 1 }];
            let finding = judge_pending(&pending(&["a", "b"]), "h:5672", &queues, None).unwrap();
            assert_eq!(finding.status, status, "{messages}");
            assert_eq!(finding.details["total_pending"], json!(messages + 1));
            assert_eq!(finding.details["queue_breakdown"], json!({"a": 1, "b": messages}));
            assert_eq!(finding.details["taken_tasks"], Value::Null);
        }
    }

    #[test]
    fn queue_without_consumer_is_named_while_messages_wait() {
        let unserved = |messages| {
            let queues = [FOUND, AmqpQueue::Found { messages, consumers: 0 }];
            judge_pending(&pending(&["a", "b"]), "h:5672", &queues, None).unwrap().message
        };
        assert!(unserved(3).ends_with("no worker consumes the queue b"));
        assert!(!unserved(0).contains("no worker"));
    }

    #[test]
    fn control_characters_of_names_are_written_out() {
        let names = ["ev\u{1b}\n", "il\r"];
        let check: AmqpCheck =
            serde_json::from_value(json!({"host": "h", "queues": names, "missing_queue": "error"})).unwrap();
        let seen = BrokerState { version: None, queues: vec![FOUND, AmqpQueue::Missing], published: None };
        let broker = judge_broker(&check, &check.servers[0], &seen);
        let queues = [AmqpQueue::Found { messages: 1, consumers: 0 }, AmqpQueue::Missing];
        for finding in [broker, judge_pending(&pending(&names), "h:5672", &queues, None).unwrap()] {
            let shown = format!("{}{}", finding.message, Value::Object(finding.details));
            // The JSON of what is written out has its backslash doubled.
            assert!(shown.contains(r"ev\\u{1b}\\n") && shown.contains(r"il\\r"), "{shown}");
            assert!(!shown.contains(char::is_control) && !shown.contains(r"\u001b"), "{shown}");
        }
    }

    #[test]
    fn missing_queue_is_empty_and_hidden_one_is_refused() {
        let finding = judge_pending(&pending(&["a"]), "h:5672", &[AmqpQueue::Missing], None).unwrap();
        assert_eq!(finding.details["missing_queues"], json!(["a"]));
        assert_eq!((finding.status, &finding.details["total_pending"]), (Status::Healthy, &json!(0)));
        for hidden in [AmqpQueue::Exclusive, AmqpQueue::NotPermitted] {
            let error = judge_pending(&pending(&["a"]), "h:5672", &[hidden], None).unwrap_err();
            assert!(error.to_string().contains("may not look at the queue a"), "{error}");
        }
    }

    #[test]
    fn management_says_what_is_taken_and_its_failure_is_a_detail() {
        let taken = |taken| judge_pending(&pending(&["a"]), "h:5672", &[FOUND], Some(taken)).unwrap();
        let known = taken(Ok(Taken { messages: Some(4), oldest_seconds: Some(2.5) }));
        assert_eq!((&known.details["taken_tasks"], &known.details["oldest_pending_seconds"]), (&json!(4), &json!(2.5)));
        let failed = taken(Err(CheckError::Refused { target: "m:15672".into() }));
        assert_eq!(failed.status, Status::Healthy);
        assert_eq!(failed.details["management_error"], json!("m:15672 refused the connection"));
    }

    #[test]
    fn many_queues_are_named_in_part() {
        let names: Vec<_> = (0..7).map(|number| format!("q{number}")).collect();
        assert_eq!(named_queues(&names), "queues q0, q1, q2, q3, q4 and 2 more");
    }
}
