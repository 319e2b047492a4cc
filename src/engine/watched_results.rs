//! A result that Python follows: it is notified of each that differs from the last one, whichever process has found it.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::Engine;
use crate::model::Outcome;
use crate::runtime::wake::wake;
use crate::state::TableSnapshot;

/// The check whose result is followed.
pub struct WatchedResult {
    name: String,
    /// The callable that is notified.
    pub callable: u64,
    /// The last result that it was notified of.
    notified: ArcSwapOption<Outcome>,
}

impl WatchedResult {
    pub fn new(name: String, callable: u64) -> Self {
        Self { name, callable, notified: ArcSwapOption::empty() }
    }

    /// Notes that Python was notified of a result.
    pub fn notified(&self, outcome: Arc<Outcome>) {
        self.notified.store(Some(outcome));
    }

    fn is_new(&self, outcome: &Outcome) -> bool {
        let notified = self.notified.load();
        notified.as_ref().is_none_or(|known| known.status != outcome.status || known.details != outcome.details)
    }
}

impl Engine {
    /// Has Python notified of each result of a check that differs from the last one; in place of what was watched.
    pub fn watch_result(&self, watched: WatchedResult) {
        self.watched_result.store(Some(watched.into()));
        wake();
    }

    /// Whether Python is notified of results of that check.
    pub(super) fn is_result_watched(&self, check: &str) -> bool {
        self.watched_result.load().as_ref().is_some_and(|watched| watched.name == check)
    }

    /// The result of which Python is to be notified.
    pub(super) fn new_result(&self, snapshot: Option<&TableSnapshot>) -> Option<(Arc<WatchedResult>, Arc<Outcome>)> {
        let watched = self.watched_result.load_full()?;
        let latest = self.check(&watched.name).ok()?.state().latest(snapshot).0?;
        watched.is_new(&latest).then_some((watched, latest))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::model::{Finding, Status};

    fn outcome(status: Status, value: u64) -> Arc<Outcome> {
        let details = [("value".to_owned(), value.into())].into_iter().collect();
        let finding = Finding { status, message: String::new(), details };
        Arc::new(Outcome::of(Ok(finding), Instant::now(), Duration::from_secs(1)))
    }

    #[test]
    fn result_is_new_where_its_status_or_details_differ_from_the_last_one() {
        let watched = WatchedResult::new("a".to_owned(), 1);
        assert!(watched.is_new(&outcome(Status::Healthy, 1)));
        watched.notified(outcome(Status::Healthy, 1));
        assert!(!watched.is_new(&outcome(Status::Healthy, 1)));
        assert!(watched.is_new(&outcome(Status::Healthy, 2)));
        assert!(watched.is_new(&outcome(Status::Degraded, 1)));
    }
}
