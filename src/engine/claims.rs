//! What one of the processes that share does regularly, and another one once it has not been claimed for a while.

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

impl Engine {
    /// Has Python notified once no process of the scope has claimed a name for its gap; in place of what was watched.
    pub fn watch_claims(&self, watched: WatchedClaims) {
        self.watched.store(Some(watched.into()));
        wake();
    }

    /// The callable to notify, and when, as far as is known now.
    pub fn next_notice(&self) -> Option<(u64, Instant)> {
        let watched = self.watched.load_full()?;
        if *self.scope() == Scope::Process {
            return None;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // As long as there is no claim the gap does not start.
        let latest = history_marks::latest(self.scope(), &watched.name).unwrap_or(now);
        Some((watched.callable, Instant::now() + latest.saturating_add(watched.gap).saturating_sub(now)))
    }
}
