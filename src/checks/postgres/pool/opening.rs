//! How a message gets a session: a kept one, a new one, or that of the other urgency.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::sessions::Choice;
use super::{PoolRequest, key};
use crate::checks::postgres::connect::{ConnectHints, connect};
use crate::checks::postgres::errors;
use crate::checks::postgres::protocol::Session;
use crate::model::{CheckError, Phase};
use crate::runtime::lock;

/// A session beyond the first is closed when it was not used for so long.
const EXTRA_IDLE: Duration = Duration::from_secs(30);
/// Likewise any session, where the number of sessions is limited for its role or its database.
const LIMITED_IDLE: Duration = Duration::from_millis(100);
/// After a further session could not be opened, for so long no other is tried.
const REFUSED_FOR: Duration = Duration::from_secs(10);

impl PoolRequest<'_> {
    /// A kept session (true), or one that is new or lent. Checks that come while another one connects share its outcome.
    pub(super) async fn session(&self) -> Result<(Arc<Session>, bool), CheckError> {
        let mut attempt = 0;
        loop {
            let mut changed = pin!(self.pool.group.changed.notified());
            changed.as_mut().enable();
            match self.pool.choose(self.statement, None) {
                Choice::Use(session) => return Ok((session, true)),
                Choice::WaitUntil(at) => {
                    self.context.enter(Phase::Queued);
                    timeout_at(at, changed).await.ok();
                }
                Choice::Full => {
                    self.context.enter(Phase::Queued);
                    changed.await;
                }
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
                        Err(error) => {
                            self.preempt();
                            self.enter_wait(&error);
                            changed.await;
                        }
                    }
                }
            }
        }
    }

    /// A session other than `busy`; `None` once it cannot be had, and something has changed.
    pub(super) async fn other(&self, busy: &Arc<Session>) -> Option<Arc<Session>> {
        let mut changed = pin!(self.pool.group.changed.notified());
        changed.as_mut().enable();
        match self.pool.choose(self.statement, Some(busy)) {
            Choice::Use(session) => return Some(session),
            Choice::WaitUntil(at) => {
                self.context.enter(Phase::Queued);
                timeout_at(at, changed).await.ok();
            }
            Choice::Full => {
                self.context.enter(Phase::Queued);
                changed.await;
            }
            Choice::Open => match self.open(Some(busy)).await {
                Ok(session) => return session,
                Err(error) => {
                    self.preempt();
                    self.enter_wait(&error);
                    changed.await;
                }
            },
        }
        None
    }

    /// Notes what a wait for one of the sessions means, after another could not be opened by `error`: a server that has no
    /// room for it works, on messages of other checks.
    fn enter_wait(&self, error: &CheckError) {
        self.context.enter(if errors::is_full(error) { Phase::Queued } else { Phase::Connect });
    }

    /// Opens one more session; `None` if another check has opened one meanwhile.
    async fn open(&self, busy: Option<&Arc<Session>>) -> Result<Option<Arc<Session>>, CheckError> {
        self.context.enter(Phase::Connect);
        let before = self.pool.attempts.load(Ordering::Acquire);
        let mut last = self.pool.connecting.lock().await;
        if !matches!(self.pool.choose(self.statement, busy), Choice::Open) {
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
        self.context.enter(Phase::Query);
        if hints.is_limited(&session).await? {
            session.keep_for(LIMITED_IDLE);
        } else if !self.pool.is_empty() {
            session.keep_for(EXTRA_IDLE);
        }
        lock(&self.pool.sessions).push(session.clone());
        self.pool.group.changed.notify_waiters();
        Ok(Some(session))
    }
}
