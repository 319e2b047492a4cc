//! One session for checks of both urgencies, where the server has room for no second one.
//!
//! A role with `CONNECTION LIMIT 1`, or a server that is almost full, refuses a session while this process has another
//! one itself. That is no fault of the server, and vital checks come first:
//!
//! - A diagnostic check waits until the vital session is idle, and uses that. Once a vital check waits behind its
//!   message, that is cancelled, and sent again later.
//! - A vital check has the diagnostic sessions closed, and connects again once the server has noticed.
//! - What has the sessions of a limited role or database may be another process of this application, whose checks give
//!   them back as soon as they are answered: a check connects again and again, as long as its time allows.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{PoolRequest, Urgency};
use crate::checks::postgres::errors;
use crate::checks::postgres::protocol::Session;
use crate::model::{CheckError, Phase};
use crate::runtime::lock;

/// How long a server may count a session that is closed.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a diagnostic check waits for a vital one to connect, before it tries by itself.
const OPEN_TIMEOUT: Duration = Duration::from_millis(250);
/// How often a connection is tried meanwhile, at first and in the end.
const RELEASE_INTERVALS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(400));
/// So much of its time a check keeps, to report that it was refused.
const REFUSAL_TIME: Duration = Duration::from_millis(100);

impl PoolRequest<'_> {
    /// Whether it is worth another try, after `error` left this check's pool without a session for the `attempt`th time.
    pub(super) async fn make_room(&self, error: &CheckError, attempt: u32) -> bool {
        if !errors::is_full(error) {
            // One session may be ended while it is opened; a server that shuts down refuses the next.
            return errors::is_terminated(error) && attempt == 1;
        }
        // Each of two attempts at once may have been refused for the other.
        let overlapped = self.other_attempt_overlapped().await;
        let mut changed = pin!(self.other.group.changed.notified());
        changed.as_mut().enable();
        match self.urgency {
            Urgency::Diagnostic if !self.other.is_empty() || overlapped && attempt <= 2 => {
                self.pool.limit();
                true
            }
            Urgency::Vital if self.other.give_way() => {
                self.context.enter(Phase::Queued);
                timeout(RELEASE_TIMEOUT, changed).await.ok();
                true
            }
            _ => {
                let closed = [self.pool, self.other].iter().any(|pool| pool.group.closed_within(RELEASE_TIMEOUT));
                let may_succeed = closed || overlapped && attempt == 1 || errors::is_limit_of_login(error);
                let (first, last) = RELEASE_INTERVALS;
                let pause = first.saturating_mul(attempt).min(last);
                let retry = may_succeed && self.context.time_left() > pause + REFUSAL_TIME;
                if retry {
                    sleep(pause).await;
                }
                retry
            }
        }
    }

    /// Whether the other pool was connecting at the same time; waits for the end of that.
    async fn other_attempt_overlapped(&self) -> bool {
        if let Ok(last) = self.other.connecting.try_lock() {
            return last.as_ref().is_some_and(|(at, _)| at.elapsed() < RELEASE_INTERVALS.0);
        }
        drop(self.other.connecting.lock().await);
        true
    }

    /// The session of the vital checks, once it is idle; `None` if they have none.
    pub(super) async fn lent(&self) -> Option<Arc<Session>> {
        let opened_until = Instant::now() + OPEN_TIMEOUT.min(self.context.time_left().saturating_sub(REFUSAL_TIME));
        loop {
            let mut changed = pin!(self.other.group.changed.notified());
            changed.as_mut().enable();
            if let Some(session) = self.other.idle() {
                return Some(session);
            }
            if self.other.is_empty() {
                self.context.enter(Phase::Connect);
                timeout_at(opened_until, changed).await.ok()?;
            } else {
                self.context.enter(Phase::Queued);
                changed.await;
            }
        }
    }

    /// Has diagnostic messages on the pool's sessions cancelled, if this check is a vital one and waits behind them.
    pub(super) fn preempt(&self) {
        if self.urgency == Urgency::Vital {
            for session in lock(&self.pool.sessions).iter() {
                session.preempted.notify_waiters();
            }
        }
    }
}
