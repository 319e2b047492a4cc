//! Objects that the application needs in the database: functions, tables, materialized views.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::pool::Urgency;
use super::protocol::{DataRow, Response, literal, names};
use super::query::query;
use super::spec::PostgresServer;
use crate::checks::Check;
use crate::checks::fields::yes;
use crate::model::{CheckError, Finding, SpecError};
use crate::runtime::Context;

/// The named functions exist.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresFunctionsCheck {
    #[serde(alias = "url")]
    pub server: PostgresServer,
    /// Names, with or without their schema.
    pub functions: Vec<String>,
    /// False: if none of the functions exists the check is skipped, since they are not part of this application.
    #[serde(default = "yes")]
    pub required: bool,
}

#[async_trait]
impl Check for PostgresFunctionsCheck {
    fn validate(&self) -> Result<(), SpecError> {
        named("functions", &self.functions)?;
        self.server.validate()
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        if self.functions.is_empty() {
            return Ok(no_functions());
        }
        let statement = functions_statement(&self.functions);
        judge_functions(self, &query(context, &self.server, Urgency::Vital, &[statement]).await?)
    }
}

fn no_functions() -> Finding {
    Finding::skipped("None of the functions exists: set LIFESIGNS[\"POSTGRESQL_FUNCTIONS\"] to those to be checked")
}

/// A name without a schema must be found the way a call finds it.
fn functions_statement(functions: &[String]) -> String {
    let rows: Vec<_> = functions
        .iter()
        .map(|name| match name.rsplit_once('.') {
            Some((schema, function)) => {
                format!("({}, {}, {})", literal(name), literal(schema), literal(function))
            }
            None => format!("({}, NULL, {0})", literal(name)),
        })
        .collect();
    format!(
        "SELECT l.name, EXISTS (SELECT 1 FROM pg_proc p WHERE p.proname = l.function::name \
         AND CASE WHEN l.schema IS NULL THEN pg_function_is_visible(p.oid) \
         ELSE p.pronamespace::regnamespace::text = quote_ident(l.schema) END) FROM (VALUES {}) AS l(name, schema, function)",
        rows.join(", ")
    )
}

fn judge_functions(spec: &PostgresFunctionsCheck, response: &Response) -> Result<Finding, CheckError> {
    let rows = complete(response, spec.functions.len())?;
    let missing = lacking(rows);
    let available = rows.len() - missing.len();
    if available == 0 && !spec.required {
        return Ok(no_functions());
    }
    let state = |row: &DataRow| if row.is_true(1) { "available" } else { "missing" };
    let functions: Map<_, _> = rows.iter().map(|row| (name(row), Value::from(state(row)))).collect();
    let finding = match &missing[..] {
        [] => Finding::healthy(format!("All {available} functions exist")),
        names => Finding::error(format!("Missing functions: {}", names.join(", "))),
    };
    Ok(finding.with("functions", functions).with("total_functions", rows.len()).with("available_count", available))
}

/// The tables of the task queue `backend` exist.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskTablesCheck {
    #[serde(alias = "url")]
    pub server: PostgresServer,
    pub backend: String,
    pub tables: Vec<String>,
    /// False: if none of the tables exists the check is skipped.
    #[serde(default = "yes")]
    pub required: bool,
}

#[async_trait]
impl Check for TaskTablesCheck {
    fn validate(&self) -> Result<(), SpecError> {
        named("tables", &self.tables)?;
        self.server.validate()
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        if self.tables.is_empty() {
            return Ok(no_task_queue());
        }
        let statement =
            format!("SELECT l.name, to_regclass(l.name) IS NOT NULL FROM {} ORDER BY l.place", names(&self.tables));
        judge_tables(self, &query(context, &self.server, Urgency::Vital, &[statement]).await?)
    }
}

/// Refuses an empty name in a list of names.
pub fn named(field: &str, names: &[String]) -> Result<(), SpecError> {
    if names.iter().any(|name| name.is_empty() || name.contains('\0')) {
        return Err(SpecError(format!("{field} must contain names, none of them empty")));
    }
    Ok(())
}

pub fn no_task_queue() -> Finding {
    Finding::skipped("There are no tables of a task queue: set LIFESIGNS[\"TASK_QUEUE\"] to the queue in use")
}

fn judge_tables(spec: &TaskTablesCheck, response: &Response) -> Result<Finding, CheckError> {
    let rows = complete(response, spec.tables.len())?;
    let missing = lacking(rows);
    let count = rows.len() - missing.len();
    if count == 0 && !spec.required {
        return Ok(no_task_queue());
    }
    let finding = match &missing[..] {
        [] if count == 1 => Finding::healthy("The table of the task queue exists"),
        [] => Finding::healthy(format!("All {count} tables of the task queue exist")),
        names => Finding::error(format!("Missing tables of the task queue: {}", names.join(", "))),
    };
    Ok(finding
        .with("task_tables_available", missing.is_empty())
        .with("table_count", count)
        .with("missing_tables", missing)
        .with("backend", &*spec.backend))
}

/// The named materialized views exist and are populated.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaterializedViewsCheck {
    #[serde(alias = "url")]
    pub server: PostgresServer,
    /// Names, with or without their schema.
    pub views: Vec<String>,
}

