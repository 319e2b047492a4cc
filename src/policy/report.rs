//! The judgement of the whole from the facts of its parts, and both as JSON: pure.

pub mod fields;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use fields::{Field, Key};
use serde::{Serialize, Serializer};

use crate::model::{CircuitStatus, LastError, Outcome, Status};

/// One check in a report.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: Arc<str>,
    pub critical: bool,
    pub outcome: Arc<Outcome>,
    /// Known before the request.
    pub cached: bool,
    /// How old a cached outcome is.
    pub age: Option<Duration>,
    /// Not known within the caller's budget; `outcome` says so.
    pub pending: bool,
    pub circuit: Option<CircuitStatus>,
    /// The parent that is in error; `outcome` says so.
    pub blocked_by: Option<Arc<str>>,
    /// When the check took its status, where it was found by a run.
    pub since: Option<SystemTime>,
    /// The last run in error, unless `outcome` is that run.
    pub last_error: Option<LastError>,
}

impl Row {
    /// A row of an outcome with nothing beside it.
    pub fn new(name: Arc<str>, critical: bool, outcome: Arc<Outcome>) -> Self {
        let (age, circuit, blocked_by, since, last_error) = (None, None, None, None, None);
        Self { name, critical, outcome, cached: false, age, pending: false, circuit, blocked_by, since, last_error }
    }
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

/// Whether a critical one is in error. A process without critical checks is ready.
pub fn are_failing<'a>(rows: impl IntoIterator<Item = &'a Row>) -> bool {
    rows.into_iter().any(|row| row.critical && row.outcome.status == Status::Error)
}

/// What a report on no check at all says.
pub const NO_CHECKS: &str = "No checks are registered";
/// What a report on a group says of which no check is left.
pub const EMPTY_GROUP: &str = "None of the group's checks is registered";

/// What a report on a group says that names critical checks of which none is registered.
pub const NO_CRITICAL_CHECKS: &str = "None of the group's critical checks is registered";

/// How much of what is known is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    Everything,
    /// What anonymous callers may see: the status, not the reason.
    Statuses,
}

/// The whole and its parts at one moment.
pub struct Report {
    pub rows: Vec<Row>,
    pub uptime: Duration,
    pub at: SystemTime,
    correlation_id: OnceLock<String>,
    /// Why there is no check to report on, or none that the group calls critical, if so: nothing is known, which must not look healthy.
    pub void: Option<&'static str>,
}

impl Report {
    /// The report on what is known now, by a process that has been there for `uptime`.
    pub fn now(rows: Vec<Row>, uptime: Duration, void: Option<&'static str>) -> Self {
        Self { rows, uptime, at: SystemTime::now(), correlation_id: OnceLock::new(), void }
    }

    /// Also in every log line of the sweep. Made when it is first read: most probes show none.
    pub fn correlation_id(&self) -> &str {
        self.correlation_id.get_or_init(|| uuid::Uuid::new_v4().to_string())
    }

    pub fn health(&self) -> Health {
        if self.void.is_some() { Health::Unhealthy } else { Health::of(&self.rows) }
    }

    pub fn message(&self) -> &'static str {
        self.void.unwrap_or_else(|| self.health().message())
    }
}

/// A report as it is shown.
pub struct ReportOf<'a>(pub &'a Report, pub Shown);

impl Serialize for ReportOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(fields::of_report(self.0, self.1))
    }
}

/// One result as it is shown.
pub struct ResultOf<'a>(pub &'a Row, pub Shown);

impl Serialize for ResultOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(fields::of_result(self.0, self.1))
    }
}

/// Results by name.
pub struct ResultsOf<'a>(pub &'a [Row], pub Shown);

impl Serialize for ResultsOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|row| (&*row.name, ResultOf(row, self.1))))
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Count(count) => count.serialize(serializer),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Details(details) => details.serialize(serializer),
            Self::LastError(error) => serializer.collect_map(fields::of_last_error(error)),
            Self::Summary(rows) => serializer.collect_map(fields::of_summary(rows)),
            Self::Results(results) => results.serialize(serializer),
        }
    }
}

