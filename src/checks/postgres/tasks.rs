//! How the task queue fares, by its tables: what waits, what failed, who works.

use crate::checks::fields::yes;
use crate::checks::thresholds::Thresholds;
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{Answer, names};
use super::connection;
use super::objects::no_task_queue;
use crate::checks::Check;
use crate::checks::postgres::PostgresServer;
use crate::model::{CheckError, Finding, Status};
use crate::runtime::Context;

/// How many queues stand in the details; the totals are of all.
const QUEUES: usize = 100;

/// Asks `statement`, and first which of the tables that it reads are missing.
async fn ask(
    context: &Context,
    server: &PostgresServer,
    tables: &[String],
    statement: String,
) -> Result<Answer, CheckError> {
    let missing = format!("SELECT l.name FROM {} WHERE to_regclass(l.name) IS NULL ORDER BY l.place", names(tables));
    connection::ask_guarded(context, server, missing, <[_]>::is_empty, vec![statement]).await
}

/// What to say where the statement was not run, or failed, since its tables are missing.
fn missing(answer: &Answer, tables: &[String], required: bool) -> Option<Finding> {
    let names: Vec<_> = answer.rows(0).iter().filter_map(|row| row.text(0)).collect();
    if names.is_empty() || answer.sets.len() > 1 {
        return None;
    }
    if names.len() == tables.len() && !required {
        return Some(no_task_queue());
    }
    Some(Finding::degraded(format!("missing tables of the task queue: {}", names.join(", "))))
}

fn right(tables: &[String]) -> String {
    format!("read the tables {}", tables.join(", "))
}

/// A configured statement as a subquery: without its semicolon, and its last line may be a comment.
fn subquery(sql: &str) -> String {
    format!("({}\n)", sql.trim().trim_end_matches(';'))
}

/// A configured count of what happened within the window.
fn count(sql: &str, window_minutes: u32) -> String {
    let since = format!("(now() - interval '{window_minutes} minutes')");
    format!("SELECT q.n::int8 FROM {} AS q(n) LIMIT 1", subquery(&sql.replace("{since}", &since)))
}

/// The number that a statement of `count` returned; of no rows it is 0.
fn counted(answer: &Answer, tables: &[String]) -> Result<u64, CheckError> {
    match answer.failed {
        None if answer.sets.len() > 1 => Ok(answer.rows(1).first().map_or(0, |row| row.count(0))),
        _ => Err(answer.error(&right(tables))),
    }
}

/// The depth of the deepest queue (100, 500).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingTasksCheck {
    pub server: PostgresServer,
    /// One `SELECT` of three columns: queue (text), depth (integer), oldest (timestamp, may be null).
    pub sql: String,
    /// The tables that `sql` reads.
    pub tables: Vec<String>,
    #[serde(default = "yes")]
    pub required: bool,
    #[serde(default = "depth_thresholds")]
    pub thresholds: Thresholds,
}

#[async_trait]
impl Check for PendingTasksCheck {
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let spec = self;
        let statement = format!(
            "SELECT left(q.queue::text, 200), q.depth::int8, sum(q.depth::int8) OVER (), max(q.depth::int8) OVER (), \
             max(extract(epoch FROM now() - q.oldest)::float8) OVER (), count(*) OVER () \
             FROM {} AS q(queue, depth, oldest) ORDER BY 2 DESC NULLS LAST LIMIT {QUEUES}",
            subquery(&spec.sql)
        );
        judge_pending(spec, &ask(context, &spec.server, &spec.tables, statement).await?)
    }
}

