//! The task queue's depth: how many tasks are pending in each queue, and since when.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::further::{FurtherRows, FurtherStatement, query_with_further};
use super::protocol::Response;
use super::spec::PostgresServer;
use super::tasks::{
    count, count_and_age, fill, minutes_ago, missing, right, subquery, validate, validate_minutes, validate_statement,
};
use crate::checks::Check;
use crate::checks::fields::{counted, yes};
use crate::checks::flow::{FINISHED, with_flow};
use crate::checks::oldest_task::{day, judge_oldest, validate_oldest};
use crate::checks::thresholds::Thresholds;
use crate::model::{CheckError, Finding, SpecError, Status};
use crate::runtime::Context;

/// How many queues the details list; the totals are of all.
const QUEUES: usize = 100;

/// The depth of the deepest queue (100, 500), and the age of the oldest task. Overdue schedules make the result
/// degraded.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingTasksCheck {
    #[serde(alias = "url")]
    pub server: PostgresServer,
    /// One `SELECT` of three columns: queue (text), depth (integer), oldest (timestamp, may be null). `{now}` stands for
    /// the present and `{since}` for the start of the window, in every statement.
    pub sql: String,
    /// The tables that `sql` reads.
    pub tables: Vec<String>,
    /// False: if none of the tables exists the check is skipped.
    #[serde(default = "yes")]
    pub required: bool,
    /// The depth of the deepest queue.
    #[serde(default = "depth_thresholds")]
    pub thresholds: Thresholds,
    /// Degraded if the oldest task that could run has waited for longer, in seconds (86,400); 0 is no limit.
    #[serde(default = "day")]
    pub oldest_seconds: f64,
    /// One `SELECT count(*)` of the tasks that are not yet due.
    #[serde(default)]
    pub scheduled_sql: Option<String>,
    /// One `SELECT` of two columns: how many tasks are taken and not finished, and when the oldest was taken (timestamp,
    /// may be null).
    #[serde(default)]
    pub taken_sql: Option<String>,
    /// One `SELECT count(*)` of the tasks that have finished since `{since}`; null where that cannot be known.
    #[serde(default)]
    pub finished_sql: Option<String>,
    /// One `SELECT count(*)` of the schedules that were due before `{since}` and have not run.
    #[serde(default)]
    pub overdue_sql: Option<String>,
    /// The window in which finished tasks are counted, and by which a schedule may be late (5).
    #[serde(default = "window")]
    pub window_minutes: u32,
}

impl PendingTasksCheck {
    fn further(&self) -> Vec<FurtherStatement> {
        let since = minutes_ago(self.window_minutes);
        [
            self.taken_sql.as_ref().map(|sql| ("taken_tasks", "taken_sql", count_and_age(&fill(sql, &since)))),
            self.scheduled_sql.as_ref().map(|sql| ("scheduled_tasks", "scheduled_sql", count(&fill(sql, &since)))),
            self.overdue_sql.as_ref().map(|sql| ("overdue_schedules", "overdue_sql", count(&fill(sql, &since)))),
            // The last, since it may read the most.
            self.finished_sql.as_ref().map(|sql| (FINISHED, "finished_sql", count(&fill(sql, &since)))),
        ]
        .into_iter()
        .flatten()
        .map(|(detail, field, sql)| FurtherStatement { detail, field, sql })
        .collect()
    }
}

