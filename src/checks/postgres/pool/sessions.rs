//! The kept sessions of one server and urgency, and which of them takes the next message.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::checks::postgres::protocol::{Session, SessionGroup, StatementId};
use crate::model::CheckError;
use crate::net::LIFETIME;
use crate::runtime::lock;

/// How many sessions there are at most for the checks of one urgency: one more than a server has diagnostic checks by
/// default, so that each of them may be slow without delaying another.
pub const SESSIONS: usize = 6;
/// After a refusal, for so long diagnostic checks open no session of their own.
const LIMITED_FOR: Duration = Duration::from_secs(60);

/// The kept sessions of one server and urgency.
#[derive(Default)]
pub struct Pool {
    pub(super) sessions: Mutex<Vec<Arc<Session>>>,
    pub(super) group: Arc<SessionGroup>,
    /// Held while connecting, so that there is one attempt at a time; holds how the last one failed.
    pub(super) connecting: tokio::sync::Mutex<Option<(Instant, CheckError)>>,
    /// How many attempts to connect have ended.
    pub(super) attempts: AtomicU64,
    /// Until when there is no room for sessions of both pools of a server.
    limited_until: Mutex<Option<Instant>>,
}

impl Drop for Pool {
    /// The task that drives a session holds on to it, so it is closed explicitly.
    fn drop(&mut self) {
        for session in lock(&self.sessions).drain(..) {
            session.close();
        }
    }
}

/// Which session takes the next message.
pub(super) enum Choice {
    Use(Arc<Session>),
    /// A session may be free until then.
    WaitUntil(Instant),
    Open,
    /// All are busy, and no more may be opened.
    Full,
}

impl Pool {
    /// Closes the sessions that have not answered since: what ended one of them has probably ended all.
    pub(super) fn close_silent(&self, since: Instant) {
        for session in lock(&self.sessions).iter().filter(|session| !session.has_answered_since(since)) {
            session.close();
        }
    }

    /// The session for the next message of `statement`, or how to get one. `busy` is not chosen.
    pub(super) fn choose(&self, statement: StatementId, busy: Option<&Arc<Session>>) -> Choice {
        let mut sessions = lock(&self.sessions);
        sessions.retain(|session| !session.is_over());
        for session in sessions.iter().filter(|session| session.opened().elapsed() >= LIFETIME) {
            session.close();
        }
        let other = |session: &&Arc<Session>| busy.is_none_or(|busy| !Arc::ptr_eq(busy, session));
        let others = || sessions.iter().filter(other).filter(|session| session.is_open());
        // All use the first one, so that the others fall idle; what runs apart leaves it to them.
        let found = if self.group.runs_apart(statement) {
            others().rev().find(|session| session.is_idle())
        } else {
            others().find(|session| !session.is_slow() && !session.is_reserved())
        };
        if let Some(session) = found {
            return Choice::Use(session.clone());
        }
        let now = Instant::now();
        match others().filter_map(|session| session.slow_at()).filter(|at| *at > now).min() {
            Some(at) => Choice::WaitUntil(at),
            // One that takes no more messages counts until its connection is closed.
            None if sessions.len() < SESSIONS => Choice::Open,
            None => Choice::Full,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.sessions).iter().all(|session| !session.is_open())
    }

    /// For a while, no session is opened if the other pool has one.
    pub(super) fn limit(&self) {
        *lock(&self.limited_until) = Some(Instant::now() + LIMITED_FOR);
    }

    pub(super) fn is_limited(&self) -> bool {
        lock(&self.limited_until).is_some_and(|until| until > Instant::now())
    }

    /// Closes the sessions, with their messages cancelled, for a session of the other pool; false if there are none.
    pub(super) fn give_way(&self) -> bool {
        self.limit();
        let mut sessions = lock(&self.sessions);
        sessions.retain(|session| !session.is_over());
        for session in sessions.iter() {
            session.close();
            session.preempted.notify_waiters();
        }
        !sessions.is_empty()
    }

    pub(super) fn idle(&self) -> Option<Arc<Session>> {
        lock(&self.sessions).iter().find(|session| session.is_open() && session.is_idle()).cloned()
    }
}
