//! The kept sessions of one server: few, shared by all checks of one urgency, replaced when dead or
//! [old](crate::net::LIFETIME).
//!
//! At most [`sessions::SESSIONS`] for each urgency, server and process; all but the first are opened only when needed,
//! and closed when they were idle for 30 s. Messages are pipelined on the first one. A message that is not at the head of
//! its session while the head is slow moves to another session. The statement that was slow then has a session to itself
//! while it runs, so that no message is sent behind it: for a second, and for a minute if it is slow again. So long each
//! statement that has not run before has one, too. What is slow is so by itself: it takes two round trips, and 10 ms longer
//! than one, or 25 ms in its first run of a session.
//!
//! A message is sent twice only where the server does not get to work on the first: its connection has ended, or the
//! server says that it is not at work on it. A server that is merely slow is waited for.
//!
//! A check that waits for the messages of others, behind them or for a session, is [queued](Phase::Queued): if it is cut off
//! there, its time-out says nothing about the server.
//!
//! Sessions of a role or a database with a connection limit are given back after 100 ms: the application, its
//! other processes and other checks need them, too.

mod lending;
mod opening;
mod sessions;

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

pub use self::sessions::Pool;
use super::errors;
use super::protocol::{ReplyState, Response, Session, StatementId, Ticket};
use super::spec::PostgresServer;
use crate::model::{CheckError, Phase, Secret};
use crate::runtime::Context;

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

/// What a check sends in one message.
pub trait Message: Sync {
    /// How long each of its statements may run on the server, with so much time left.
    fn statement_timeout(&self, left: Duration) -> Duration;

    fn text(&self, statement_timeout: Duration) -> String;
}

/// One check's use of a pool.
#[derive(Clone, Copy)]
pub struct PoolRequest<'a> {
    pub context: &'a Context,
    pub server: &'a PostgresServer,
    /// What the check sends.
    pub statement: StatementId,
    pub urgency: Urgency,
    pub pool: &'a Pool,
    /// The pool of the other urgency.
    pub other: &'a Pool,
}

impl PoolRequest<'_> {
    /// The response to a message, sent on one of the sessions. One that is lost is replaced, until one was lost that was opened
    /// after the first loss: what ended one has probably ended all there were, and not all have noticed. Where an
    /// administrator has ended them, another may just have been opening, so two have to be lost.
    pub async fn query(&self, message: &impl Message) -> Result<Response, CheckError> {
        let started = Instant::now();
        let (mut session, mut kept) = self.session().await?;
        let mut first_lost = None;
        let mut new_lost = 0;
        loop {
            match self.send(&session, kept, message).await {
                SendResult::Done(Err(error)) if !matches!(error, CheckError::TooLarge { .. }) => {
                    session.close();
                    self.pool.close_silent(started);
                    if session.opened() >= *first_lost.get_or_insert_with(Instant::now) {
                        new_lost += 1;
                    }
                    // A server that resets the connection takes its own reason back.
                    let is_ended = errors::is_terminated(&error) || matches!(error, CheckError::Closed { .. });
                    if new_lost == 2 || new_lost == 1 && !is_ended {
                        return Err(error);
                    }
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

    async fn send(&self, session: &Arc<Session>, kept: bool, message: &impl Message) -> SendResult {
        let sent = Instant::now();
        let timeout = message.statement_timeout(self.context.time_left());
        let mut preempted = pin!(session.preempted.notified());
        preempted.as_mut().enable();
        let (ticket, response) = session.send(self.statement, &message.text(timeout));
        self.context.enter(if ticket.is_head() { Phase::Query } else { Phase::Queued });
        let (next, outcome) = {
            let mut response = pin!(response);
            let mut faster = pin!(self.faster(session, &ticket));
            let mut replacement = pin!(self.replacement(session, kept, sent));
            tokio::select! {
                biased;
                response = &mut response => {
                    let response = response.map(|response| self.as_timed_out(response, timeout));
                    (SendResult::Done(response), ReplyState::Answered)
                }
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

    /// The statement's time-out is what the check's leaves of it.
    fn as_timed_out(&self, response: Response, statement_timeout: Duration) -> Response {
        let by_ours = response.failed.as_deref() == Some(errors::CANCELLED) && response.after >= statement_timeout;
        if by_ours { Response { after: self.context.timeout(), ..response } } else { response }
    }

    /// Another session, once the head of this one is slow and the message is not the head.
    async fn faster(&self, session: &Arc<Session>, ticket: &Ticket<'_>) -> Arc<Session> {
        loop {
            let mut changed = pin!(self.pool.group.changed.notified());
            changed.as_mut().enable();
            if ticket.is_head() {
                self.context.enter(Phase::Query);
                return pending().await;
            }
            match session.slow_at() {
                Some(at) if at <= Instant::now() => {
                    session.note_slow();
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
        sleep(self.context.time_left() / 2).await;
        if session.has_answered_since(sent) {
            return pending().await;
        }
        let beside = self.context.beside();
        let other = PoolRequest { context: &beside, ..*self }.other(session).await;
        let Some(other) = other else { return pending().await };
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
