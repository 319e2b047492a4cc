//! Whether a check changes too often for each change to be reported: the weighted share of changes, as Nagios counts it.

use serde::{Deserialize, Serialize};

/// Over how many runs changes are counted.
pub const RUNS: usize = 21;
/// From this share of changes on a check is flapping, and below the other it is no more, in percent.
const ON: f64 = 50.0;
const OFF: f64 = 25.0;
/// The weight of the oldest change and of the latest.
const WEIGHTS: (f64, f64) = (0.8, 1.2);

/// Which of the last runs were bad: the latest is bit 0. What was before the first counts as good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentFailures(u32);

impl RecentFailures {
    pub fn push(&mut self, is_bad: bool) {
        self.0 = (self.0 << 1 | u32::from(is_bad)) & ((1 << RUNS) - 1);
    }

    /// Whether none of them was bad.
    pub fn is_clean(self) -> bool {
        self.0 == 0
    }

    /// The share of changes in percent.
    fn changes(self) -> f64 {
        let changed = self.0 ^ (self.0 >> 1);
        let most = RUNS - 1;
        let weight = |age: usize| WEIGHTS.1 - (WEIGHTS.1 - WEIGHTS.0) * age as f64 / (most - 1) as f64;
        let sum: f64 = (0..most).filter(|age| changed >> age & 1 == 1).map(weight).sum();
        100.0 * sum / most as f64
    }

    /// Whether it is flapping now, if `before` says whether it was.
    pub fn is_flapping(self, before: bool) -> bool {
        self.changes() >= if before { OFF } else { ON }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(runs: &str) -> RecentFailures {
        let mut recent = RecentFailures::default();
        runs.chars().for_each(|run| recent.push(run == 'x'));
        recent
    }

    #[test]
    fn changes_are_weighted_by_age_and_counted_over_21_runs() {
        for (runs, expected) in [
            ("", 0.0),
            ("x", 6.0),
            ("xxxxxxxxxxxxxxxxxxxxx", 0.0),
            ("x.x.x.x.x.x.x.x.x.x.x", 100.0),
            // One change: the latest, the oldest.
            ("....................x", 6.0),
            ("x....................", 4.0),
            // What is older is not counted.
            ("x.....................", 0.0),
            ("x.", 11.89),
        ] {
            assert!((of(runs).changes() - expected).abs() < 0.01, "{runs}: {}", of(runs).changes());
        }
    }

    #[test]
    fn flapping_starts_at_half_and_ends_below_a_quarter() {
        let mut recent = RecentFailures::default();
        let mut is_flapping = false;
        let mut step = |is_bad| {
            recent.push(is_bad);
            is_flapping = recent.is_flapping(is_flapping);
            is_flapping
        };
        let started = (0..21).position(|run| step(run % 2 == 0));
        assert_eq!(started, Some(8), "9 changes of the highest weights make 50%");
        let ended = (0..40).position(|_| !step(false));
        assert!(matches!(ended, Some(10..=17)), "{ended:?}");
        assert!(!recent.is_clean());
        (0..RUNS).for_each(|_| recent.push(false));
        assert!(recent.is_clean());
    }
}
