//! What one of the processes that share does regularly, and another one once it has not been claimed for a while.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::Engine;
use crate::runtime::wake::wake;
use crate::state::{Scope, history_marks};

/// Claims of one name that are watched.
#[derive(Clone, Debug)]
pub struct WatchedClaims {
    pub name: String,
    /// For how long no process has claimed it when one should.
    pub gap: Duration,
    /// The callable that is notified then.
    pub callable: u64,
}

/// When Python is to be notified that a name was not claimed, unless it is by then.
pub struct ClaimNotice {
    pub watched: Arc<WatchedClaims>,
    pub at: Instant,
}

impl Engine {
    /// Has Python notified once no process of the scope has claimed a name for its gap; in place of what was watched.
    pub fn watch_claims(&self, watched: WatchedClaims) {
        self.watched.store(Some(watched.into()));
        wake();
    }

    /// The next notice, if claims are watched: the `known` one until its time, then as the claims are by then.
    pub fn next_notice(&self, known: Option<ClaimNotice>) -> Option<ClaimNotice> {
        let watched = self.watched.load_full()?;
        if *self.scope() == Scope::Process {
            return None;
        }
        let is_valid = |known: &ClaimNotice| Arc::ptr_eq(&known.watched, &watched) && known.at > Instant::now();
        if let Some(known) = known.filter(is_valid) {
            return Some(known);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // As long as there is no claim the gap does not start.
        let latest = history_marks::latest(self.scope(), &watched.name).unwrap_or(now);
        let at = Instant::now() + latest.saturating_add(watched.gap).saturating_sub(now);
        Some(ClaimNotice { watched, at })
    }
}
