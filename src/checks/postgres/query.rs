//! A check's statements: sent in one message, with the settings of its transaction.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::errors;
use super::pool::{Pool, PoolRequest, Urgency, key};
use super::protocol::{DataRow, Response, literal};
use super::spec::PostgresServer;
use crate::model::CheckError;
use crate::runtime::Context;

/// A statement that waits so long for a lock ends on the server, since others may wait behind it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// Likewise one that runs longer than this, or than most of its check's time where that is more.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(4);

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
    let text = format!("{};\n{}", settings(server, 2 * context.patience()), statements.join(";\n"));
    let mut response = PoolRequest { context, server, urgency, pool: &pool, other: &other }.query(&text).await?;
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

/// Whether the objects of a guard were there the last time.
#[derive(Default)]
struct GuardPassed(AtomicBool);

/// The settings of one message's transaction, which end with it. What the user's options set stays as they set it.
fn settings(server: &PostgresServer, left: Duration) -> String {
    let options = server.options.as_deref().unwrap_or_default();
    let ours = [
        ("transaction_read_only", "on".to_owned()),
        ("lock_timeout", LOCK_TIMEOUT.as_millis().to_string()),
        ("statement_timeout", STATEMENT_TIMEOUT.max(left * 4 / 5).as_millis().to_string()),
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
    fn statement_timeout_is_most_of_the_time_left() {
        for (left, expected) in [(1, "'4000'"), (5, "'4000'"), (10, "'8000'")] {
            let settings = settings(&PostgresServer::default(), Duration::from_secs(left));
            assert!(settings.contains(expected), "{settings}");
        }
    }

    #[test]
    fn configured_options_override_settings() {
        let server = PostgresServer {
            options: Some("-c statement_timeout=30s".into()),
            role: Some("o'role".into()),
            ..PostgresServer::default()
        };
        assert_eq!(
            settings(&server, Duration::from_secs(5)),
            "SELECT set_config('transaction_read_only', 'on', true), set_config('lock_timeout', '1000', true), \
             set_config('role', 'o''role', true)"
        );
    }
}
