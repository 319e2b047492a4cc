//! What other processes do for this one, looked at with its heartbeats: no thread of the runtime wakes up for it.
//!
//! The background refresh leaves results to the heartbeats that another process renews, and is woken once one of them is
//! overdue. The same holds for claims that are watched.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use super::plans::overdue_at;
use crate::engine::Engine;
use crate::engine::claims::ClaimNotice;
use crate::engine::registry::Registered;
use crate::runtime::PerProcess;
use crate::runtime::wake::wake;

/// A result that another process renews, and how long it is good.
pub struct FollowedResult {
    pub check: Arc<Registered>,
    pub period: Duration,
}

/// The results of an engine that are left to the heartbeats.
struct FollowedResults {
    all: Vec<FollowedResult>,
    /// When the first of them is overdue, unless it is renewed before.
    due: Instant,
}

/// The same in each process, if it sends heartbeats for the engine.
#[derive(Default)]
pub struct Followed {
    results: ArcSwapOption<FollowedResults>,
    heartbeats: PerProcess<()>,
}

impl Followed {
    /// Leaves what others do to the heartbeats of this process from now on: each of them looks, see [`HeartbeatLook`].
    pub fn leave_to_heartbeats(&self) {
        self.heartbeats.get_or_init(|| ());
    }

    pub fn is_left_to_heartbeats(&self) -> bool {
        self.heartbeats.get().is_some()
    }

    /// Leaves these results to the heartbeats, in place of those before. `due`: when the first of them is overdue.
    pub(super) fn leave(&self, all: Vec<FollowedResult>, due: Instant) {
        self.results.store((!all.is_empty()).then(|| Arc::new(FollowedResults { all, due })));
    }
}

/// What the heartbeats of an engine know of what others do.
#[derive(Default)]
pub struct HeartbeatLook {
    results: Option<Arc<FollowedResults>>,
    due: Option<Instant>,
    notice: Option<ClaimNotice>,
}

impl HeartbeatLook {
    /// Wakes the background refresh if another process has not done what it should have done by now.
    pub fn look(&mut self, engine: &Engine) {
        let is_missing = self.are_results_overdue(engine);
        self.notice = engine.next_notice(self.notice.take());
        if is_missing || self.notice.as_ref().is_some_and(|notice| notice.at <= Instant::now()) {
            wake();
        }
    }

    fn are_results_overdue(&mut self, engine: &Engine) -> bool {
        let results = engine.followed.results.load_full();
        if results.as_ref().map(Arc::as_ptr) != self.results.as_ref().map(Arc::as_ptr) {
            self.due = results.as_ref().map(|results| results.due);
            self.results = results;
        }
        let (Some(results), Some(due)) = (&self.results, self.due) else { return false };
        let now = Instant::now();
        if now < due {
            return false;
        }
        let snapshot = engine.snapshot();
        let due = |followed: &FollowedResult| overdue_at(&followed.check, followed.period, snapshot.as_ref());
        self.due = results.all.iter().map(due).min().flatten();
        self.due.is_none_or(|due| due <= now)
    }
}
