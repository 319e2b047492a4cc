//! The kept sessions of one server: few, shared by all checks of one urgency, replaced when dead.
//!
//! At most [`sessions::SESSIONS`] for each urgency, server and process; all but the first are opened only when needed,
//! and closed when they were idle for [`EXTRA_IDLE`]. As long as the server is fast, messages are pipelined on the first one.
//! A message that is not at the head of its session while the head is slow moves to another session, and each session
//! then takes one message at a time, so that no message is sent behind a slow one: for a second, and for a minute if it
//! happens again.
//!
//! A message is sent twice only where the server does not get to work on the first: its connection has ended, or the
//! server says that it is not at work on it. A server that is merely slow is waited for.

mod lending;
mod sessions;

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use self::sessions::Choice;
pub use self::sessions::Pool;
use super::connect::{ConnectHints, connect};
use super::protocol::{ReplyState, Response, Session, Ticket};
use super::spec::PostgresServer;
use crate::model::{CheckError, Phase, Secret};
use crate::runtime::{Context, lock};

/// A session beyond the first is closed when it was not used for so long.
pub const EXTRA_IDLE: Duration = Duration::from_secs(30);
/// After a further session could not be opened, for so long no other is tried.
const REFUSED_FOR: Duration = Duration::from_secs(10);
/// How long a response may take to arrive after the server has sent it, at least.
const GRACE: Duration = Duration::from_millis(10);

/// Which checks share sessions: what is vital never waits behind what is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    Vital,
    Diagnostic,
}

impl Urgency {
    pub fn other(self) -> Self {
        match self {
            Self::Vital => Self::Diagnostic,
            Self::Diagnostic => Self::Vital,
        }
    }
}

/// Identifies a server and its login. The password does not show in `Debug`, and does distinguish logins.
pub fn key(server: &PostgresServer) -> String {
    let secrets = [&server.password, &server.sslpassword].map(|secret| secret.as_ref().map(Secret::expose));
    format!("{server:?} {secrets:?}")
}

/// What a message does next.
enum SendResult {
    Done(Result<Response, CheckError>),
    SendOn(Arc<Session>),
    /// A vital check needed the session of this diagnostic one.
    Preempted,
}

/// One check's use of a pool.
pub struct PoolRequest<'a> {
    pub context: &'a Context,
    pub server: &'a PostgresServer,
    pub urgency: Urgency,
    pub pool: &'a Pool,
    /// The pool of the other urgency.
    pub other: &'a Pool,
}