fn judge_pending(spec: &PendingTasksCheck, answer: &Answer) -> Result<Finding, CheckError> {
    if let Some(finding) = missing(answer, &spec.tables, spec.required) {
        return Ok(finding);
    }
    if answer.failed.is_some() || answer.sets.len() < 2 {
        return Err(answer.error(&right(&spec.tables)));
    }
    let rows = answer.rows(1);
    let first = rows.first().cloned().unwrap_or_default();
    let (total, deepest, queues) = (first.count(2), first.count(3), first.count(5));
    let breakdown: Map<String, Value> =
        rows.iter().map(|row| (row.text(0).unwrap_or("(no queue)").to_owned(), json!(row.count(1)))).collect();
    let finding = Finding::new(
        spec.thresholds.judge(deepest as f64),
        format!("{total} tasks wait in {queues} queues, at most {deepest} in one"),
    );
    Ok(finding
        .with("total_pending", total)
        .with("max_queue_depth", deepest)
        .with("queue_count", queues)
        .with("queue_breakdown", breakdown)
        .with("oldest_pending_seconds", first.tenths(4).map(|seconds| seconds.max(0.0))))
}

/// Failures (5, 20) within `window_minutes` (60).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailedTasksCheck {
    pub server: PostgresServer,
    /// One `SELECT count(*)`; `{since}` stands for the start of the window.
    pub sql: String,
    pub tables: Vec<String>,
    #[serde(default = "yes")]
    pub required: bool,
    #[serde(default = "failure_window")]
    pub window_minutes: u32,
    #[serde(default = "failure_thresholds")]
    pub thresholds: Thresholds,
}

#[async_trait]
impl Check for FailedTasksCheck {
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let spec = self;
        let statement = count(&spec.sql, spec.window_minutes);
        judge_failed(spec, &ask(context, &spec.server, &spec.tables, statement).await?)
    }
}

fn judge_failed(spec: &FailedTasksCheck, answer: &Answer) -> Result<Finding, CheckError> {
    if let Some(finding) = missing(answer, &spec.tables, spec.required) {
        return Ok(finding);
    }
    let failed = counted(answer, &spec.tables)?;
    let window = spec.window_minutes;
    let message = format!("{failed} tasks failed in the last {window} minutes");
    Ok(Finding::new(spec.thresholds.judge(failed as f64), message)
        .with("failed_count_last_hour", failed)
        .with("window_minutes", window))
}

/// Workers seen within `heartbeat_window_minutes` (5), against `expected_workers` (1).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskWorkersCheck {
    pub server: PostgresServer,
    /// One `SELECT count(*)`; `{since}` stands for the start of the window.
    pub sql: String,
    pub tables: Vec<String>,
    #[serde(default = "yes")]
    pub required: bool,
    #[serde(default = "heartbeat_window")]
    pub heartbeat_window_minutes: u32,
    #[serde(default = "one")]
    pub expected_workers: u32,
}

#[async_trait]
impl Check for TaskWorkersCheck {
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let spec = self;
        let statement = count(&spec.sql, spec.heartbeat_window_minutes);
        judge_workers(spec, &ask(context, &spec.server, &spec.tables, statement).await?)
    }
}

fn judge_workers(spec: &TaskWorkersCheck, answer: &Answer) -> Result<Finding, CheckError> {
    if let Some(finding) = missing(answer, &spec.tables, spec.required) {
        return Ok(finding);
    }
    let active = counted(answer, &spec.tables)?;
    let (expected, window) = (spec.expected_workers, spec.heartbeat_window_minutes);
    let status = match active {
        enough if enough >= u64::from(expected) => Status::Healthy,
        0 => Status::Error,
        _ => Status::Degraded,
    };
    let message = format!("{active} of {expected} expected workers gave a sign of life in the last {window} minutes");
    Ok(Finding::new(status, message)
        .with("active_workers", active)
        .with("expected_workers", expected)
        .with("heartbeat_window_minutes", window))
}

fn depth_thresholds() -> Thresholds {
    Thresholds::new(100.0, 500.0)
}

fn failure_thresholds() -> Thresholds {
    Thresholds::new(5.0, 20.0)
}

fn failure_window() -> u32 {
    60
}

fn heartbeat_window() -> u32 {
    5
}

