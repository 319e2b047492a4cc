//! What is counted of the runs of one check, and how long it was in each status, for the metrics.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::model::{Outcome, Status, clock};

/// Upper bounds of the histogram's buckets, in seconds; longer runs are in one more.
pub const BUCKETS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Different `error_type`s that are counted apart: a callable can raise classes without end.
const MAX_ERRORS: usize = 32;

/// What is counted of the runs of one check since its record was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// By what the run itself found, whatever hysteresis showed.
    pub runs: BTreeMap<Status, u64>,
    pub durations: Histogram,
    /// By `error_type`.
    pub errors: BTreeMap<String, u64>,
    pub last_run: Option<SystemTime>,
    pub seconds: StatusSeconds,
    pub stretches: Stretches,
    /// Since when it is counted; `None` before the first run.
    pub epoch: Option<Epoch>,
}

/// The life of a record's counters: another one once they start again from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    pub id: u64,
    /// When the first run ended.
    pub since: SystemTime,
}

/// How often the status shown became bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretches {
    pub error: u64,
    /// Degraded or in error.
    pub unhealthy: u64,
}

/// How long runs took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    pub total: u64,
    pub seconds: f64,
    /// How many fell between the bound before and this one, and above the last: not cumulative.
    pub buckets: [u64; BUCKETS.len() + 1],
}

/// Seconds in each status as it was shown. A result holds until the next one, at most until it is stale
/// ([`super::record::Record::holds_for`]); after that the status is unknown. Time before the first run, and time in which the check is skipped, is not counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StatusSeconds {
    pub healthy: f64,
    pub degraded: f64,
    pub error: f64,
    pub unknown: f64,
    #[serde(with = "clock::optional")]
    counted_until: Option<Instant>,
}

impl Counters {
    /// Counts a run as it was found.
    pub fn count(&mut self, found: &Outcome) {
        let seconds = found.duration.as_secs_f64();
        *self.runs.entry(found.status).or_default() += 1;
        self.durations.total += 1;
        self.durations.seconds += seconds;
        let bucket = BUCKETS.iter().take_while(|bound| seconds > **bound).count();
        if let Some(count) = self.durations.buckets.get_mut(bucket) {
            *count += 1;
        }
        self.last_run = Some(found.at);
        self.epoch.get_or_insert_with(|| Epoch { id: uuid::Uuid::new_v4().as_u64_pair().0, since: found.at });
        if let Some(error) = &found.error_type {
            let known = self.errors.len() < MAX_ERRORS || self.errors.contains_key(error);
            *self.errors.entry(if known { error.clone() } else { "other".to_owned() }).or_default() += 1;
        }
    }
}

impl Stretches {
    /// Counts what starts when the status shown changes.
    pub fn change(&mut self, from: Option<Status>, to: Status) {
        let is_bad = |status: Status| matches!(status, Status::Degraded | Status::Error);
        self.error += u64::from(to == Status::Error && from != Some(Status::Error));
        self.unhealthy += u64::from(is_bad(to) && !from.is_some_and(is_bad));
    }
}

