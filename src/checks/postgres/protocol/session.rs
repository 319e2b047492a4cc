//! One open session: used by many checks at once, driven by one task, and left clean or not at all.
//!
//! Messages are pipelined: the server answers them in order, so the first one that waits (the head) is the one it works
//! on. A [`Ticket`] is a message's place in that order. It ends as answered, as abandoned (its check was cut off) or as
//! moved (to another session); a session with an abandoned or moved message takes no more and ends once the others are
//! answered, since later ones would wait behind it.

use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_postgres::{Client, Connection, Error, SimpleQueryStream};

use super::group::{SessionGroup, StatementId};
use super::pipeline::{End, Pipeline, ReplyState};
use super::receive::{Incomplete, ROW_LIMIT, receive, send};
use super::response::Response;
use super::transport::{SessionError, Transport};
use crate::checks::postgres::errors;
use crate::model::{CheckError, Phase};
use crate::runtime::{lock, tasks};

/// A session that was not used for so long is closed.
pub const IDLE: Duration = Duration::from_secs(300);
/// How long a session that ends may take to be cancelled and to answer the other messages.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// A message that is at the head for so much longer than a round trip, and for two of them, is slow: others do not wait
/// behind it.
const HEAD_TIMEOUT: Duration = Duration::from_millis(10);
/// The same for a statement's first run in a session, for which the server loads catalogs and libraries (PostGIS: 15 ms).
const FIRST_TIMEOUT: Duration = Duration::from_millis(25);
/// So many statements a session knows to have run.
const STATEMENTS: usize = 256;

pub struct Session {
    target: String,
    /// Stands at the head of each message, so that the server can say whether it works on one of them.
    pub tag: String,
    /// Taken out when the session is to take no more messages; it closes once all are answered.
    client: Mutex<Option<Arc<Client>>>,
    error: SessionError,
    opened: Instant,
    used: Mutex<Instant>,
    answered: Mutex<Option<Instant>>,
    /// The shortest time from a message to its response; at first, how long it took to connect.
    round_trip: Mutex<Duration>,
    pipeline: Mutex<Pipeline>,
    /// The statements that it has answered.
    answered_statements: Mutex<HashSet<StatementId>>,
    group: Arc<SessionGroup>,
    idle: Mutex<Duration>,
    end: Mutex<Option<End>>,
    /// Its connection is closed.
    over: AtomicBool,
    wake: Notify,
    /// The messages of diagnostic checks give way to those of vital ones.
    pub preempted: Notify,
}

impl Session {
    /// Starts to drive `connection`. `cancel` requests that the server stop what it is doing for this session.
    pub fn start(
        target: String,
        client: Client,
        connection: Connection<Transport, Transport>,
        error: SessionError,
        (group, round_trip): (Arc<SessionGroup>, Duration),
        cancel: impl Future<Output = ()> + Send + 'static,
    ) -> Arc<Self> {
        let tag = uuid::Uuid::new_v4().simple().to_string();
        let session = Arc::new(Self {
            target,
            tag: format!("/* lifesigns {} */", tag.get(..16).unwrap_or_default()),
            client: Mutex::new(Some(Arc::new(client))),
            error,
            opened: Instant::now(),
            used: Mutex::new(Instant::now()),
            // The login.
            answered: Mutex::new(Some(Instant::now())),
            round_trip: Mutex::new(round_trip),
            pipeline: Mutex::default(),
            answered_statements: Mutex::default(),
            group,
            idle: Mutex::new(IDLE),
            end: Mutex::new(None),
            over: AtomicBool::new(false),
            wake: Notify::new(),
            preempted: Notify::new(),
        });
        tasks::spawn(drive(session.clone(), connection, cancel));
        session
    }

    pub fn is_open(&self) -> bool {
        lock(&self.client).as_ref().is_some_and(|client| !client.is_closed())
    }

