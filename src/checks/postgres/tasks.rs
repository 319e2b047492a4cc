//! What the checks of a task queue's tables share, and the first of them: its failures.

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
use crate::model::{CheckError, Finding, SpecError};
use crate::runtime::Context;

/// Runs `statements`, and first looks which of the tables that they read are missing.
pub async fn query_tables(
    context: &Context,
    server: &PostgresServer,
    tables: &[String],
    statements: Vec<String>,
) -> Result<Response, CheckError> {
    let missing = format!("SELECT l.name FROM {} WHERE to_regclass(l.name) IS NULL ORDER BY l.place", names(tables));
    query_guarded(context, server, Urgency::Diagnostic, missing, <[_]>::is_empty, statements).await
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
    validate_statement("sql", Some(sql))?;
    named("tables", tables)?;
    server.validate()
}

/// Refuses what no statement can be; one that is left out is none.
pub fn validate_statement(field: &str, sql: Option<&str>) -> Result<(), SpecError> {
    match sql {
        Some(sql) if sql.trim().is_empty() || sql.contains('\0') => {
            Err(SpecError(format!("{field} must be one SELECT statement")))
        }
        _ => Ok(()),
    }
}

/// Refuses a window without length.
pub fn validate_minutes(field: &str, minutes: u32) -> Result<(), SpecError> {
    if minutes == 0 { Err(SpecError(format!("{field} must be at least 1, not 0"))) } else { Ok(()) }
}

/// The time so many minutes ago.
pub fn minutes_ago(minutes: u32) -> String {
    format!("(now() - interval '{minutes} minutes')")
}

/// A configured statement with its placeholders filled in.
pub fn fill(sql: &str, since: &str) -> String {
    sql.replace("{since}", since).replace("{now}", "now()")
}

/// A configured count.
pub fn count(sql: &str) -> String {
    format!("SELECT q.n::int8 FROM {} AS q(n) LIMIT 1", subquery(sql))
}

/// A configured count with the time of the oldest, of which the age is selected.
pub fn count_and_age(sql: &str) -> String {
    format!(
        "SELECT q.n::int8, extract(epoch FROM now() - q.oldest)::float8 FROM {} AS q(n, oldest) LIMIT 1",
        subquery(sql)
    )
}

/// A configured time, of which the age is selected as `count_and_age` does.
pub fn only_age(sql: &str) -> String {
    format!("SELECT NULL::int8, extract(epoch FROM now() - q.at)::float8 FROM {} AS q(at) LIMIT 1", subquery(sql))
}

/// The number that a statement of `count` returned; no rows are 0.
pub fn number(response: &Response, tables: &[String]) -> Result<u64, CheckError> {
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
    /// One `SELECT count(*)`; `{since}` stands for the start of the window, `{now}` for the present.
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
        validate_minutes("window_minutes", self.window_minutes)?;
        validate(&self.server, &self.sql, &self.tables)
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let spec = self;
        let statement = count(&fill(&spec.sql, &minutes_ago(spec.window_minutes)));
        judge_failed(spec, &query_tables(context, &spec.server, &spec.tables, vec![statement]).await?)
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

fn failure_thresholds() -> Thresholds {
    Thresholds::new(5.0, 20.0)
}

fn failure_window() -> u32 {
    60
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::checks::postgres::protocol::tests::response;
    use crate::model::Status;

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
    fn placeholders_are_replaced() {
        let sql = fill("SELECT count(*) FROM jobs WHERE at > {since} AND due <= {now}; ", &minutes_ago(5));
        let expected = "(SELECT count(*) FROM jobs WHERE at > (now() - interval '5 minutes') AND due <= now()\n)";
        assert_eq!(count(&sql), format!("SELECT q.n::int8 FROM {expected} AS q(n) LIMIT 1"));
        assert!(count_and_age(&sql).ends_with(&format!("FROM {expected} AS q(n, oldest) LIMIT 1")));
    }
}