/// ISO 8601 in UTC with microseconds. By hand: every result has one, and a formatter takes four times as long.
pub fn timestamp(at: SystemTime) -> String {
    let Ok(at) = jiff::Timestamp::try_from(at) else { return String::new() };
    let at = jiff::tz::Offset::UTC.to_datetime(at);
    let mut text = String::with_capacity(27);
    let mut number = |value: u32, mut unit: u32, end: char| {
        while unit > 0 {
            text.push(char::from_digit(value / unit % 10, 10).unwrap_or_default());
            unit /= 10;
        }
        text.push(end);
    };
    number(at.year().unsigned_abs().into(), 1_000, '-');
    number(at.month().unsigned_abs().into(), 10, '-');
    number(at.day().unsigned_abs().into(), 10, 'T');
    number(at.hour().unsigned_abs().into(), 10, ':');
    number(at.minute().unsigned_abs().into(), 10, ':');
    number(at.second().unsigned_abs().into(), 10, '.');
    number(at.subsec_nanosecond().unsigned_abs() / 1_000, 100_000, 'Z');
    text
}

pub fn rounded(value: f64, decimals: i32) -> f64 {
    let factor = 10f64.powi(decimals);
    (value * factor).round() / factor
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;
    use crate::model::CircuitState;
    use crate::model::Finding;
    use serde_json::Value;
    use tokio::time::Instant;

    fn row(status: Status, critical: bool) -> Row {
        row_of(Outcome::of(Ok(Finding::new(status, "m")), Instant::now(), Duration::from_secs(5)), critical)
    }

    fn row_of(outcome: Outcome, critical: bool) -> Row {
        Row::new("x".into(), critical, Arc::new(outcome))
    }

    fn json(shown: impl Serialize) -> Value {
        serde_json::to_value(shown).unwrap_or_default()
    }

    fn summary(rows: Vec<Row>) -> Value {
        json(ReportOf(&Report::now(rows, Duration::ZERO, None), Shown::Everything))["summary"].clone()
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
        let counted = summary(rows.to_vec());
        assert_eq!(counted["total_checks"], 4);
        assert_eq!(counted["health_percentage"], 66.7);
        assert_eq!(summary(vec![row(Status::Skipped, true)])["health_percentage"], 100.0);
    }

    #[test]
    fn timestamps_are_iso_8601_in_utc() {
        let seconds = [0, 951_868_799, 1_709_164_800, 4_102_444_799];
        for at in seconds.map(|seconds| SystemTime::UNIX_EPOCH + Duration::new(seconds, 1_500_999)) {
            let expected = jiff::Timestamp::try_from(at).map(|at| format!("{at:.6}"));
            assert_eq!(expected.ok(), Some(timestamp(at)));
        }
        assert_eq!(timestamp(SystemTime::UNIX_EPOCH), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn a_result_leaves_out_what_does_not_apply() {
        let shown = json(ResultOf(&row(Status::Healthy, true), Shown::Everything));
        assert_eq!(keys(&shown), ["status", "message", "timestamp", "duration_ms", "cached"]);
    }

    #[test]
    fn anybody_sees_how_it_is_and_not_why() {
        let outcome = Outcome {
            timeout: Some(Duration::from_secs(5)),
            raw_status: Some(Status::Healthy),
            error_type: Some("TimeoutError".to_owned()),
            ..Outcome::of(Ok(Finding::error("why").with("key", "why")), Instant::now(), Duration::from_secs(5))
        };
        let row = Row {
            age: Some(Duration::from_secs(2)),
            cached: true,
            circuit: Some(CircuitStatus { state: CircuitState::Open, retry_after: Some(Duration::from_secs(1)) }),
            blocked_by: Some("parent".into()),
            last_error: Some(LastError {
                message: "why".to_owned(),
                error_type: Some("why".to_owned()),
                at: SystemTime::now(),
            }),
            since: Some(SystemTime::now()),
            ..row_of(outcome, true)
        };
        let shown = json(ReportOf(&Report::now(vec![row], Duration::ZERO, None), Shown::Statuses));
        assert_eq!(keys(&shown["checks"]["x"]), ["status", "timestamp", "cached", "age_seconds"]);
        assert!(!shown.to_string().contains("why"));
    }

    fn keys(value: &Value) -> Vec<&String> {
        value.as_object().map(|map| map.keys().collect()).unwrap_or_default()
    }
}
