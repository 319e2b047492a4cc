//! Connectivity: `SELECT 1`, the server's version, and the number of Django's sessions.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

use super::pool::Urgency;
use super::protocol::{DataRow, Response};
use super::query::query_guarded;
use super::spec::PostgresServer;
use crate::checks::Check;
use crate::model::{CheckError, Finding, SpecError};
use crate::runtime::Context;

/// Sessions are counted up to this number; beyond it the planner's estimate is reported. A count of all rows of a table
/// that has grown to millions would be the most expensive thing that a probe does.
const COUNTED: u32 = 10_000;

/// `SELECT 1`, the version, and the number of Django sessions where their table exists.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresCheck {
    #[serde(alias = "url")]
    pub server: PostgresServer,
}

#[async_trait]
impl Check for PostgresCheck {
    fn validate(&self) -> Result<(), SpecError> {
        self.server.validate()
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let guard = "SELECT 1, left(current_setting('server_version'), 100), \
                     has_table_privilege(to_regclass('django_session')::oid, 'SELECT')";
        let sessions = format!(
            "SELECT CASE WHEN n <= {COUNTED} THEN n ELSE greatest(n, (SELECT reltuples::int8 FROM pg_class \
             WHERE oid = to_regclass('django_session'))) END, n > {COUNTED} FROM (SELECT count(*) AS n FROM \
             (SELECT 1 FROM django_session LIMIT {COUNTED} + 1) AS first) AS counted"
        );
        let there = |rows: &[DataRow]| rows.first().is_some_and(|row| row.is_true(2));
        judge(&query_guarded(context, &self.server, Urgency::Vital, guard.to_owned(), there, vec![sessions]).await?)
    }
}

/// A session count that fails (a lock, a table dropped since) does no harm to the rest.
fn judge(response: &Response) -> Result<Finding, CheckError> {
    let row = response.row(0, "run SELECT 1")?;
    if row.integer(0) != Some(1) {
        return Err(CheckError::Protocol { target: response.target.clone(), expected: "PostgreSQL".into() });
    }
    let sessions = response.rows(1).first();
    let finding = Finding::healthy("Connected")
        .with("database_version", row.text(1))
        .with("session_count", sessions.and_then(|row| row.integer(0)).map_or(Value::Null, Value::from))
        .with("connection_status", "connected");
    Ok(if sessions.is_some_and(|row| row.is_true(1)) { finding.with("session_count_estimated", true) } else { finding })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::checks::postgres::protocol::tests::response;
    use crate::model::Status;

    #[test]
    fn sessions_are_counted_if_readable() {
        let cases: [(&[&[&str]], _, _); 5] = [
            (&[&["1|15.4|t"], &["12|f"]], None, Value::from(12)),
            (&[&["1|15.4|t"], &["2000000|t"]], None, Value::from(2_000_000)),
            (&[&["1|15.4|t"]], Some("42P01"), Value::Null),
            (&[&["1|15.4|t"]], Some("55P03"), Value::Null),
            (&[&["1|15.4|-"]], None, Value::Null),
        ];
        for (sets, failed, count) in cases {
            let finding = judge(&response(sets, failed)).unwrap();
            assert_eq!(finding.status, Status::Healthy);
            assert_eq!(finding.details["session_count"], count);
            assert_eq!(finding.details["database_version"], "15.4");
        }
    }

    #[test]
    fn a_wrong_answer_is_an_error() {
        assert_eq!(judge(&response(&[&["2|15.4|t"]], None)).unwrap_err().code(), "ProtocolError");
        assert_eq!(judge(&response(&[], Some("57014"))).unwrap_err().code(), "TimeoutError");
    }
}
