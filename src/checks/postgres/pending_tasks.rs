//! The task queue's depth: how many tasks are pending in each queue, and since when.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::protocol::Response;
use super::spec::PostgresServer;
use super::tasks::{missing, query_tables, right, subquery, validate};
use crate::checks::Check;
use crate::checks::fields::{counted, yes};
use crate::checks::thresholds::Thresholds;
use crate::model::{CheckError, Finding, SpecError};
use crate::runtime::Context;

/// How many queues the details list; the totals are of all.
const QUEUES: usize = 100;

/// The depth of the deepest queue (100, 500), and the age of the oldest task.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingTasksCheck {
    #[serde(alias = "url")]
    pub server: PostgresServer,
    /// One `SELECT` of three columns: queue (text), depth (integer), oldest (timestamp, may be null).
    pub sql: String,
    /// The tables that `sql` reads.
    pub tables: Vec<String>,
    /// False: if none of the tables exists the check is skipped.
    #[serde(default = "yes")]
    pub required: bool,
    /// The depth of the deepest queue.
    #[serde(default = "depth_thresholds")]
    pub thresholds: Thresholds,
}

#[async_trait]
impl Check for PendingTasksCheck {
    fn validate(&self) -> Result<(), SpecError> {
        validate(&self.server, &self.sql, &self.tables)
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let spec = self;
        let statement = format!(
            "SELECT left(q.queue::text, 200), q.depth::int8, sum(q.depth::int8) OVER (), max(q.depth::int8) OVER (), \
             max(extract(epoch FROM now() - q.oldest)::float8) OVER (), count(*) OVER () \
             FROM {} AS q(queue, depth, oldest) ORDER BY 2 DESC NULLS LAST LIMIT {QUEUES}",
            subquery(&spec.sql)
        );
        judge_pending(spec, &query_tables(context, &spec.server, &spec.tables, statement).await?)
    }
}

fn judge_pending(spec: &PendingTasksCheck, response: &Response) -> Result<Finding, CheckError> {
    if let Some(finding) = missing(response, &spec.tables, spec.required) {
        return Ok(finding);
    }
    if response.failed.is_some() || response.sets.len() < 2 {
        return Err(response.error(&right(&spec.tables)));
    }
    let rows = response.rows(1);
    let first = rows.first().cloned().unwrap_or_default();
    let (total, deepest, queues) = (first.count(2), first.count(3), first.count(5));
    let breakdown: Map<String, Value> =
        rows.iter().map(|row| (row.text(0).unwrap_or("(no queue)").to_owned(), json!(row.count(1)))).collect();
    let finding = Finding::new(
        spec.thresholds.judge(deepest as f64),
        format!("{} pending in {}, at most {deepest} in one", counted("task", total), counted("queue", queues)),
    );
    Ok(finding
        .with("total_pending", total)
        .with("max_queue_depth", deepest)
        .with("queue_count", queues)
        .with("queue_breakdown", breakdown)
        .with("oldest_pending_seconds", first.tenths(4).map(|seconds| seconds.max(0.0))))
}

fn depth_thresholds() -> Thresholds {
    Thresholds::new(100.0, 500.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::checks::postgres::protocol::tests::response;
    use crate::model::Status;

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
    fn depth_of_deepest_queue_is_judged() {
        let cases: [(&[&str], _, _); 5] = [
            (&[], Status::Healthy, json!({})),
            (&["a|100|103|100|1.26|2", "-|3|103|100|1.26|2"], Status::Healthy, json!({"a": 100, "(no queue)": 3})),
            (&["a|101|101|101|-|1"], Status::Degraded, json!({"a": 101})),
            (&["a|500|500|500|-|1"], Status::Degraded, json!({"a": 500})),
            (&["a|501|501|501|-|1"], Status::Error, json!({"a": 501})),
        ];
        for (rows, status, breakdown) in cases {
            let finding = judge_pending(&pending(true), &response(&[&[], rows], None)).unwrap();
            assert_eq!(finding.status, status, "{rows:?}");
            assert_eq!(finding.details["queue_breakdown"], breakdown);
        }
    }

    #[test]
    fn missing_tables_are_degraded_if_required() {
        for (required, status) in [(true, Status::Degraded), (false, Status::Skipped)] {
            let finding = judge_pending(&pending(required), &response(&[&["jobs"]], Some("42P01"))).unwrap();
            assert_eq!(finding.status, status);
        }
        let denied = judge_pending(&pending(true), &response(&[&[]], Some("42501"))).unwrap_err();
        assert!(denied.to_string().contains("lacks the right to read the tables jobs"), "{denied}");
        let stray = judge_pending(&pending(true), &response(&[&[]], Some("42P01"))).unwrap_err();
        assert_eq!(stray.code(), "RequestRejectedError");
    }
}