impl PoolRequest<'_> {
    /// The response to `statements`, sent in one message on one of the sessions.
    pub async fn query(&self, statements: &str) -> Result<Response, CheckError> {
        let started = Instant::now();
        let (mut session, mut kept) = self.session().await?;
        let mut replaced = false;
        loop {
            self.context.enter(Phase::Query);
            match self.send(&session, kept, statements).await {
                SendResult::Done(Err(error)) if !replaced && !matches!(error, CheckError::TooLarge { .. }) => {
                    session.close();
                    self.pool.close_silent(started);
                    replaced = true;
                    (session, kept) = self.session().await?;
                }
                SendResult::Done(response) => return response,
                SendResult::SendOn(next) => (session, kept) = (next, false),
                SendResult::Preempted => {
                    self.pool.limit();
                    (session, kept) = self.session().await?;
                }
            }
        }
    }

    async fn send(&self, session: &Arc<Session>, kept: bool, statements: &str) -> SendResult {
        let sent = Instant::now();
        let ticket = session.ticket();
        let (next, outcome) = {
            let mut preempted = pin!(session.preempted.notified());
            preempted.as_mut().enable();
            let mut response = pin!(session.exchange(statements));
            let mut faster = pin!(self.faster(session, &ticket));
            let mut replacement = pin!(self.replacement(session, kept, sent));
            tokio::select! {
                biased;
                response = &mut response => (SendResult::Done(response), ReplyState::Answered),
                () = &mut preempted, if self.urgency == Urgency::Diagnostic => {
                    (SendResult::Preempted, ReplyState::Abandoned)
                }
                next = &mut faster => (SendResult::SendOn(next), ReplyState::Moved),
                next = &mut replacement => {
                    session.abort();
                    (SendResult::SendOn(next), ReplyState::Moved)
                }
            }
        };
        ticket.end(outcome);
        next
    }

    /// Another session, once the head of this one is slow and the message is not the head.
    async fn faster(&self, session: &Arc<Session>, ticket: &Ticket<'_>) -> Arc<Session> {
        loop {
            let mut changed = pin!(self.pool.group.changed.notified());
            changed.as_mut().enable();
            if ticket.is_head() {
                return pending().await;
            }
            match session.slow_at() {
                Some(at) if at <= Instant::now() => {
                    self.pool.group.note_slow();
                    if let Some(next) = self.other(session).await
                        && !ticket.is_head()
                    {
                        return next;
                    }
                }
                Some(at) => _ = timeout_at(at, changed).await,
                None => changed.await,
            }
        }
    }

    /// Another session, once this one is proven dead: silent for half of the time left, while the server, through the
    /// other session, says that it is not at work on any message of this one.
    async fn replacement(&self, session: &Arc<Session>, kept: bool, sent: Instant) -> Arc<Session> {
        if !kept {
            return pending().await;
        }
        sleep(self.context.patience()).await;
        if session.has_answered_since(sent) {
            return pending().await;
        }
        let Some(other) = self.other(session).await else { return pending().await };
        let probe = format!(
            "SELECT count(*), current_setting('track_activities') = 'on' FROM pg_stat_get_activity(NULL) \
             WHERE state = 'active' AND query LIKE '{}%'",
            session.tag
        );
        let started = Instant::now();
        match other.query(&probe).await {
            Ok(response) if response.rows(0).first().is_some_and(|row| row.integer(0) == Some(0) && row.is_true(1)) => {
            }
            _ => return pending().await,
        }
        // Or it has just finished, and the response is on its way.
        sleep(GRACE.max(started.elapsed())).await;
        other
    }

    /// A kept session (true), or one that is new or lent. Checks that come while another one connects share its outcome.
    async fn session(&self) -> Result<(Arc<Session>, bool), CheckError> {
        let mut attempt = 0;
        loop {
            let mut changed = pin!(self.pool.group.changed.notified());
            changed.as_mut().enable();
            match self.pool.choose(None) {
                Choice::Use(session) => return Ok((session, true)),
                Choice::WaitUntil(at) => _ = timeout_at(at, changed).await,
                Choice::Full => changed.await,
                Choice::Open => {
                    if self.pool.is_empty()
                        && self.pool.is_limited()
                        && let Some(session) = self.lent().await
                    {
                        return Ok((session, false));
                    }
                    match self.open(None).await {
                        Ok(Some(session)) => return Ok((session, false)),
                        Ok(None) => {}
                        Err(error) if self.pool.is_empty() => {
                            attempt += 1;
                            if !self.make_room(&error, attempt).await {
                                return Err(error);
                            }
                        }
                        Err(_) => {
                            self.preempt();
                            changed.await;
                        }
                    }
                }
            }
        }
    }

    /// A session other than `busy`; `None` once it cannot be had, and something has changed.
    async fn other(&self, busy: &Arc<Session>) -> Option<Arc<Session>> {
        let mut changed = pin!(self.pool.group.changed.notified());
        changed.as_mut().enable();
        match self.pool.choose(Some(busy)) {
            Choice::Use(session) => return Some(session),
            Choice::WaitUntil(at) => _ = timeout_at(at, changed).await,
            Choice::Full => changed.await,
            Choice::Open => match self.open(Some(busy)).await {
                Ok(session) => return session,
                Err(_) => {
                    self.preempt();
                    changed.await;
                }
            },
        }
        None
    }

    /// Opens one more session; `None` if another check has opened one meanwhile.
    async fn open(&self, busy: Option<&Arc<Session>>) -> Result<Option<Arc<Session>>, CheckError> {
        let phase = self.context.phase();
        self.context.enter(Phase::Connect);
        let before = self.pool.attempts.load(Ordering::Acquire);
        let mut last = self.pool.connecting.lock().await;
        if !matches!(self.pool.choose(busy), Choice::Open) {
            return Ok(None);
        }
        let shared = self.pool.attempts.load(Ordering::Acquire) != before;
        if let Some((at, error)) = &*last
            && (shared || !self.pool.is_empty() && at.elapsed() < REFUSED_FOR)
        {
            return Err(error.clone());
        }
        let key = key(self.server);
        let hints = self.context.process.shared::<ConnectHints>(&key);
        let outcome = connect(self.context, self.server, &key, &hints, &self.pool.group).await;
        self.pool.attempts.fetch_add(1, Ordering::Release);
        *last = outcome.as_ref().err().map(|error| (Instant::now(), error.clone()));
        let session = outcome?;
        if !self.pool.is_empty() {
            session.keep_for(EXTRA_IDLE);
        }
        lock(&self.pool.sessions).push(session.clone());
        self.context.enter(phase);
        self.pool.group.changed.notify_waiters();
        Ok(Some(session))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_distinguishes_passwords() {
        let server =
            |password: &str| PostgresServer { password: Some(Secret::new(password)), ..PostgresServer::default() };
        assert_eq!(key(&server("a")), key(&server("a")));
        assert_ne!(key(&server("a")), key(&server("b")));
        let of_key = PostgresServer { sslpassword: Some(Secret::new("a")), ..PostgresServer::default() };
        assert_ne!(key(&of_key), key(&PostgresServer { sslpassword: Some(Secret::new("b")), ..of_key.clone() }));
    }
}