#[async_trait]
impl Check for PendingTasksCheck {
    fn validate(&self) -> Result<(), SpecError> {
        validate_minutes("window_minutes", self.window_minutes)?;
        validate_oldest(self.oldest_seconds)?;
        validate_statement("scheduled_sql", self.scheduled_sql.as_deref())?;
        validate_statement("taken_sql", self.taken_sql.as_deref())?;
        validate_statement("finished_sql", self.finished_sql.as_deref())?;
        validate_statement("overdue_sql", self.overdue_sql.as_deref())?;
        validate(&self.server, &self.sql, &self.tables)
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let spec = self;
        let statement = format!(
            "SELECT left(q.queue::text, 200), q.depth::int8, sum(q.depth::int8) OVER (), max(q.depth::int8) OVER (), \
             max(extract(epoch FROM now() - q.oldest)::float8) OVER (), count(*) OVER () \
             FROM {} AS q(queue, depth, oldest) ORDER BY 2 DESC NULLS LAST LIMIT {QUEUES}",
            subquery(&fill(&spec.sql, &minutes_ago(spec.window_minutes)))
        );
        let (response, further) =
            query_with_further(context, &spec.server, &spec.tables, statement, spec.further()).await?;
        Ok(further.explain(add_further(spec, judge_pending(spec, &response)?, &further)))
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
    let finding = finding
        .with("total_pending", total)
        .with("max_queue_depth", deepest)
        .with("queue_count", queues)
        .with("queue_breakdown", breakdown)
        .with("oldest_pending_seconds", first.tenths(4).map(|seconds| seconds.max(0.0)));
    Ok(judge_oldest(finding, spec.oldest_seconds))
}

/// The finding with what further statements returned.
fn add_further(spec: &PendingTasksCheck, mut finding: Finding, further: &FurtherRows) -> Finding {
    for detail in ["scheduled_tasks", "taken_tasks", "overdue_schedules"] {
        if let Some(number) = further.count(detail) {
            finding = finding.with(detail, number);
        }
    }
    if further.has("taken_tasks") {
        finding = finding.with("oldest_taken_seconds", further.age("taken_tasks"));
    }
    if let Some(finished) = further.count(FINISHED) {
        finding = with_flow(finding, finished as f64 / f64::from(spec.window_minutes));
    }
    match further.count("overdue_schedules") {
        None | Some(0) => finding,
        Some(overdue) => {
            let verb = if overdue == 1 { "is" } else { "are" };
            let message = format!("{}; {} {verb} overdue", finding.message, counted("schedule", overdue));
            let status = if finding.status == Status::Error { Status::Error } else { Status::Degraded };
            Finding { status, message, ..finding }
        }
    }
}

fn window() -> u32 {
    5
}

fn depth_thresholds() -> Thresholds {
    Thresholds::new(100.0, 500.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::checks::postgres::further::tests::rows;
    use crate::checks::postgres::protocol::tests::response;

    fn pending(required: bool) -> PendingTasksCheck {
        PendingTasksCheck {
            server: PostgresServer::default(),
            sql: String::new(),
            tables: vec!["jobs".to_owned()],
            required,
            thresholds: Thresholds { degraded_above: 100.0, error_above: 500.0 },
            oldest_seconds: day(),
            scheduled_sql: None,
            taken_sql: None,
            finished_sql: None,
            overdue_sql: None,
            window_minutes: 5,
        }
    }

    #[test]
    fn wait_of_a_task_follows_from_the_flow() {
        let cases = [(300, "150", 30.0, json!(600.0)), (300, "0", 0.0, json!(null)), (0, "7", 1.4, json!(0.0))];
        for (pending_tasks, finished, flow, wait) in cases {
            let finding = Finding::healthy("").with("total_pending", pending_tasks);
            let details = add_further(&pending(true), finding, &rows(&[(FINISHED, finished)])).details;
            assert_eq!((&details[FINISHED], &details["expected_wait_seconds"]), (&json!(flow), &wait));
        }
        let unknown = add_further(&pending(true), Finding::healthy(""), &rows(&[(FINISHED, "-")]));
        assert!(unknown.details.is_empty(), "{unknown:?}");
    }

    #[test]
    fn overdue_schedule_is_degraded_and_taken_and_scheduled_tasks_are_not() {
        for (status, overdue, expected) in [
            (Status::Healthy, "0", Status::Healthy),
            (Status::Healthy, "1", Status::Degraded),
            (Status::Error, "2", Status::Error),
        ] {
            let further = rows(&[("overdue_schedules", overdue), ("taken_tasks", "9|12.34"), ("scheduled_tasks", "8")]);
            let finding = add_further(&pending(true), Finding::new(status, "x"), &further);
            assert_eq!(finding.status, expected, "{overdue}");
            assert_eq!(finding.message.ends_with("overdue"), overdue != "0", "{}", finding.message);
            assert_eq!(finding.details["taken_tasks"], json!(9));
            assert_eq!(finding.details["oldest_taken_seconds"], json!(12.3));
            assert_eq!(finding.details["scheduled_tasks"], json!(8));
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
    fn oldest_task_is_judged_beside_the_depth() {
        let finding = judge_pending(&pending(true), &response(&[&[], &["a|1|1|1|90000|1"]], None)).unwrap();
        assert_eq!(finding.status, Status::Degraded);
        assert!(finding.message.ends_with("; the oldest has waited for 90000 s"), "{}", finding.message);
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
