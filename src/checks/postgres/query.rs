//! A check's statements: sent in one message, with the settings of its transaction.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::errors;
use super::pool::{Message, Pool, PoolRequest, Urgency, key};
use super::protocol::{DataRow, Response, StatementId, literal};
use super::spec::PostgresServer;
use crate::model::CheckError;
use crate::runtime::Context;

/// A statement that waits so long for a lock ends on the server, since others may wait behind it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// How long before the check's deadline the server ends a statement: so much, or a fifth of the time left if that is less,
/// is time for its response to arrive and to be judged. What was found before it is in the report then.
const REPORT_TIME: Duration = Duration::from_millis(250);
/// How a `limit` starts, whatever it is.
const LIMIT: &str = "SELECT set_config('statement_timeout', ";

/// Runs `statements` on a kept session of `server`, in one round trip. A session that turns out dead is replaced once.
pub async fn query(
    context: &Context,
    server: &PostgresServer,
    urgency: Urgency,
    statements: &[String],
) -> Result<Response, CheckError> {
    let key = key(server);
    let pool_of = |urgency: Urgency| context.process.shared::<Pool>(&format!("{urgency:?} {key}"));
    let (pool, other) = (pool_of(urgency), pool_of(urgency.other()));
    let message = Statements { server, text: statements.join(";\n") };
    let statement = StatementId::of(statements.iter().filter(|statement| !statement.starts_with(LIMIT)));
    let request = PoolRequest { context, server, statement, urgency, pool: &pool, other: &other };
    let mut response = request.query(&message).await?;
    if response.sets.is_empty() {
        let role = server.role.as_deref().unwrap_or_default();
        return Err(match response.failed.as_deref() {
            Some("22023" | errors::MISSING_RIGHT) if !role.is_empty() => CheckError::Rejected {
                target: response.target,
                reason: format!("the role {role:?} does not exist or may not be assumed").into(),
            },
            _ => response.error("change its own settings"),
        });
    }
    response.sets.remove(0);
    Ok(response)
}

/// Runs `guard`, and with it `statements` if what they need was there the last time. So a table or an extension that is
/// missing costs no error, which the server would log at each probe. `there` judges the guard's rows.
pub async fn query_guarded(
    context: &Context,
    server: &PostgresServer,
    urgency: Urgency,
    guard: String,
    there: impl Fn(&[DataRow]) -> bool,
    statements: Vec<String>,
) -> Result<Response, CheckError> {
    let known = context.process.shared::<GuardPassed>(&format!("{} {guard}", key(server)));
    let all: Vec<_> = std::iter::once(guard).chain(statements).collect();
    let (guard, _) = all.split_at(1);
    let expected = known.0.load(Ordering::Relaxed);
    let response = query(context, server, urgency, if expected { &all } else { guard }).await?;
    let there = there(response.rows(0));
    known.0.store(there, Ordering::Relaxed);
    if there && !expected { query(context, server, urgency, &all).await } else { Ok(response) }
}

/// Lets the statements behind it in one message run for at most `timeout` each, unless the user's options say how long.
pub fn limit(server: &PostgresServer, timeout: Duration) -> String {
    if server.options.as_deref().unwrap_or_default().contains("statement_timeout") {
        return "SELECT 1".to_owned();
    }
    format!("{LIMIT}'{}', true)", timeout.as_millis().max(1))
}

/// Whether the objects of a guard were there the last time.
#[derive(Default)]
struct GuardPassed(AtomicBool);

struct Statements<'a> {
    server: &'a PostgresServer,
    text: String,
}

impl Message for Statements<'_> {
    fn statement_timeout(&self, left: Duration) -> Duration {
        left - REPORT_TIME.min(left / 5)
    }

    fn text(&self, statement_timeout: Duration) -> String {
        format!("{};\n{}", settings(self.server, statement_timeout), self.text)
    }
}

/// The settings of one message's transaction, which end with it. What the user's options set stays as they set it.
fn settings(server: &PostgresServer, statement_timeout: Duration) -> String {
    let options = server.options.as_deref().unwrap_or_default();
    let ours = [
        ("transaction_read_only", "on".to_owned()),
        ("lock_timeout", LOCK_TIMEOUT.as_millis().to_string()),
        // 0 would be none.
        ("statement_timeout", statement_timeout.as_millis().max(1).to_string()),
    ];
    let ours = ours.into_iter().filter(|(name, _)| !options.contains(name));
    let role = server.role.iter().filter(|role| !role.is_empty()).map(|role| ("role", role.clone()));
    let calls: Vec<_> =
        ours.chain(role).map(|(name, value)| format!("set_config('{name}', {}, true)", literal(&value))).collect();
    format!("SELECT {}", calls.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statement_timeout_leaves_time_to_report() {
        let message = Statements { server: &PostgresServer::default(), text: String::new() };
        for (left, expected) in [(0, "'1'"), (500, "'400'"), (1_000, "'800'"), (5_000, "'4750'"), (10_000, "'9750'")] {
            let text = message.text(message.statement_timeout(Duration::from_millis(left)));
            assert!(text.contains(&format!("'statement_timeout', {expected}")), "{text}");
        }
    }

    #[test]
    fn configured_options_override_settings() {
        let server = PostgresServer {
            options: Some("-c statement_timeout=30s".into()),
            role: Some("o'role".into()),
            ..PostgresServer::default()
        };
        assert_eq!(limit(&server, Duration::from_secs(1)), "SELECT 1");
        assert_eq!(
            settings(&server, Duration::from_secs(5)),
            "SELECT set_config('transaction_read_only', 'on', true), set_config('lock_timeout', '1000', true), \
             set_config('role', 'o''role', true)"
        );
    }
}
