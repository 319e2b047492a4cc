//! How many tasks a minute are finished: by counters of workers that this process has seen before.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::Queues;
use crate::checks::redis::RedisServerOptions;
use crate::runtime::{Context, lock};

/// Over how long it is measured.
const WINDOW: Duration = Duration::from_secs(600);
/// Counts that are closer to each other say nothing.
const STEP: Duration = Duration::from_secs(5);

/// What each worker has finished in its life.
pub type Counts = BTreeMap<String, u64>;

/// The counts that this process has seen within the window.
#[derive(Clone, Default)]
pub struct Flow(Arc<Mutex<VecDeque<(Instant, Counts)>>>);

impl Flow {
    pub fn new(context: &Context, server: &RedisServerOptions, queues: &Queues<'_>) -> Self {
        let Queues { layout, prefix, names, .. } = queues;
        Self(context.process.shared(&format!("flow {server:?} {layout:?} {prefix:?} {names:?}")))
    }

    /// Add counts, and return how many tasks a minute were finished since the first ones in the window; `None` for those
    /// that come first. What ended workers have finished since is not counted.
    pub fn per_minute(&self, at: Instant, counts: Counts) -> Option<f64> {
        let mut seen = lock(&self.0);
        while seen.len() > 1 && seen.get(1).is_some_and(|(second, _)| at.duration_since(*second) >= WINDOW) {
            seen.pop_front();
        }
        let rate = seen.front().and_then(|(first, before)| {
            let finished =
                |(worker, count): (&String, &u64)| count.saturating_sub(before.get(worker).copied().unwrap_or(0));
            let total: u64 = counts.iter().map(finished).sum();
            let elapsed = at.duration_since(*first);
            (elapsed >= STEP).then(|| total as f64 * 60.0 / elapsed.as_secs_f64())
        });
        if seen.back().is_none_or(|(last, _)| at.duration_since(*last) >= STEP) {
            seen.push_back((at, counts));
        }
        rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(workers: &[(&str, u64)]) -> Counts {
        workers.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn per_minute_over_the_window() {
        let flow = Flow::default();
        let start = Instant::now();
        let after = |seconds, workers: &[(&str, u64)]| {
            let rate = flow.per_minute(start + Duration::from_secs(seconds), counts(workers));
            rate.map(|rate| (rate * 10.0).round() / 10.0)
        };
        assert_eq!(after(0, &[("a", 100)]), None, "nothing to compare with");
        assert_eq!(after(1, &[("a", 101)]), None, "too close");
        assert_eq!(after(30, &[("a", 110)]), Some(20.0));
        assert_eq!(after(60, &[("a", 110), ("b", 10)]), Some(20.0), "a new worker counts from its birth");
        assert_eq!(after(60, &[("b", 10)]), Some(10.0), "an ended one does not");
        assert_eq!(after(60, &[("a", 0)]), Some(0.0), "one that was started anew");
        assert_eq!(after(660, &[("a", 110), ("b", 20)]), Some(1.0), "since the counts at 60 s");
    }
}
