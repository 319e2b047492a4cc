//! Further statements of a check: sent with its own in one message, each of them failing alone.
//!
//! A statement that fails ends its message, so those behind it are sent in another one; of a message with wrong syntax
//! nothing runs, so its statements are sent one by one. The statement that failed is then left out for [`RETRY_AFTER`]:
//! what a role may not read costs one line of the server's log now and then, and no round trip. A statement that is wrong
//! makes the result degraded: its author relies on what it was to find.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::time::Instant;

use super::errors;
use super::pool::{Urgency, key};
use super::protocol::{DataRow, Response};
use super::query::{limit, query};
use super::spec::PostgresServer;
use super::tasks::query_tables;
use crate::model::{CheckError, Finding, Status};
use crate::runtime::{Context, lock};

/// How long one statement may run on the server: the check's own answer must not be late for it.
const TIMEOUT: Duration = Duration::from_millis(500);
/// For so long a statement that failed is not sent again.
const RETRY_AFTER: Duration = Duration::from_secs(300);

/// A statement of one row, the detail that its first column gives, and the field of the specification that has it.
pub struct FurtherStatement {
    pub detail: &'static str,
    pub field: &'static str,
    pub sql: String,
}

/// The rows of the further statements, or why there is none, by the detail.
#[derive(Default)]
pub struct FurtherRows {
    rows: BTreeMap<&'static str, DataRow>,
    unavailable: BTreeMap<&'static str, String>,
    /// By the field, those that are wrong.
    wrong: BTreeMap<&'static str, String>,
}

impl FurtherRows {
    /// The number in the first column; `None` if it is null, or the statement was not configured or failed.
    pub fn count(&self, detail: &str) -> Option<u64> {
        let row = self.rows.get(detail)?;
        row.text(0).map(|_| row.count(0))
    }

    /// The age in the second column, in seconds.
    pub fn age(&self, detail: &str) -> Option<f64> {
        self.rows.get(detail)?.tenths(1).map(|seconds| seconds.max(0.0))
    }

    pub fn has(&self, detail: &str) -> bool {
        self.rows.contains_key(detail)
    }

    /// The finding with why details are missing; degraded at least where that is a wrong statement.
    pub fn explain(&self, mut finding: Finding) -> Finding {
        for (field, reason) in &self.wrong {
            finding.message = format!("{}; {field} is wrong: {reason}", finding.message);
            if finding.status != Status::Error {
                finding.status = Status::Degraded;
            }
        }
        if self.unavailable.is_empty() {
            return finding;
        }
        let reasons: Map<_, _> =
            self.unavailable.iter().map(|(detail, reason)| ((*detail).to_owned(), Value::from(&**reason))).collect();
        finding.with("unavailable", reasons)
    }

    /// Takes the rows of the statements that were run, and notes why the next one failed.
    fn take(&mut self, response: &mut Response, left: &mut VecDeque<FurtherStatement>, failures: &Failures) {
        let before = left.len();
        // The first set is that of the limit.
        for rows in std::mem::take(&mut response.sets).into_iter().skip(1) {
            if let Some(statement) = left.pop_front() {
                let none = || DataRow(vec![Some("0".to_owned())]);
                let row = rows.into_iter().next().unwrap_or_else(none);
                if row.integer(0).is_some_and(|number| number < 0) {
                    let reason = "it returned a number below 0".to_owned();
                    self.show(&statement, StatementFailure { reason, is_wrong: true });
                } else {
                    self.rows.insert(statement.detail, row);
                }
            }
        }
        if response.failed.is_some() || left.len() == before {
            self.fail(&response.error("read what it names"), left, failures);
        }
    }

    /// Notes why the next statement failed.
    fn fail(&mut self, error: &CheckError, left: &mut VecDeque<FurtherStatement>, failures: &Failures) {
        if let Some(statement) = left.pop_front() {
            let failure = StatementFailure { reason: error.to_string(), is_wrong: errors::is_of_statement(error) };
            self.show(&statement, failure.clone());
            failures.note(statement.sql, failure);
        }
    }

