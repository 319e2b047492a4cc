//! The task queue's workers, by their heartbeats in its tables.

use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;

use super::further::{FurtherRows, FurtherStatement, query_with_further};
use super::pool::key;
use super::protocol::Response;
use super::tasks::{
    count, count_and_age, fill, minutes_ago, missing, number, only_age, right, validate, validate_minutes,
    validate_statement,
};
use crate::checks::Check;
use crate::checks::fields::{counted, yes};
use crate::checks::postgres::PostgresServer;
use crate::checks::worker_sightings::WorkerSightings;
use crate::model::{CheckError, Finding, SpecError, Status};
use crate::runtime::Context;

const LAST_HEARTBEAT: &str = "last_heartbeat_seconds";
/// Before every row.
const EVER: &str = "timestamptz '1970-01-02 00:00+00'";

/// Workers with a heartbeat within `heartbeat_window_minutes` (5), against `expected_workers` (1). Stuck tasks make the
/// result degraded.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskWorkersCheck {
    #[serde(alias = "url")]
    pub server: PostgresServer,
    /// One `SELECT count(*)` of workers; `{since}` stands for the start of the window, `{now}` for the present, in every
    /// statement. None where workers leave no heartbeat: only stuck tasks are judged then.
    #[serde(default)]
    pub sql: Option<String>,
    /// The tables that `sql` reads.
    pub tables: Vec<String>,
    /// False: if none of the tables exists the check is skipped.
    #[serde(default = "yes")]
    pub required: bool,
    #[serde(default = "heartbeat_window")]
    pub heartbeat_window_minutes: u32,
    #[serde(default = "one")]
    pub expected_workers: u32,
    /// One `SELECT` of the time at which any worker last sent a heartbeat (timestamp, may be null).
    #[serde(default)]
    pub last_heartbeat_sql: Option<String>,
    /// One `SELECT` of two columns: how many tasks are running, and since when the oldest is (timestamp, may be null).
    #[serde(default)]
    pub running_sql: Option<String>,
    /// One `SELECT count(*)` of the tasks that are stuck, since their worker died. `{stuck_since}` stands for the time
    /// `stuck_after_minutes` (60) ago.
    #[serde(default)]
    pub stuck_sql: Option<String>,
    #[serde(default = "stuck_after")]
    pub stuck_after_minutes: u32,
}

impl TaskWorkersCheck {
    /// The workers within the window and, if there is none, those of any time: they distinguish rows that are old
    /// from rows that are gone.
    fn statement(&self) -> String {
        let Some(sql) = &self.sql else { return "SELECT NULL".to_owned() };
        let counted = |since: &str| count(&fill(sql, since));
        let since = minutes_ago(self.heartbeat_window_minutes);
        format!("SELECT w.n, CASE WHEN w.n = 0 THEN ({}) END FROM ({}) AS w(n)", counted(EVER), counted(&since))
    }

    fn further(&self) -> Vec<FurtherStatement> {
        let since = minutes_ago(self.heartbeat_window_minutes);
        let statement = |detail, field, sql| FurtherStatement { detail, field, sql };
        let last = self.last_heartbeat_sql.as_ref();
        let last = last.map(|sql| statement(LAST_HEARTBEAT, "last_heartbeat_sql", only_age(&fill(sql, &since))));
        let running = self.running_sql.as_ref();
        let running = running.map(|sql| statement("running_tasks", "running_sql", count_and_age(&fill(sql, &since))));
        let stuck_since = minutes_ago(self.stuck_after_minutes);
        let stuck = self.stuck_sql.as_ref().map(|sql| sql.replace("{stuck_since}", &stuck_since));
        let stuck = stuck.map(|sql| statement("stuck_tasks", "stuck_sql", count(&fill(&sql, &since))));
        [last, running, stuck].into_iter().flatten().collect()
    }
}