impl StatusSeconds {
    /// Counts the time until `now`, in which `latest` held for at most `holds_for` since it finished.
    pub fn advance(&mut self, latest: Option<&Outcome>, holds_for: Duration, now: Instant) {
        let Some(latest) = latest else { return };
        let from = self.counted_until.unwrap_or(latest.finished);
        if now <= from {
            return;
        }
        self.counted_until = Some(now);
        let held_until = latest.finished.checked_add(holds_for).unwrap_or(now);
        let held = held_until.min(now).saturating_duration_since(from).as_secs_f64();
        match latest.status {
            Status::Healthy => self.healthy += held,
            Status::Degraded => self.degraded += held,
            Status::Error => self.error += held,
            // It counts neither for nor against.
            Status::Skipped => {}
        }
        self.unknown += now.saturating_duration_since(held_until.max(from)).as_secs_f64();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, clippy::unwrap_used)]
    use super::*;
    use crate::model::{CheckError, Finding};

    #[test]
    fn runs_are_counted_by_status_and_duration() {
        let mut counters = Counters::default();
        for (millis, bucket) in [(0, 0), (1, 0), (2, 1), (100, 6), (101, 7), (10_000, 12), (60_000, 13)] {
            let outcome = Outcome::of(Ok(Finding::healthy("m")), Instant::now(), Duration::from_secs(5));
            counters.count(&Outcome { duration: Duration::from_millis(millis), ..outcome });
            assert!(counters.durations.buckets[bucket] > 0, "{millis} ms");
        }
        assert_eq!((counters.runs[&Status::Healthy], counters.durations.buckets.iter().sum::<u64>()), (7, 7));
        assert!((counters.durations.seconds - 70.204).abs() < 1e-9);
        assert!(counters.errors.is_empty());
    }

    #[test]
    fn epoch_starts_with_the_first_run_and_differs() {
        let outcome = Outcome::of(Ok(Finding::healthy("m")), Instant::now(), Duration::from_secs(5));
        let [mut one, mut other] = [Counters::default(), Counters::default()];
        assert_eq!(one.epoch, None);
        one.count(&outcome);
        other.count(&outcome);
        let first = one.epoch.unwrap();
        one.count(&Outcome { at: outcome.at + Duration::from_secs(5), ..outcome.clone() });
        assert_eq!((first.since, one.epoch), (outcome.at, Some(first)));
        assert_ne!(other.epoch, Some(first));
    }

    #[test]
    fn stretches_start_where_the_status_becomes_bad() {
        use Status::{Degraded, Error, Healthy, Skipped};
        let mut stretches = Stretches::default();
        let mut from = None;
        for (to, error, unhealthy) in [
            (Healthy, 0, 0),
            (Degraded, 0, 1),
            (Error, 1, 1),
            (Error, 1, 1),
            (Degraded, 1, 1),
            (Error, 2, 1),
            (Skipped, 2, 1),
            (Error, 3, 2),
        ] {
            stretches.change(from, to);
            assert_eq!(stretches, Stretches { error, unhealthy }, "{from:?} {to:?}");
            from = Some(to);
        }
    }

    #[test]
    fn errors_are_counted_by_type_in_bounded_memory() {
        let mut counters = Counters::default();
        counters.count(&Outcome::of(Err(CheckError::Panicked), Instant::now(), Duration::from_secs(5)));
        assert_eq!(counters.runs[&Status::Error], 1);
        assert_eq!(counters.errors, [("InternalError".to_owned(), 1)].into());
        for index in 0..100 {
            counters.count(&Outcome::derived("m".to_owned(), &format!("E{index}")));
        }
        assert_eq!(counters.errors.len(), MAX_ERRORS + 1);
        assert_eq!(counters.errors.values().sum::<u64>(), 101);
    }

    #[test]
    fn result_holds_until_the_next_or_until_it_is_stale() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let found = |status, finished| {
            let outcome = Outcome::of(Ok(Finding::new(status, "m")), start, Duration::from_secs(5));
            Outcome { finished, ..outcome }
        };
        let stale_after = Duration::from_secs(60);
        let mut seconds = StatusSeconds::default();
        seconds.advance(None, stale_after, at(5));
        assert_eq!(seconds, StatusSeconds::default());
        let healthy = found(Status::Healthy, at(10));
        seconds.advance(Some(&healthy), stale_after, at(40));
        seconds.advance(Some(&healthy), stale_after, at(35));
        let error = found(Status::Error, at(40));
        seconds.advance(Some(&error), stale_after, at(60));
        seconds.advance(Some(&error), stale_after, at(130));
        seconds.advance(Some(&error), stale_after, at(140));
        let skipped = found(Status::Skipped, at(140));
        seconds.advance(Some(&skipped), stale_after, at(150));
        let StatusSeconds { healthy, degraded, error, unknown, .. } = seconds;
        assert_eq!([healthy, degraded, error, unknown], [30.0, 0.0, 60.0, 40.0]);
    }
}