fn one() -> u32 {
    1
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::checks::postgres::answer::tests::answer;
    use crate::checks::thresholds::Thresholds;

    fn pending(required: bool) -> PendingTasksCheck {
        PendingTasksCheck {
            server: PostgresServer::default(),
            sql: String::new(),
            tables: vec!["jobs".to_owned()],
            required,
            thresholds: Thresholds { degraded_above: 100.0, error_above: 500.0 },
        }
    }

    #[test]
    fn the_deepest_queue_decides() {
        let cases: [(&[&str], _, _); 5] = [
            (&[], Status::Healthy, json!({})),
            (&["a|100|103|100|1.26|2", "-|3|103|100|1.26|2"], Status::Healthy, json!({"a": 100, "(no queue)": 3})),
            (&["a|101|101|101|-|1"], Status::Degraded, json!({"a": 101})),
            (&["a|500|500|500|-|1"], Status::Degraded, json!({"a": 500})),
            (&["a|501|501|501|-|1"], Status::Error, json!({"a": 501})),
        ];
        for (rows, status, breakdown) in cases {
            let finding = judge_pending(&pending(true), &answer(&[&[], rows], None)).unwrap();
            assert_eq!(finding.status, status, "{rows:?}");
            assert_eq!(finding.details["queue_breakdown"], breakdown);
        }
    }

    #[test]
    fn missing_tables_are_degraded_where_they_are_required() {
        for (required, status) in [(true, Status::Degraded), (false, Status::Skipped)] {
            let finding = judge_pending(&pending(required), &answer(&[&["jobs"]], Some("42P01"))).unwrap();
            assert_eq!(finding.status, status);
        }
        let denied = judge_pending(&pending(true), &answer(&[&[]], Some("42501"))).unwrap_err();
        assert!(denied.to_string().contains("lacks the right to read the tables jobs"), "{denied}");
        let stray = judge_pending(&pending(true), &answer(&[&[]], Some("42P01"))).unwrap_err();
        assert_eq!(stray.code(), "RequestRejectedError");
    }

    #[test]
    fn the_number_of_failures_decides() {
        let spec = FailedTasksCheck {
            server: PostgresServer::default(),
            sql: String::new(),
            tables: vec!["jobs".to_owned()],
            required: true,
            window_minutes: 60,
            thresholds: Thresholds { degraded_above: 5.0, error_above: 20.0 },
        };
        let cases = [
            ("0", Status::Healthy),
            ("5", Status::Healthy),
            ("6", Status::Degraded),
            ("20", Status::Degraded),
            ("21", Status::Error),
        ];
        for (count, status) in cases {
            let finding = judge_failed(&spec, &answer(&[&[], &[count]], None)).unwrap();
            assert_eq!(finding.status, status, "{count}");
        }
        assert_eq!(judge_failed(&spec, &answer(&[&[], &[]], None)).unwrap().status, Status::Healthy);
        assert!(judge_failed(&spec, &answer(&[&[]], Some("42601"))).is_err());
    }

    #[test]
    fn fewer_workers_than_expected_are_degraded_and_none_is_an_error() {
        let cases = [
            (2, "3", Status::Healthy),
            (2, "2", Status::Healthy),
            (2, "1", Status::Degraded),
            (2, "0", Status::Error),
            (0, "0", Status::Healthy),
        ];
        for (expected_workers, count, status) in cases {
            let spec = TaskWorkersCheck {
                server: PostgresServer::default(),
                sql: String::new(),
                tables: vec!["workers".to_owned()],
                required: true,
                heartbeat_window_minutes: 5,
                expected_workers,
            };
            let finding = judge_workers(&spec, &answer(&[&[], &[count]], None)).unwrap();
            assert_eq!(finding.status, status, "{count} of {expected_workers}");
        }
    }

    #[test]
    fn the_window_stands_in_for_since() {
        assert_eq!(
            count("SELECT count(*) FROM jobs WHERE at > {since}; ", 5),
            "SELECT q.n::int8 FROM (SELECT count(*) FROM jobs WHERE at > (now() - interval '5 minutes')\n) AS q(n) LIMIT 1"
        );
    }
}