#[async_trait]
impl Check for TaskWorkersCheck {
    fn validate(&self) -> Result<(), SpecError> {
        validate_minutes("heartbeat_window_minutes", self.heartbeat_window_minutes)?;
        validate_minutes("stuck_after_minutes", self.stuck_after_minutes)?;
        validate_statement("last_heartbeat_sql", self.last_heartbeat_sql.as_deref())?;
        validate_statement("running_sql", self.running_sql.as_deref())?;
        validate_statement("stuck_sql", self.stuck_sql.as_deref())?;
        match [&self.sql, &self.stuck_sql, &self.running_sql].into_iter().flatten().next() {
            Some(first) => validate(&self.server, self.sql.as_ref().unwrap_or(first), &self.tables),
            None => Err(SpecError("sql must be one SELECT statement, or stuck_sql must be given".to_owned())),
        }
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let (server, statement) = (&self.server, self.statement());
        let sightings = WorkerSightings::new(context, &format!("{} {statement}", key(server)));
        let (response, further) = query_with_further(context, server, &self.tables, statement, self.further()).await?;
        let window = Duration::from_secs(60 * u64::from(self.heartbeat_window_minutes));
        judge_workers(self, &response, &further, |active, rows| sightings.note(active, rows, window))
    }
}

fn judge_workers(
    spec: &TaskWorkersCheck,
    response: &Response,
    further: &FurtherRows,
    signed_off: impl Fn(u64, u64) -> Option<Duration>,
) -> Result<Finding, CheckError> {
    if let Some(finding) = missing(response, &spec.tables, spec.required) {
        return Ok(finding);
    }
    let active = number(response, &spec.tables)?;
    let mut finding = if spec.sql.is_some() {
        let known = response.rows(1).first().map_or(0, |row| row.count(1));
        judge_heartbeats(spec, active, signed_off(active, known))
    } else if response.failed.is_some() {
        return Err(response.error(&right(&spec.tables)));
    } else {
        Finding::skipped("The workers of this task queue leave no heartbeat in the database")
    };
    if further.has(LAST_HEARTBEAT) {
        let age = further.age(LAST_HEARTBEAT);
        if let (0, Some(age), Status::Degraded | Status::Error) = (active, age, finding.status) {
            finding.message = format!("{}; the last heartbeat was {age} s ago", finding.message);
        }
        finding = finding.with(LAST_HEARTBEAT, age);
    }
    if further.has("running_tasks") {
        finding = finding
            .with("running_tasks", further.count("running_tasks"))
            .with("oldest_running_seconds", further.age("running_tasks"));
    }
    if let Some(stuck) = further.count("stuck_tasks") {
        finding = finding.with("stuck_tasks", stuck);
        if stuck > 0 {
            let verb = if stuck == 1 { "is" } else { "are" };
            finding.message = format!("{}; {} {verb} stuck", finding.message, counted("task", stuck));
            if finding.status != Status::Error {
                finding.status = Status::Degraded;
            }
        }
    }
    Ok(further.explain(finding))
}

fn judge_heartbeats(spec: &TaskWorkersCheck, active: u64, signed_off: Option<Duration>) -> Finding {
    let (expected, window) = (spec.expected_workers, spec.heartbeat_window_minutes);
    let status = match active {
        enough if enough >= u64::from(expected) => Status::Healthy,
        0 if signed_off.is_none() => Status::Error,
        _ => Status::Degraded,
    };
    let mut message = format!(
        "{active} of {expected} expected workers sent a heartbeat in the last {}",
        counted("minute", u64::from(window))
    );
    if let (Status::Degraded, Some(ago)) = (status, signed_off) {
        message = format!("No worker is registered any more; the last one was less than {} s ago", ago.as_secs() + 1);
    }
    Finding::new(status, message)
        .with("active_workers", active)
        .with("expected_workers", expected)
        .with("heartbeat_window_minutes", window)
}

fn heartbeat_window() -> u32 {
    5
}

fn stuck_after() -> u32 {
    60
}