#[async_trait]
impl Check for MaterializedViewsCheck {
    fn validate(&self) -> Result<(), SpecError> {
        named("views", &self.views)?;
        self.server.validate()
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        if self.views.is_empty() {
            return Ok(Finding::skipped(
                "No materialized view is configured: set LIFESIGNS[\"MATERIALIZED_VIEWS\"] to those in use",
            ));
        }
        let statement = format!(
            "SELECT l.name, coalesce(c.relkind = 'm' AND c.relispopulated, false), c.relkind = 'm' FROM {} \
             LEFT JOIN pg_class c ON c.oid = to_regclass(l.name) ORDER BY l.place",
            names(&self.views)
        );
        judge_views(self, &query(context, &self.server, Urgency::Diagnostic, &[statement]).await?)
    }
}

fn judge_views(spec: &MaterializedViewsCheck, response: &Response) -> Result<Finding, CheckError> {
    let rows = complete(response, spec.views.len())?;
    let missing = lacking(rows);
    let state = |row: &DataRow| match (row.is_true(1), row.text(2)) {
        (true, _) => "populated",
        (false, Some("t")) => "not populated",
        (false, Some(_)) => "not a materialized view",
        (false, None) => "missing",
    };
    let views: Map<_, _> = rows.iter().map(|row| (name(row), Value::from(state(row)))).collect();
    let finding = match &missing[..] {
        [] => Finding::healthy(format!("All {} materialized views are populated", rows.len())),
        names => Finding::degraded(format!("No populated view {}: using fallback queries", names.join(", ")))
            .with("note", "using fallback queries"),
    };
    Ok(finding.with("materialized_views", views))
}

/// One row for each of the expected names.
fn complete(response: &Response, expected: usize) -> Result<&[DataRow], CheckError> {
    let rows = response.rows(0);
    if rows.len() == expected { Ok(rows) } else { Err(response.error("read the system catalogs")) }
}

fn name(row: &DataRow) -> String {
    row.text(0).unwrap_or_default().to_owned()
}

/// The names of the rows that are false.
fn lacking(rows: &[DataRow]) -> Vec<String> {
    rows.iter().filter(|row| !row.is_true(1)).map(name).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::checks::postgres::PostgresServer;
    use crate::checks::postgres::protocol::tests::response;
    use crate::model::Status;
    use serde_json::json;

    fn two() -> Vec<String> {
        vec!["a".to_owned(), "s.b".to_owned()]
    }

    #[test]
    fn functions_are_looked_up_by_schema_where_one_is_named() {
        let statement = functions_statement(&two());
        assert!(statement.contains("(VALUES ('a', NULL, 'a'), ('s.b', 's', 'b'))"), "{statement}");
    }

    #[test]
    fn missing_function_is_error_unless_all_are_missing_and_optional() {
        let cases = [
            (["a|t", "s.b|t"], true, Status::Healthy, Some(2)),
            (["a|t", "s.b|f"], true, Status::Error, Some(1)),
            (["a|t", "s.b|f"], false, Status::Error, Some(1)),
            (["a|f", "s.b|f"], true, Status::Error, Some(0)),
            (["a|f", "s.b|f"], false, Status::Skipped, None),
        ];
        for (rows, required, status, available) in cases {
            let spec = PostgresFunctionsCheck { server: PostgresServer::default(), functions: two(), required };
            let finding = judge_functions(&spec, &response(&[&rows], None)).unwrap();
            assert_eq!(finding.status, status, "{rows:?} {required}");
            assert_eq!(finding.details.get("available_count"), available.map(|n: usize| json!(n)).as_ref());
            assert_eq!(finding.message.contains("POSTGRESQL_FUNCTIONS"), status == Status::Skipped);
        }
    }

    #[test]
    fn missing_table_is_error_unless_all_are_missing_and_optional() {
        let cases = [
            (["a|t", "s.b|t"], true, Status::Healthy),
            (["a|t", "s.b|f"], false, Status::Error),
            (["a|f", "s.b|f"], true, Status::Error),
            (["a|f", "s.b|f"], false, Status::Skipped),
        ];
        for (rows, required, status) in cases {
            let (server, backend) = (PostgresServer::default(), "procrastinate".to_owned());
            let spec = TaskTablesCheck { server, backend, tables: two(), required };
            let finding = judge_tables(&spec, &response(&[&rows], None)).unwrap();
            assert_eq!(finding.status, status, "{rows:?} {required}");
        }
    }

    #[test]
    fn unpopulated_view_is_degraded() {
        let cases = [
            (["a|t|t", "s.b|t|t"], Status::Healthy, "populated"),
            (["a|f|t", "s.b|t|t"], Status::Degraded, "not populated"),
            (["a|f|f", "s.b|t|t"], Status::Degraded, "not a materialized view"),
            (["a|f|-", "s.b|t|t"], Status::Degraded, "missing"),
        ];
        for (rows, status, state) in cases {
            let spec = MaterializedViewsCheck { server: PostgresServer::default(), views: two() };
            let finding = judge_views(&spec, &response(&[&rows], None)).unwrap();
            assert_eq!(finding.status, status, "{rows:?}");
            assert_eq!(finding.details["materialized_views"]["a"], json!(state));
            assert_eq!(finding.message.contains("using fallback queries"), status == Status::Degraded);
        }
    }

    #[test]
    fn an_incomplete_answer_is_an_error() {
        let spec = MaterializedViewsCheck { server: PostgresServer::default(), views: two() };
        assert_eq!(judge_views(&spec, &response(&[&["a|t|t"]], None)).unwrap_err().code(), "ProtocolError");
        let denied = judge_views(&spec, &response(&[], Some("42501"))).unwrap_err();
        assert_eq!(denied.code(), "RequestRejectedError");
    }
}