    /// Whether its connection is closed; one that is not open may still be answering.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    pub fn is_idle(&self) -> bool {
        lock(&self.pipeline).is_idle()
    }

    /// When the login was done.
    pub fn opened(&self) -> Instant {
        self.opened
    }

    pub fn has_answered_since(&self, instant: Instant) -> bool {
        lock(&self.answered).is_some_and(|at| at >= instant)
    }

    /// When the message at the head turns slow, or did; `None` if there is none.
    pub fn slow_at(&self) -> Option<Instant> {
        let (statement, since) = lock(&self.pipeline).head()?;
        let is_first = !lock(&self.answered_statements).contains(&statement);
        let round_trip = *lock(&self.round_trip);
        Some(since + round_trip + round_trip.max(if is_first { FIRST_TIMEOUT } else { HEAD_TIMEOUT }))
    }

    /// Whether a statement is under way here that has the session to itself.
    pub fn is_reserved(&self) -> bool {
        lock(&self.pipeline).statements().any(|statement| self.group.runs_apart(statement))
    }

    /// Has the others of the group remember that the statement at the head is slow.
    pub fn note_slow(&self) {
        let head = lock(&self.pipeline).head();
        if let Some((statement, _)) = head {
            self.group.note_slow(statement);
        }
    }

    pub fn is_slow(&self) -> bool {
        self.slow_at().is_some_and(|at| at <= Instant::now())
    }

    /// Takes no more messages; those under way are still answered.
    pub fn close(&self) {
        lock(&self.client).take();
    }

    /// Takes no more messages, if none is under way; false if one is.
    fn close_if_idle(&self) -> bool {
        let pipeline = lock(&self.pipeline);
        if pipeline.is_idle() {
            self.close();
        }
        pipeline.is_idle()
    }

    /// Ends a session whose connection is dead: no message under way is answered any more.
    pub fn abort(&self) {
        self.close();
        self.finish(End::Close);
    }

    /// Closes the session once it was not used for so long.
    pub fn keep_for(&self, idle: Duration) {
        *lock(&self.idle) = idle;
        self.wake.notify_one();
    }

    /// Sends `statements` in one message: its place in the order of messages, and its response. An error means that the
    /// session is lost, and a new one may succeed.
    pub fn send(
        &self,
        statement: StatementId,
        statements: &str,
    ) -> (Ticket<'_>, impl Future<Output = Result<Response, CheckError>> + use<'_>) {
        let statements = format!("{} {statements}", self.tag);
        let started = Instant::now();
        *lock(&self.used) = started;
        // The server gets the messages in the order of their tickets: a check takes the head for what the server is at
        // work on, and would wait for a slow message that has overtaken its own.
        let mut pipeline = lock(&self.pipeline);
        let at_head = pipeline.is_idle();
        let number = pipeline.start(statement);
        let ticket = Ticket { session: self, statement, number, at_head, outcome: ReplyState::Abandoned };
        let client = lock(&self.client).clone();
        let sent = client.as_ref().and_then(|client| send(client, &statements));
        drop(pipeline);
        let response = async move {
            let response = self.response(sent, started).await;
            // The connection ends with the last of these.
            drop(client);
            response
        };
        (ticket, response)
    }

    /// Sends `statements`, and waits for their response.
    pub async fn query(&self, statements: &str) -> Result<Response, CheckError> {
        let (ticket, response) = self.send(StatementId::of([statements]), statements);
        let response = response.await;
        ticket.end(ReplyState::Answered);
        response
    }

    async fn response(
        &self,
        sent: Option<Result<SimpleQueryStream, Error>>,
        started: Instant,
    ) -> Result<Response, CheckError> {
        let mut response = Response { target: self.target.clone(), ..Response::default() };
        let outcome = match sent.ok_or_else(|| self.lost())? {
            Ok(messages) => receive(messages, &mut response).await,
            Err(error) => Err(Incomplete::Failed(error)),
        };
        let ended = Instant::now();
        *lock(&self.used) = ended;
        response.after = ended - started;
        if !response.sets.is_empty() {
            *lock(&self.answered) = Some(ended);
        }
        let code = match outcome {
            Ok(()) => return Ok(response),
            Err(Incomplete::TooLarge) => {
                self.close();
                return Err(CheckError::TooLarge { target: self.target.clone(), limit: ROW_LIMIT });
            }
            Err(Incomplete::Failed(error)) => match error.code() {
                Some(code) => code.code().to_owned(),
                None => return Err(self.lost()),
            },
        };
        // A cancel request meant for another check may have hit this one.
        let hit = code == errors::CANCELLED && *lock(&self.end) == Some(End::Cancel);
        if hit || errors::ends_session(&code) {
            self.close();
            return Err(errors::error(&self.target, &code, response.after));
        }
        response.failed = Some(code);
        Ok(response)
    }

    fn note_answered(&self, statement: StatementId) {
        let mut answered = lock(&self.answered_statements);
        if answered.len() >= STATEMENTS {
            answered.clear();
        }
        answered.insert(statement);
    }

    fn lost(&self) -> CheckError {
        let closed = || CheckError::Closed { target: self.target.clone(), phase: Phase::Query };
        self.error.get().cloned().unwrap_or_else(closed)
    }

    fn finish(&self, end: End) {
        *lock(&self.end) = Some(end);
        self.wake.notify_one();
    }
}