    fn show(&mut self, statement: &FurtherStatement, failure: StatementFailure) {
        if failure.is_wrong {
            self.wrong.insert(statement.field, failure.reason.clone());
        }
        self.unavailable.insert(statement.detail, failure.reason);
    }

    fn give_up(&mut self, left: &mut VecDeque<FurtherStatement>, reason: &str) {
        self.unavailable.extend(left.drain(..).map(|statement| (statement.detail, reason.to_owned())));
    }
}

/// Runs `statement` and with it `further` ones. First looks which of the tables that `statement` reads are missing.
pub async fn query_with_further(
    context: &Context,
    server: &PostgresServer,
    tables: &[String],
    statement: String,
    further: Vec<FurtherStatement>,
) -> Result<(Response, FurtherRows), CheckError> {
    let failures = context.process.shared::<Failures>(&key(server));
    let mut found = FurtherRows::default();
    let mut left = VecDeque::new();
    for statement in further {
        match failures.recent(&statement.sql) {
            Some(failure) => found.show(&statement, failure),
            None => left.push_back(statement),
        }
    }
    // The check's own statement comes first, and alone where it needed most of its time, or was not answered in time, in
    // the last run. A server that does not understand one statement runs none of its message.
    let slow = context.process.shared::<Slow>(&format!("{} {statement}", key(server)));
    let mut joined = !slow.0.swap(true, Ordering::Relaxed);
    let mut together = true;
    let mut all = vec![statement.clone()];
    if joined {
        all.extend(message(context, server, left.iter()));
    }
    let mut response = match query_tables(context, server, tables, all).await {
        Err(CheckError::Rejected { .. }) if joined && !left.is_empty() => {
            (joined, together) = (false, false);
            query_tables(context, server, tables, vec![statement]).await?
        }
        response => response?,
    };
    slow.0.store(response.after > context.timeout() / 2, Ordering::Relaxed);
    if response.sets.len() < 2 {
        return Ok((response, found));
    }
    let mut answers = joined.then(|| Response { sets: response.sets.split_off(2), ..response.clone() });
    response.failed = None;
    while !left.is_empty() {
        if let Some(mut answers) = answers.take() {
            found.take(&mut answers, &mut left, &failures);
            continue;
        }
        if context.time_left() < TIMEOUT * 2 {
            found.give_up(&mut left, "not run, since the time of the check was used up");
            break;
        }
        let number = if together { left.len() } else { 1 };
        let statements = message(context, server, left.iter().take(number));
        match query(context, server, Urgency::Diagnostic, &statements).await {
            Ok(next) => answers = Some(next),
            Err(CheckError::Rejected { .. }) if number > 1 => together = false,
            Err(error @ CheckError::Rejected { .. }) => found.fail(&error, &mut left, &failures),
            Err(error) => found.give_up(&mut left, &error.to_string()),
        }
    }
    Ok((response, found))
}

/// The statements behind the limit of their time; nothing if there is none.
fn message<'a>(
    context: &Context,
    server: &PostgresServer,
    statements: impl Iterator<Item = &'a FurtherStatement>,
) -> Vec<String> {
    let mut statements = statements.map(|statement| statement.sql.clone()).peekable();
    if statements.peek().is_none() {
        return Vec::new();
    }
    let timeout = TIMEOUT.min(context.time_left() / 8);
    std::iter::once(limit(server, timeout)).chain(statements).collect()
}

/// Whether the check's own statement was slow in the last run.
#[derive(Default)]
struct Slow(AtomicBool);

/// Why a statement failed, and whether it is the statement's own fault.
#[derive(Clone)]
struct StatementFailure {
    reason: String,
    is_wrong: bool,
}

/// The statements of one server that failed, when and why.
#[derive(Default)]
struct Failures(Mutex<BTreeMap<String, (Instant, StatementFailure)>>);

impl Failures {
    fn note(&self, sql: String, failure: StatementFailure) {
        lock(&self.0).insert(sql, (Instant::now(), failure));
    }

