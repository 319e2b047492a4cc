//! The way to a session: one kept per server and process, opened once however many checks ask for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::answer::{Answer, Row, literal};
use super::login::connect;
use super::session::Session;
use super::sqlstate;
use crate::checks::postgres::PostgresServer;
use crate::model::{CheckError, Phase};
use crate::net;
use crate::runtime::Context;

/// A statement that waits so long for a lock ends on the server, since those of other checks wait behind it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// Likewise one that runs longer than this, or than most of its check's time where that is more.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(4);

/// Runs `statements` on the kept session of `server`, in one round trip. A session that turns out dead is replaced once.
pub async fn ask(context: &Context, server: &PostgresServer, statements: &[String]) -> Result<Answer, CheckError> {
    let hub = context.process.shared::<Hub>(&key(server));
    let text = format!("{};\n{}", settings(server, 2 * context.patience()), statements.join(";\n"));
    let mut answer = hub.ask(context, server, &text).await?;
    if answer.sets.is_empty() {
        let role = server.role.as_deref().unwrap_or_default();
        return Err(match answer.failed.as_deref() {
            Some("22023" | sqlstate::MISSING_RIGHT) if !role.is_empty() => CheckError::Rejected {
                target: answer.target,
                reason: format!("the role {role:?} does not exist or may not be assumed").into(),
            },
            _ => answer.error("change its own settings"),
        });
    }
    answer.sets.remove(0);
    Ok(answer)
}

/// Runs `guard`, and with it `statements` if what they need was there the last time. So a table or an extension that is
/// missing costs no error, which the server would log at each probe. `there` judges the guard's rows.
pub async fn ask_guarded(
    context: &Context,
    server: &PostgresServer,
    guard: String,
    there: impl Fn(&[Row]) -> bool,
    statements: Vec<String>,
) -> Result<Answer, CheckError> {
    let known = context.process.shared::<Known>(&format!("{} {guard}", key(server)));
    let all: Vec<_> = std::iter::once(guard).chain(statements).collect();
    let (guard, _) = all.split_at(1);
    let expected = known.0.load(Ordering::Relaxed);
    let answer = ask(context, server, if expected { &all } else { guard }).await?;
    let there = there(answer.rows(0));
    known.0.store(there, Ordering::Relaxed);
    if there && !expected { ask(context, server, &all).await } else { Ok(answer) }
}

/// Whether the objects of a guard were there the last time.
#[derive(Default)]
struct Known(AtomicBool);

/// Tells servers, databases and users apart. The password does not show in `Debug`, and does tell logins apart.
fn key(server: &PostgresServer) -> String {
    format!("{server:?} {}", server.password.as_ref().map_or("", |password| password.expose()))
}

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

/// The kept session of one server.
#[derive(Default)]
struct Hub {
    slot: tokio::sync::Mutex<Slot>,
    /// How many attempts to connect have ended.
    attempts: AtomicU64,
}

impl Drop for Hub {
    /// The task that drives a session holds on to it: it has to be told.
    fn drop(&mut self) {
        if let Some(session) = self.slot.get_mut().session.take() {
            session.close();
        }
    }
}

#[derive(Default)]
struct Slot {
    session: Option<Arc<Session>>,
    failure: Option<CheckError>,
    /// The server refused our own start-up parameter once.
    plain: bool,
}

impl Hub {
    async fn ask(&self, context: &Context, server: &PostgresServer, text: &str) -> Result<Answer, CheckError> {
        let (session, kept) = self.session(context, server).await?;
        context.enter(Phase::Query);
        let asked = Instant::now();
        let anew = || async {
            session.close();
            let (session, _) = self.session(context, server).await?;
            context.enter(Phase::Query);
            session.ask(text).await
        };
        if !kept {
            return match session.ask(text).await {
                Err(_lost) => anew().await,
                answer => answer,
            };
        }
        let if_silent = async {
            // A session that answers others is alive: then it is the statement that takes so long.
            if session.has_answered_since(asked) {
                session.ended().await;
            }
            anew().await
        };
        net::hedged(context, session.ask(text), |_lost| true, if_silent).await
    }

    /// The kept session (true), or a new one. Who comes while another check connects shares what comes of it.
    async fn session(&self, context: &Context, server: &PostgresServer) -> Result<(Arc<Session>, bool), CheckError> {
        context.enter(Phase::Connect);
        let before = self.attempts.load(Ordering::Acquire);
        // Held while connecting: that is what makes the attempt one.
        let mut slot = self.slot.lock().await;
        if let Some(session) = slot.session.as_ref().filter(|session| session.is_open()) {
            return Ok((session.clone(), true));
        }
        if self.attempts.load(Ordering::Acquire) != before
            && let Some(error) = &slot.failure
        {
            return Err(error.clone());
        }
        slot.session = None;
        let outcome = connect(context, server, &mut slot.plain).await;
        self.attempts.fetch_add(1, Ordering::Release);
        slot.failure = outcome.as_ref().err().cloned();
        slot.session = outcome.as_ref().ok().cloned();
        outcome.map(|session| (session, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    #[test]
    fn logins_are_told_apart_by_their_passwords_too() {
        let server =
            |password: &str| PostgresServer { password: Some(Secret::new(password)), ..PostgresServer::default() };
        assert_eq!(key(&server("a")), key(&server("a")));
        assert_ne!(key(&server("a")), key(&server("b")));
    }

    #[test]
    fn a_statement_may_take_most_of_its_checks_time() {
        for (left, expected) in [(1, "'4000'"), (5, "'4000'"), (10, "'8000'")] {
            let settings = settings(&PostgresServer::default(), Duration::from_secs(left));
            assert!(settings.contains(expected), "{settings}");
        }
    }

    #[test]
    fn settings_give_way_to_the_users_options() {
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