fn one() -> u32 {
    1
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::checks::postgres::further::tests::rows;
    use crate::checks::postgres::protocol::tests::response;
    use serde_json::json;

    fn workers(expected_workers: u32) -> TaskWorkersCheck {
        TaskWorkersCheck {
            server: PostgresServer::default(),
            sql: Some("SELECT count(*) FROM workers WHERE at >= {since};".to_owned()),
            tables: vec!["workers".to_owned()],
            required: true,
            heartbeat_window_minutes: 5,
            expected_workers,
            last_heartbeat_sql: None,
            running_sql: Some("SELECT 1, at FROM jobs".to_owned()),
            stuck_sql: Some("SELECT 1 FROM jobs WHERE at < {stuck_since}".to_owned()),
            stuck_after_minutes: 60,
        }
    }

    #[test]
    fn fewer_workers_than_expected_are_degraded_and_none_is_error() {
        let cases = [
            (2, "3|-", Status::Healthy),
            (2, "2|-", Status::Healthy),
            (2, "1|-", Status::Degraded),
            (2, "0|2", Status::Error),
            (0, "0|0", Status::Healthy),
        ];
        for (expected, row, status) in cases {
            let response = response(&[&[], &[row]], None);
            let finding = judge_workers(&workers(expected), &response, &FurtherRows::default(), |_, _| None).unwrap();
            assert_eq!(finding.status, status, "{row} of {expected}");
        }
    }

    #[test]
    fn stuck_task_is_degraded() {
        let cases = [
            ("2|-", "0", Status::Healthy, ""),
            ("2|-", "1", Status::Degraded, "; 1 task is stuck"),
            ("0|2", "3", Status::Error, "; 3 tasks are stuck"),
        ];
        for (row, stuck, status, message) in cases {
            let further = rows(&[("stuck_tasks", stuck), ("running_tasks", "4|61.26")]);
            let finding = judge_workers(&workers(2), &response(&[&[], &[row]], None), &further, |_, _| None).unwrap();
            assert_eq!(finding.status, status, "{row} {stuck}");
            assert!(finding.message.ends_with(message), "{}", finding.message);
            assert_eq!(finding.details["oldest_running_seconds"], json!(61.3));
        }
    }

    #[test]
    fn last_heartbeat_is_in_the_message_where_no_worker_is_left() {
        for (row, last, said) in [
            ("1|-", "-|2.3", "1 of 1 expected workers sent a heartbeat in the last 5 minutes"),
            (
                "0|1",
                "-|613.04",
                "0 of 1 expected workers sent a heartbeat in the last 5 minutes; the last heartbeat was 613 s ago",
            ),
            ("0|0", "-|-", "0 of 1 expected workers sent a heartbeat in the last 5 minutes"),
        ] {
            let further = rows(&[(LAST_HEARTBEAT, last)]);
            let finding = judge_workers(&workers(1), &response(&[&[], &[row]], None), &further, |_, _| None).unwrap();
            assert_eq!(finding.message, said);
            assert!(finding.details.contains_key(LAST_HEARTBEAT));
        }
    }

    #[test]
    fn queue_without_heartbeats_is_skipped_unless_tasks_are_stuck() {
        let spec = TaskWorkersCheck { sql: None, ..workers(1) };
        for (stuck, status) in [("0", Status::Skipped), ("1", Status::Degraded)] {
            let further = rows(&[("stuck_tasks", stuck)]);
            let finding = judge_workers(&spec, &response(&[&[], &["-"]], None), &further, |_, _| None).unwrap();
            assert_eq!((finding.status, finding.details.contains_key("active_workers")), (status, false));
        }
        assert!(TaskWorkersCheck { stuck_sql: None, running_sql: None, ..spec }.validate().is_err());
    }

    #[test]
    fn workers_that_removed_themselves_are_degraded() {
        let finding = judge_heartbeats(&workers(2), 0, Some(Duration::from_secs(7)));
        assert_eq!(finding.status, Status::Degraded);
        assert_eq!(finding.message, "No worker is registered any more; the last one was less than 8 s ago");
    }

    #[test]
    fn statements_have_the_windows_of_the_check() {
        let spec = workers(1);
        assert_eq!(
            spec.statement(),
            "SELECT w.n, CASE WHEN w.n = 0 THEN (SELECT q.n::int8 FROM (SELECT count(*) FROM workers WHERE at >= \
             timestamptz '1970-01-02 00:00+00'\n) AS q(n) LIMIT 1) END FROM (SELECT q.n::int8 FROM (SELECT count(*) \
             FROM workers WHERE at >= (now() - interval '5 minutes')\n) AS q(n) LIMIT 1) AS w(n)"
        );
        assert!(spec.further()[1].sql.contains("at < (now() - interval '60 minutes')"));
    }
}
