//! The judgement of the whole from the facts of its parts, and both as JSON: pure.

pub mod fields;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fields::{Field, Key};
use serde_json::{Map, Value};

use crate::outcome::{Outcome, Status};

/// One check in a report.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: Arc<str>,
    pub critical: bool,
    pub outcome: Arc<Outcome>,
    /// Known before it was asked for.
    pub cached: bool,
    /// How old a cached outcome is.
    pub age: Option<Duration>,
    /// Not known within the caller's budget; `outcome` says so.
    pub pending: bool,
}

/// The state of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    Healthy,
    Degraded,
    Unhealthy,
}

impl Health {
    pub const ALL: [Self; 3] = [Self::Healthy, Self::Degraded, Self::Unhealthy];

    /// Unhealthy if a critical check is in error, else degraded if any check is degraded or in error.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Self {
        Self::of_statuses(rows.into_iter().map(|row| (row.outcome.status, row.critical)))
    }

    /// The same from statuses, and whether each is that of a critical check.
    pub fn of_statuses(statuses: impl IntoIterator<Item = (Status, bool)>) -> Self {
        statuses.into_iter().fold(Self::Healthy, |health, status| match status {
            (Status::Error, true) => Self::Unhealthy,
            (Status::Error | Status::Degraded, _) if health == Self::Healthy => Self::Degraded,
            _ => health,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }

    pub fn message(self) -> &'static str {
        match self {
            Self::Healthy => "All systems operational",
            Self::Degraded => "Service operational with reduced functionality",
            Self::Unhealthy => "Critical systems failing",
        }
    }
}

/// How much of what is known is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Everything,
    /// What anybody may know: how it is, not why.
    Statuses,
}

/// The whole and its parts at one moment.
pub struct Report {
    pub rows: Vec<Row>,
    pub shown: Shown,
    pub uptime: Duration,
    pub at: SystemTime,
    /// Also in every log line of the sweep.
    pub correlation_id: String,
}

impl Report {
    /// The report on what is known now, by an engine that has been there for `uptime`.
    pub fn now(rows: Vec<Row>, shown: Shown, uptime: Duration) -> Self {
        Self { rows, shown, uptime, at: SystemTime::now(), correlation_id: uuid::Uuid::new_v4().to_string() }
    }

    /// As SPEC's dict.
    pub fn json(&self) -> Value {
        object(fields::of_report(self))
    }
}

/// The results by name.
pub fn results(rows: &[Row], shown: Shown) -> Map<String, Value> {
    rows.iter().map(|row| (row.name.to_string(), result(row, shown))).collect()
}

/// One result as SPEC's dict.
pub fn result(row: &Row, shown: Shown) -> Value {
    object(fields::of_result(row, shown))
}

fn object<'a>(fields: impl IntoIterator<Item = (Key, Field<'a>)>) -> Value {
    Value::Object(fields.into_iter().map(|(key, field)| (key.name().to_owned(), field.into())).collect())
}

impl From<Field<'_>> for Value {
    fn from(field: Field<'_>) -> Self {
        match field {
            Field::Text(text) => text.into(),
            Field::Number(number) => number.into(),
            Field::Count(count) => count.into(),
            Field::Flag(flag) => flag.into(),
            Field::Details(details) => Self::Object(details.clone()),
            Field::Summary(rows) => object(fields::of_summary(rows)),
            Field::Results(rows, shown) => Self::Object(results(rows, shown)),
        }
    }
}

/// ISO 8601 in UTC with microseconds.
pub fn timestamp(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at).map_or_else(|_| String::new(), |at| format!("{at:.6}"))
}

pub fn rounded(value: f64, decimals: i32) -> f64 {
    let factor = 10f64.powi(decimals);
    (value * factor).round() / factor
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;
    use crate::breaker::State;
    use crate::outcome::{Circuit, Finding};
    use tokio::time::Instant;

    fn row(status: Status, critical: bool) -> Row {
        row_of(Outcome::of(Ok(Finding::new(status, "m")), Instant::now()), critical)
    }

    fn row_of(outcome: Outcome, critical: bool) -> Row {
        Row { name: "x".into(), critical, outcome: Arc::new(outcome), cached: false, age: None, pending: false }
    }

    #[test]
    fn health_is_the_worst_of_its_parts_as_far_as_they_are_critical() {
        use Status::{Degraded, Error, Healthy, Skipped};
        let table: [(&[(Status, bool)], Health); 7] = [
            (&[], Health::Healthy),
            (&[(Healthy, true), (Skipped, true)], Health::Healthy),
            (&[(Skipped, true)], Health::Healthy),
            (&[(Degraded, true), (Healthy, true)], Health::Degraded),
            (&[(Error, false), (Healthy, true)], Health::Degraded),
            (&[(Error, true), (Degraded, false)], Health::Unhealthy),
            (&[(Degraded, false), (Error, true)], Health::Unhealthy),
        ];
        for (parts, expected) in table {
            let rows: Vec<Row> = parts.iter().map(|(status, critical)| row(*status, *critical)).collect();
            assert_eq!(Health::of(&rows), expected, "{parts:?}");
        }
    }

    #[test]
    fn summary_counts_skipped_checks_neither_for_nor_against() {
        let rows = [
            row(Status::Healthy, true),
            row(Status::Healthy, true),
            row(Status::Error, false),
            row(Status::Skipped, true),
        ];
        let summary = object(fields::of_summary(&rows));
        assert_eq!(summary["total_checks"], 4);
        assert_eq!(summary["health_percentage"], 66.7);
        let skipped = [row(Status::Skipped, true)];
        assert_eq!(object(fields::of_summary(&skipped))["health_percentage"], 100.0);
    }

    #[test]
    fn timestamps_are_iso_8601_in_utc() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        assert_eq!(timestamp(at), "1970-01-01T00:00:01.500000Z");
    }

    #[test]
    fn a_result_leaves_out_what_does_not_apply() {
        let shown = result(&row(Status::Healthy, true), Shown::Everything);
        assert_eq!(keys(&shown), ["status", "message", "timestamp", "duration_ms", "cached"]);
    }

    #[test]
    fn anybody_sees_how_it_is_and_not_why() {
        let outcome = Outcome {
            timeout: Some(Duration::from_secs(5)),
            circuit: Some(Circuit { state: State::Open, retry_after: Some(Duration::from_secs(1)) }),
            blocked_by: Some("parent".to_owned()),
            raw_status: Some(Status::Healthy),
            error_type: Some("TimeoutError".to_owned()),
            ..Outcome::of(Ok(Finding::error("why").with("key", "why")), Instant::now())
        };
        let row = Row { age: Some(Duration::from_secs(2)), cached: true, ..row_of(outcome, true) };
        let shown = Report::now(vec![row], Shown::Statuses, Duration::ZERO).json();
        assert_eq!(keys(&shown["checks"]["x"]), ["status", "timestamp", "cached", "age_seconds"]);
        assert!(!shown.to_string().contains("why"));
    }

    fn keys(value: &Value) -> Vec<&String> {
        value.as_object().map(|map| map.keys().collect()).unwrap_or_default()
    }
}