    fn recent(&self, sql: &str) -> Option<StatementFailure> {
        lock(&self.0).get(sql).filter(|(at, _)| at.elapsed() < RETRY_AFTER).map(|(_, failure)| failure.clone())
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::checks::postgres::protocol::tests::response;
    use serde_json::json;

    /// The rows of further statements, written as `response` has them.
    pub fn rows(given: &[(&'static str, &str)]) -> FurtherRows {
        let mut found = FurtherRows::default();
        for (detail, row) in given {
            let row = response(&[&[*row]], None).rows(0).first().cloned().unwrap_or_default();
            found.rows.insert(*detail, row);
        }
        found
    }

    fn statements(details: &[&'static str]) -> VecDeque<FurtherStatement> {
        let statement =
            |detail: &&'static str| FurtherStatement { detail, field: detail, sql: format!("SELECT {detail}") };
        details.iter().map(statement).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn statement_that_failed_costs_its_own_detail_and_is_left_out_for_a_while() {
        let failures = Failures::default();
        let mut found = FurtherRows::default();
        let mut left = statements(&["a", "b", "c"]);
        found.take(&mut response(&[&[], &["7|1.25"]], Some("42501")), &mut left, &failures);
        assert_eq!((found.count("a"), found.age("a")), (Some(7), Some(1.3)));
        assert_eq!(left.iter().map(|statement| statement.detail).collect::<Vec<_>>(), ["c"]);
        found.take(&mut response(&[&[], &["-|-"]], None), &mut left, &failures);
        assert_eq!((found.has("c"), found.count("c"), found.age("c")), (true, None, None));

        let details = found.explain(Finding::healthy("")).details;
        let reason = details.get("unavailable").and_then(|reasons| reasons.get("b")).and_then(Value::as_str);
        assert!(reason.is_some_and(|reason| reason.contains("lacks the right to read what it names")), "{details:?}");
        let recent = |sql| failures.recent(sql).map(|failure| failure.reason);
        assert_eq!(recent("SELECT b").as_deref(), reason);
        assert_eq!(recent("SELECT a"), None);
        tokio::time::advance(RETRY_AFTER).await;
        assert_eq!(recent("SELECT b"), None);
    }

    #[test]
    fn statement_that_is_wrong_is_degraded_also_while_it_is_left_out() {
        let failures = Failures::default();
        for (code, status) in [("42501", Status::Healthy), ("57014", Status::Healthy), ("42703", Status::Degraded)] {
            let mut found = FurtherRows::default();
            found.take(&mut response(&[&[]], Some(code)), &mut statements(&["a"]), &failures);
            let finding = found.explain(Finding::healthy("Fine"));
            assert_eq!(finding.status, status, "{code}");
            assert_eq!(finding.message.starts_with("Fine; a is wrong: db:5432"), status == Status::Degraded);
            let mut again = FurtherRows::default();
            for statement in statements(&["a"]) {
                failures.recent(&statement.sql).into_iter().for_each(|failure| again.show(&statement, failure));
            }
            assert_eq!(again.explain(Finding::error("Down")).status, Status::Error);
            assert_eq!(
                again.explain(Finding::skipped("Nothing")).status == Status::Degraded,
                status == Status::Degraded
            );
        }
    }

    #[test]
    fn number_below_0_is_wrong_and_costs_its_own_detail() {
        let mut found = FurtherRows::default();
        found.take(&mut response(&[&[], &["-1|2"], &["3"]], None), &mut statements(&["a", "b"]), &Failures::default());
        assert_eq!((found.has("a"), found.count("b")), (false, Some(3)));
        let finding = found.explain(Finding::healthy("Fine"));
        assert_eq!(finding.status, Status::Degraded);
        assert_eq!(finding.message, "Fine; a is wrong: it returned a number below 0");
    }

    #[test]
    fn no_row_is_none_of_them() {
        let mut found = FurtherRows::default();
        found.take(&mut response(&[&[], &[]], None), &mut statements(&["a"]), &Failures::default());
        assert_eq!((found.count("a"), found.age("a"), found.count("b")), (Some(0), None, None));
        assert_eq!(json!(found.explain(Finding::healthy("")).details), json!({}));
    }
}
