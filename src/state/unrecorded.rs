//! The results of an engine's checks that wait to be recorded in a history, in the one process that records for all that share.
//!
//! Each result of this process is added as it is stored, those of other processes as their records are read. Each is claimed
//! for this process, so that no other one records it, too; that of a process which shares nothing needs no claim.
//! Guarantees: none is handed out twice, and none is lost but the oldest, which are counted, where [`CAPACITY`] of them wait.
//! Not guaranteed: a result of another process that was replaced before its record was read.

use std::collections::VecDeque;
use std::mem::take as take_all;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Scope, history_marks};
use crate::model::Outcome;
use crate::runtime::lock;

/// About 10 MB of usual results.
const CAPACITY: usize = 10_000;

/// A result that is in no history yet.
#[derive(Clone, Debug)]
pub struct UnrecordedResult {
    pub name: Arc<str>,
    pub outcome: Arc<Outcome>,
    /// When the check took its status.
    pub since: Option<SystemTime>,
    /// Whether no other process that shares will record it. Unknown where nothing is shared, and where the store could not be
    /// locked in time: a result kept twice is better than one lost.
    pub is_claimed: bool,
}

impl UnrecordedResult {
    /// When it was found, since 1970.
    fn found_at(&self) -> Duration {
        self.outcome.at.duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

/// The results of one engine that wait, oldest first.
#[derive(Default)]
pub struct UnrecordedResults {
    is_recording: AtomicBool,
    /// Those that are not claimed yet.
    found: Mutex<BoundedResults>,
    /// Held while results are read and claimed: one that is on its way there is not missed by [`Self::take`].
    gathered: Mutex<BoundedResults>,
}

#[derive(Default)]
struct BoundedResults {
    results: VecDeque<UnrecordedResult>,
    dropped: usize,
}

impl BoundedResults {
    fn push(&mut self, result: UnrecordedResult) {
        if self.results.len() == CAPACITY {
            self.results.pop_front();
            self.dropped += 1;
        }
        self.results.push_back(result);
    }
}

impl UnrecordedResults {
    /// Whether the results of this process are added as they are stored.
    pub fn is_recording(&self) -> bool {
        self.is_recording.load(Ordering::Relaxed)
    }

    pub fn set_recording(&self, is_recording: bool) {
        self.is_recording.store(is_recording, Ordering::Relaxed);
    }

    /// Adds the newest result. Waits for no other process.
    pub fn add(&self, result: UnrecordedResult) {
        lock(&self.found).push(result);
    }

    /// Claims what was added, and what is `read` from the records of other processes; returns how many wait.
    pub fn gather(&self, share: &Scope, read: impl FnOnce() -> Vec<UnrecordedResult>) -> usize {
        let mut gathered = lock(&self.gathered);
        self.claim(share, read(), &mut gathered);
        gathered.results.len()
    }

    /// The same, and removes and returns all that wait, and how many were dropped.
    pub fn take(&self, share: &Scope, read: impl FnOnce() -> Vec<UnrecordedResult>) -> (Vec<UnrecordedResult>, usize) {
        let mut gathered = lock(&self.gathered);
        self.claim(share, read(), &mut gathered);
        let BoundedResults { results, dropped } = take_all(&mut *gathered);
        (results.into(), dropped)
    }

    fn claim(&self, share: &Scope, read: Vec<UnrecordedResult>, gathered: &mut BoundedResults) {
        let BoundedResults { results, dropped } = take_all(&mut *lock(&self.found));
        gathered.dropped += dropped;
        let mut results: Vec<_> = results.into_iter().chain(read).collect();
        results.sort_by_cached_key(UnrecordedResult::found_at);
        let named: Vec<_> = results.iter().map(|result| (&*result.name, result.found_at())).collect();
        let claims = history_marks::note_all(share, &named, Duration::ZERO);
        for (result, claim) in results.into_iter().zip(claims) {
            if claim != Some(false) {
                gathered.push(UnrecordedResult { is_claimed: claim.is_some(), ..result });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::model::{Finding, Status};

    fn result(name: &str, at: u64) -> UnrecordedResult {
        let outcome = Outcome::of(Ok(Finding::new(Status::Healthy, "")), Instant::now(), Duration::ZERO);
        let outcome = Arc::new(Outcome { at: UNIX_EPOCH + Duration::from_secs(at), ..outcome });
        UnrecordedResult { name: name.into(), outcome, since: None, is_claimed: false }
    }

    fn times(results: &[UnrecordedResult]) -> Vec<u64> {
        results.iter().map(|result| result.found_at().as_secs()).collect()
    }

    #[test]
    fn results_are_taken_once_oldest_first_and_the_oldest_are_dropped_and_counted() {
        let waiting = UnrecordedResults::default();
        for at in 0..3 {
            waiting.add(result("a", at));
        }
        assert_eq!(waiting.gather(&Scope::Process, || vec![result("b", 3)]), 4);
        let (taken, dropped) = waiting.take(&Scope::Process, Vec::new);
        assert_eq!((times(&taken), dropped), (vec![0, 1, 2, 3], 0));
        assert!(taken.iter().all(|result| !result.is_claimed));
        for at in 0..CAPACITY as u64 + 2 {
            waiting.add(result("a", at));
        }
        let (taken, dropped) = waiting.take(&Scope::Process, || vec![result("b", CAPACITY as u64 + 2)]);
        assert_eq!((taken.len(), times(&taken).first().copied(), dropped), (CAPACITY, Some(3), 3));
        assert_eq!(waiting.take(&Scope::Process, Vec::new).0.len(), 0);
    }

    #[cfg(any(target_os = "linux", target_os = "macos"))]
    #[test]
    fn result_that_another_process_has_claimed_is_left_to_it() {
        let scratch = crate::state::scratch::Scratch::new();
        let share = Scope::Host(scratch.0.join("store"));
        assert!(history_marks::note(&share, "a", Duration::from_secs(2), Duration::ZERO));
        let waiting = UnrecordedResults::default();
        let (taken, _) = waiting.take(&share, || vec![result("a", 1), result("a", 2), result("b", 2)]);
        assert_eq!(times(&taken), [1, 2]);
        assert!(taken.iter().all(|result| result.is_claimed));
        assert!(!history_marks::note(&share, "b", Duration::from_secs(2), Duration::ZERO));
    }
}