/// A message's place in the order of its session. Dropped before it has ended, it counts as abandoned.
pub struct Ticket<'a> {
    session: &'a Session,
    statement: StatementId,
    number: u64,
    /// It was at the head from the start, so that its duration holds a round trip.
    at_head: bool,
    outcome: ReplyState,
}

impl Ticket<'_> {
    pub fn is_head(&self) -> bool {
        lock(&self.session.pipeline).is_head(self.number)
    }

    pub fn end(mut self, outcome: ReplyState) {
        self.outcome = outcome;
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let session = self.session;
        if self.is_head() {
            if session.is_slow() {
                session.note_slow();
            } else if self.outcome == ReplyState::Answered {
                session.group.note_fast(self.statement);
            }
            if let (true, ReplyState::Answered, Some((_, since))) =
                (self.at_head, self.outcome, lock(&session.pipeline).head())
            {
                let mut round_trip = lock(&session.round_trip);
                *round_trip = since.elapsed().min(*round_trip);
            }
        }
        if self.outcome == ReplyState::Answered {
            session.note_answered(self.statement);
        } else {
            session.close();
        }
        let end = lock(&session.pipeline).end(self.number, self.outcome);
        if let Some(end) = end {
            session.finish(end);
        }
        session.group.changed.notify_waiters();
    }
}

/// Moves the session's bytes until it ends: by itself, when idle, or by `finish`.
async fn drive(
    session: Arc<Session>,
    connection: Connection<Transport, Transport>,
    cancel: impl Future<Output = ()> + Send,
) {
    let mut connection = pin!(connection);
    loop {
        let idle = *lock(&session.idle);
        let idle_at = *lock(&session.used) + idle;
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    session.error.set(session_error(&session.target, &error)).ok();
                }
                break;
            }
            () = session.wake.notified() => match *lock(&session.end) {
                None => continue,
                Some(End::Close) => break,
                Some(End::Cancel) => {}
            },
            () = sleep_until(idle_at) => {
                if *lock(&session.used) + idle > Instant::now() {
                    continue;
                }
                if session.close_if_idle() {
                    timeout(CLOSE_TIMEOUT, connection).await.ok();
                    break;
                }
                *lock(&session.used) = Instant::now();
                continue;
            }
        }
        // The other messages may still be answered once the server is free; a server that hangs is left alone.
        timeout(CLOSE_TIMEOUT, async { tokio::join!(cancel, connection) }).await.ok();
        break;
    }
    session.close();
    session.over.store(true, Ordering::Release);
    session.group.note_closed();
    session.group.changed.notify_waiters();
}

/// Why the session ended, where its bytes were those of PostgreSQL.
fn session_error(target: &str, error: &Error) -> CheckError {
    match error.code() {
        Some(code) => errors::error(target, code.code(), Duration::ZERO),
        None => CheckError::Protocol { target: target.to_owned(), expected: "PostgreSQL".into() },
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
