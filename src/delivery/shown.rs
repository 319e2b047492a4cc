//! Incidents, silences and attempts as Python and the tables have them: JSON, with times in seconds since 1970.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::Attempt;
use super::message;
use crate::model::Notice;
use crate::model::clock::Moment;
use crate::policy::incident::{Incident, dedup_key};
use crate::policy::outbox::{ChannelQueue, Delivery};
use crate::policy::suppression::Silence;
use crate::state::alert_control::AlertControl;

/// Seconds since 1970.
pub fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// One incident with its timeline and deliveries.
pub fn incident(incident: &Incident, application: &str, control: &AlertControl, now: Moment) -> Value {
    let timeline: Vec<Value> = incident
        .timeline
        .iter()
        .map(|entry| json!({"at": seconds(entry.at), "kind": entry.kind, "text": entry.text}))
        .collect();
    let deliveries: Vec<Value> = incident
        .channels
        .iter()
        .flat_map(|queue| queue.deliveries.iter().map(|one| delivery(queue, one, control, now)))
        .collect();
    let acknowledged = incident.acknowledged.as_ref();
    json!({
        "id": incident.id,
        "check": incident.check,
        "dedup_key": dedup_key(application, &incident.check),
        "state": incident.state().as_str(),
        "status": incident.status.as_str(),
        "severity": incident.severity.as_str(),
        "since": seconds(incident.since),
        "fired_at": seconds(incident.fired_at),
        "resolved_at": incident.resolved_at.map(|resolved| seconds(resolved.wall)),
        "message": incident.message,
        "ended": incident.ended,
        "blocked": incident.blocked,
        "instances": incident.instances,
        "acknowledged_by": acknowledged.map(|one| one.author.as_str()),
        "acknowledged_at": acknowledged.map(|one| seconds(one.at)),
        "comment": acknowledged.map(|one| one.comment.as_str()),
        "silenced": incident.suppressed,
        "flapping": incident.is_flapping,
        "revision": incident.revision,
        "timeline": timeline,
        "deliveries": deliveries,
    })
}

fn delivery(queue: &ChannelQueue, delivery: &Delivery, control: &AlertControl, now: Moment) -> Value {
    let is_next = queue.pending().is_some_and(|pending| pending.number == delivery.number);
    let not_before = queue.not_before.max(control.held_until(&queue.channel));
    let wait = Duration::from_nanos(not_before.saturating_sub(now.boot));
    let next = (is_next && !queue.is_leased()).then(|| seconds(now.wall + wait));
    json!({
        "channel": queue.channel,
        "number": delivery.number,
        "kind": delivery.kind.as_str(),
        "state": delivery.state,
        "attempts": delivery.attempts,
        "may_have_arrived": delivery.may_have_arrived,
        "last_attempt_at": delivery.last_attempt_at.map(seconds),
        "last_answer": delivery.last_answer,
        "next_attempt_at": next,
        "reference": queue.reference,
    })
}

pub fn silence(silence: &Silence, now: SystemTime) -> Value {
    json!({
        "id": silence.id,
        "matchers": {
            "check": silence.matcher.checks,
            "severity": silence.matcher.severities,
            "group": silence.matcher.groups,
        },
        "start": seconds(silence.start),
        "end": seconds(silence.end),
        "author": silence.author,
        "comment": silence.comment,
        "active": silence.is_active(now),
    })
}

/// The result of an attempt.
pub fn attempt(attempt: &Attempt) -> Value {
    match attempt {
        Attempt::Delivered { answer, reference } => {
            json!({"state": "delivered", "answer": answer, "reference": reference})
        }
        Attempt::Refused { answer } => json!({"state": "refused", "answer": answer}),
        Attempt::Failed { answer, retry_after, may_have_arrived } => json!({
            "state": "failed",
            "answer": answer,
            "retry_after": retry_after.map(|wait| wait.as_secs_f64()),
            "may_have_arrived": may_have_arrived,
        }),
    }
}

/// A notice for a channel that is written in Python: with the keys of a webhook's `data`, and what is beside them there.
pub fn notice(notice: &Notice, reference: Option<&str>) -> Value {
    let mut shown = message::data(notice);
    let more = [
        ("id", json!(notice.id)),
        ("kind", json!(notice.kind.as_str())),
        ("at", json!(seconds(notice.at))),
        ("is_flapping", json!(notice.is_flapping)),
        ("acknowledged_by", json!(notice.acknowledged_by)),
        ("reference", json!(reference)),
        ("title", json!(message::summary(notice))),
        ("text", json!(message::text(notice))),
    ];
    shown.extend(more.map(|(key, value)| (key.to_owned(), value)));
    Value::Object(shown)
}
