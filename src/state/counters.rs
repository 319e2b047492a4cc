//! What is counted of the runs of one check, for the metrics.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::model::{Outcome, Status};

/// Upper bounds of the histogram's buckets, in seconds; what took longer than the last is in one more.
pub const BUCKETS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Different `error_type`s that are told apart: a callable can raise classes without end.
const MAX_ERRORS: usize = 32;

/// What is counted of the runs of one check since its record was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// By what the run itself said, whatever hysteresis showed.
    pub runs: BTreeMap<Status, Runs>,
    /// By `error_type`; those of checks that were not run are among them.
    pub errors: BTreeMap<String, u64>,
    pub last_run: Option<SystemTime>,
}

/// The runs of one status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Runs {
    pub total: u64,
    pub seconds: f64,
    /// How many fell between the bound before and this one, and above the last: not cumulative.
    pub buckets: [u64; BUCKETS.len() + 1],
}

impl Counters {
    /// Counts an outcome as the run gave it.
    pub fn count(&mut self, outcome: &Outcome) {
        if outcome.ran {
            let seconds = outcome.took.as_secs_f64();
            let runs = self.runs.entry(outcome.status).or_default();
            runs.total += 1;
            runs.seconds += seconds;
            let bucket = BUCKETS.iter().take_while(|bound| seconds > **bound).count();
            if let Some(count) = runs.buckets.get_mut(bucket) {
                *count += 1;
            }
            self.last_run = Some(outcome.at);
        }
        if let Some(error) = &outcome.error_type {
            let known = self.errors.len() < MAX_ERRORS || self.errors.contains_key(error);
            *self.errors.entry(if known { error.clone() } else { "other".to_owned() }).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::model::{CheckError, Finding};

    #[test]
    fn runs_are_counted_by_status_and_duration() {
        let mut counters = Counters::default();
        for (millis, bucket) in [(0, 0), (1, 0), (2, 1), (100, 6), (101, 7), (10_000, 12), (60_000, 13)] {
            let outcome = Outcome::of(Ok(Finding::healthy("m")), Instant::now());
            counters.count(&Outcome { took: Duration::from_millis(millis), ..outcome });
            assert!(counters.runs[&Status::Healthy].buckets[bucket] > 0, "{millis} ms");
        }
        let runs = &counters.runs[&Status::Healthy];
        assert_eq!((runs.total, runs.buckets.iter().sum::<u64>()), (7, 7));
        assert!((runs.seconds - 70.204).abs() < 1e-9);
        assert!(counters.errors.is_empty());
    }

    #[test]
    fn errors_are_counted_by_type_and_only_runs_as_runs() {
        let mut counters = Counters::default();
        counters.count(&Outcome::of(Err(CheckError::Panicked), Instant::now()));
        counters.count(&Outcome::refused("m".to_owned(), "DependencyError"));
        assert_eq!(counters.runs[&Status::Error].total, 1);
        assert_eq!(counters.errors, [("DependencyError".to_owned(), 1), ("InternalError".to_owned(), 1)].into());
        for index in 0..100 {
            counters.count(&Outcome::refused("m".to_owned(), &format!("E{index}")));
        }
        assert_eq!(counters.errors.len(), MAX_ERRORS + 1);
        assert_eq!(counters.errors.values().sum::<u64>(), 102);
    }
}
