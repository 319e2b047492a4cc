//! What results and reports consist of, key by key, before it becomes JSON or Python's dicts.
//!
//! Both are made straight from what is known: by way of a JSON value, the dict of a report of 22 took three times as
//! long.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Map, Value};

use super::{Report, ResultsOf, Row, Shown, rounded, timestamp};
use crate::model::{LastError, Status};

macro_rules! keys {
    ($($key:ident: $name:literal),* $(,)?) => {
        /// A key of a result or report.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Key { $($key),* }

        impl Key {
            /// The names of all keys, in the order of their numbers.
            pub const NAMES: &[&str] = &[$($name),*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$key => $name),* }
            }
        }
    };
}

keys! {
    Status: "status",
    Message: "message",
    Timestamp: "timestamp",
    DurationMs: "duration_ms",
    Cached: "cached",
    Details: "details",
    ErrorType: "error_type",
    TimeoutSeconds: "timeout_seconds",
    RawStatus: "raw_status",
    CircuitState: "circuit_state",
    RetryAfterSeconds: "retry_after_seconds",
    BlockedBy: "blocked_by",
    AgeSeconds: "age_seconds",
    Pending: "pending",
    Since: "since",
    LastError: "last_error",
    UptimeSeconds: "uptime_seconds",
    Summary: "summary",
    TotalChecks: "total_checks",
    Healthy: "healthy",
    Degraded: "degraded",
    Errors: "errors",
    Skipped: "skipped",
    HealthPercentage: "health_percentage",
    Checks: "checks",
    CorrelationId: "correlation_id",
    FoundBy: "found_by",
}

/// The value of a key.
pub enum Field<'a> {
    Text(Cow<'a, str>),
    Number(f64),
    Count(usize),
    Flag(bool),
    Details(&'a Map<String, Value>),
    LastError(&'a LastError),
    Summary(&'a [Row]),
    Results(ResultsOf<'a>),
}

/// What anonymous callers may see of a result: the status, not the reason.
const PUBLIC: [Key; 5] = [Key::Status, Key::Timestamp, Key::Cached, Key::AgeSeconds, Key::Pending];

/// Of one result; keys that do not apply are left out.
pub fn of_result(row: &Row, shown: Shown) -> impl Iterator<Item = (Key, Field<'_>)> {
    let outcome = &*row.outcome;
    let retry_after = row.circuit.and_then(|circuit| circuit.retry_after);
    [
        (Key::Status, Some(outcome.status.as_str().into())),
        (Key::Message, Some(outcome.message.as_str().into())),
        (Key::Timestamp, Some(timestamp(outcome.at).into())),
        (Key::DurationMs, Some(Field::Number(rounded(outcome.duration.as_secs_f64() * 1000.0, 3)))),
        (Key::Cached, Some(Field::Flag(row.cached))),
        (Key::Details, (!outcome.details.is_empty()).then_some(Field::Details(&outcome.details))),
        (Key::ErrorType, outcome.error_type.as_deref().map(Field::from)),
        (Key::TimeoutSeconds, outcome.timeout.map(|timeout| Field::Number(timeout.as_secs_f64()))),
        (Key::RawStatus, outcome.raw_status.map(|status| status.as_str().into())),
        (Key::CircuitState, row.circuit.map(|circuit| circuit.state.as_str().into())),
        (Key::RetryAfterSeconds, retry_after.map(seconds)),
        (Key::BlockedBy, row.blocked_by.as_deref().map(Field::from)),
        (Key::AgeSeconds, row.age.map(seconds)),
        (Key::Pending, row.pending.then_some(Field::Flag(true))),
        (Key::Since, row.since.map(|since| timestamp(since).into())),
        (Key::LastError, row.last_error.as_ref().map(Field::LastError)),
        (Key::FoundBy, outcome.found_by.as_deref().map(Field::from)),
    ]
    .into_iter()
    .filter(move |(key, _)| shown == Shown::Everything || PUBLIC.contains(key))
    .filter_map(|(key, field)| Some((key, field?)))
}

/// Of a report.
pub fn of_report(report: &Report, shown: Shown) -> [(Key, Field<'_>); 7] {
    let health = report.health();
    [
        (Key::Status, health.name().into()),
        (Key::Message, report.message().into()),
        (Key::Timestamp, timestamp(report.at).into()),
        (Key::UptimeSeconds, seconds(report.uptime)),
        (Key::Summary, Field::Summary(&report.rows)),
        (Key::Checks, Field::Results(ResultsOf(&report.rows, shown))),
        (Key::CorrelationId, report.correlation_id().into()),
    ]
}

/// Of the last run in error.
pub fn of_last_error(error: &LastError) -> impl Iterator<Item = (Key, Field<'_>)> {
    [
        (Key::Message, Some(error.message.as_str().into())),
        (Key::ErrorType, error.error_type.as_deref().map(Field::from)),
        (Key::Timestamp, Some(timestamp(error.at).into())),
    ]
    .into_iter()
    .filter_map(|(key, field)| Some((key, field?)))
}

/// Of a report's summary.
pub fn of_summary(rows: &[Row]) -> [(Key, Field<'static>); 6] {
    let count = |status: Status| rows.iter().filter(|row| row.outcome.status == status).count();
    let (healthy, skipped) = (count(Status::Healthy), count(Status::Skipped));
    let counted = rows.len() - skipped;
    let percentage = if rows.is_empty() {
        0.0
    } else if counted == 0 {
        100.0
    } else {
        rounded(100.0 * healthy as f64 / counted as f64, 1)
    };
    [
        (Key::TotalChecks, Field::Count(rows.len())),
        (Key::Healthy, Field::Count(healthy)),
        (Key::Degraded, Field::Count(count(Status::Degraded))),
        (Key::Errors, Field::Count(count(Status::Error))),
        (Key::Skipped, Field::Count(skipped)),
        (Key::HealthPercentage, Field::Number(percentage)),
    ]
}

fn seconds(duration: Duration) -> Field<'static> {
    Field::Number(rounded(duration.as_secs_f64(), 3))
}

impl<'a> From<&'a str> for Field<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Field<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}
