//! The task queue's failures and workers, by its tables.

use async_trait::async_trait;
use serde::Deserialize;

use super::objects::{named, no_task_queue};
use super::pool::Urgency;
use super::protocol::{Response, names};
use super::query::query_guarded;
use crate::checks::Check;
use crate::checks::fields::{counted, yes};
use crate::checks::postgres::PostgresServer;
use crate::checks::thresholds::Thresholds;
use crate::model::{CheckError, Finding, SpecError, Status};
use crate::runtime::Context;

/// Runs `statement`, and first looks which of the tables that it reads are missing.
pub async fn query_tables(
    context: &Context,
    server: &PostgresServer,
    tables: &[String],
    statement: String,
) -> Result<Response, CheckError> {
    let missing = format!("SELECT l.name FROM {} WHERE to_regclass(l.name) IS NULL ORDER BY l.place", names(tables));
    query_guarded(context, server, Urgency::Diagnostic, missing, <[_]>::is_empty, vec![statement]).await
}

/// The finding if the statement was not run, or failed, since its tables are missing.
pub fn missing(response: &Response, tables: &[String], required: bool) -> Option<Finding> {
    let names: Vec<_> = response.rows(0).iter().filter_map(|row| row.text(0)).collect();
    if names.is_empty() || response.sets.len() > 1 {
        return None;
    }
    if names.len() == tables.len() && !required {
        return Some(no_task_queue());
    }
    Some(Finding::degraded(format!("Missing tables of the task queue: {}", names.join(", "))))
}

/// What a role needs to run the statement.
pub fn right(tables: &[String]) -> String {
    format!("read the tables {}", tables.join(", "))
}

/// A configured statement as a subquery: without its semicolon, and its last line may be a comment.
pub fn subquery(sql: &str) -> String {
    format!("({}\n)", sql.trim().trim_end_matches(';'))
}

/// Refuses what no statement and no tables can be.
pub fn validate(server: &PostgresServer, sql: &str, tables: &[String]) -> Result<(), SpecError> {
    if sql.trim().is_empty() || sql.contains('\0') {
        return Err(SpecError(format!("sql must be one SELECT statement, not {sql:?}")));
    }
    named("tables", tables)?;
    server.validate()
}

/// A configured count of what happened within the window.
fn count(sql: &str, window_minutes: u32) -> String {
    let since = format!("(now() - interval '{window_minutes} minutes')");
    format!("SELECT q.n::int8 FROM {} AS q(n) LIMIT 1", subquery(&sql.replace("{since}", &since)))
}

/// The number that a statement of `count` returned; no rows are 0.
fn number(response: &Response, tables: &[String]) -> Result<u64, CheckError> {
    match response.failed {
        None if response.sets.len() > 1 => Ok(response.rows(1).first().map_or(0, |row| row.count(0))),
        _ => Err(response.error(&right(tables))),
    }
}

/// Failures (5, 20) within `window_minutes` (60).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailedTasksCheck {
    #[serde(alias = "url")]
    pub server: PostgresServer,
    /// One `SELECT count(*)`; `{since}` stands for the start of the window.
    pub sql: String,
    /// The tables that `sql` reads.
    pub tables: Vec<String>,
    /// False: if none of the tables exists the check is skipped.
    #[serde(default = "yes")]
    pub required: bool,
    #[serde(default = "failure_window")]
    pub window_minutes: u32,
    #[serde(default = "failure_thresholds")]
    pub thresholds: Thresholds,
}

#[async_trait]
impl Check for FailedTasksCheck {
    fn validate(&self) -> Result<(), SpecError> {
        if self.window_minutes == 0 {
            return Err(SpecError("window_minutes must be at least 1, not 0".to_owned()));
        }
        validate(&self.server, &self.sql, &self.tables)
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let spec = self;
        let statement = count(&spec.sql, spec.window_minutes);
        judge_failed(spec, &query_tables(context, &spec.server, &spec.tables, statement).await?)
    }
}

fn judge_failed(spec: &FailedTasksCheck, response: &Response) -> Result<Finding, CheckError> {
    if let Some(finding) = missing(response, &spec.tables, spec.required) {
        return Ok(finding);
    }
    let failed = number(response, &spec.tables)?;
    let window = spec.window_minutes;
    let message = format!("{} failed in the last {}", counted("task", failed), counted("minute", u64::from(window)));
    Ok(Finding::new(spec.thresholds.judge(failed as f64), message)
        .with("failed_count_last_hour", failed)
        .with("window_minutes", window))
}

/// Workers with a heartbeat within `heartbeat_window_minutes` (5), against `expected_workers` (1).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskWorkersCheck {
    #[serde(alias = "url")]
    pub server: PostgresServer,
    /// One `SELECT count(*)`; `{since}` stands for the start of the window.
    pub sql: String,
    /// The tables that `sql` reads.
    pub tables: Vec<String>,
    /// False: if none of the tables exists the check is skipped.
    #[serde(default = "yes")]
    pub required: bool,
    #[serde(default = "heartbeat_window")]
    pub heartbeat_window_minutes: u32,
    #[serde(default = "one")]
    pub expected_workers: u32,
}

#[async_trait]
impl Check for TaskWorkersCheck {
    fn validate(&self) -> Result<(), SpecError> {
        if self.heartbeat_window_minutes == 0 {
            return Err(SpecError("heartbeat_window_minutes must be at least 1, not 0".to_owned()));
        }
        validate(&self.server, &self.sql, &self.tables)
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let spec = self;
        let statement = count(&spec.sql, spec.heartbeat_window_minutes);
        judge_workers(spec, &query_tables(context, &spec.server, &spec.tables, statement).await?)
    }
}

fn judge_workers(spec: &TaskWorkersCheck, response: &Response) -> Result<Finding, CheckError> {
    if let Some(finding) = missing(response, &spec.tables, spec.required) {
        return Ok(finding);
    }
    let active = number(response, &spec.tables)?;
    let (expected, window) = (spec.expected_workers, spec.heartbeat_window_minutes);
    let status = match active {
        enough if enough >= u64::from(expected) => Status::Healthy,
        0 => Status::Error,
        _ => Status::Degraded,
    };
    let message = format!(
        "{active} of {} sent a heartbeat in the last {}",
        counted("expected worker", u64::from(expected)),
        counted("minute", u64::from(window))
    );
    Ok(Finding::new(status, message)
        .with("active_workers", active)
        .with("expected_workers", expected)
        .with("heartbeat_window_minutes", window))
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
    use crate::checks::postgres::protocol::tests::response;
    use crate::checks::thresholds::Thresholds;

    #[test]
    fn number_of_failures_is_judged() {
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
            let finding = judge_failed(&spec, &response(&[&[], &[count]], None)).unwrap();
            assert_eq!(finding.status, status, "{count}");
        }
        assert_eq!(judge_failed(&spec, &response(&[&[], &[]], None)).unwrap().status, Status::Healthy);
        assert!(judge_failed(&spec, &response(&[&[]], Some("42601"))).is_err());
    }

    #[test]
    fn fewer_workers_than_expected_are_degraded_and_none_is_error() {
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
            let finding = judge_workers(&spec, &response(&[&[], &[count]], None)).unwrap();
            assert_eq!(finding.status, status, "{count} of {expected_workers}");
        }
    }

    #[test]
    fn window_replaces_since() {
        assert_eq!(
            count("SELECT count(*) FROM jobs WHERE at > {since}; ", 5),
            "SELECT q.n::int8 FROM (SELECT count(*) FROM jobs WHERE at > (now() - interval '5 minutes')\n) AS q(n) LIMIT 1"
        );
    }
}
