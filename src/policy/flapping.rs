//! Whether a check changes too often for each change to be reported: the weighted share of changes, as Nagios counts it.
//!
//! Counted are results that differ from those before them, and turns: incidents that open and are over by the counts of
//! the rules. Of these there are fewer, the higher the counts are: two in a cycle of as many runs as both counts are
//! together, which is 100%.

use serde::{Deserialize, Serialize};

/// Over how many runs changes are counted.
pub const RUNS: usize = 21;
/// From this share of changes on a check is flapping, and below the other it is no more, in percent.
const ON: f64 = 50.0;
const OFF: f64 = 25.0;
/// The weight of the oldest change and of the latest.
const WEIGHTS: (f64, f64) = (0.8, 1.2);
/// Over how many of the fastest cycles turns are counted, where these are longer than [`RUNS`].
const CYCLES: u64 = 4;

/// Which of the last runs were bad, and when the check turned. What was before the first counts as good.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecentFailures {
    /// The latest is bit 0.
    bad: u32,
    /// How many runs there were; counted only while something is remembered.
    runs: u64,
    is_failing: bool,
    /// The numbers of the runs at which it turned, the oldest first.
    turns: Vec<u64>,
}

impl RecentFailures {
    /// Adds a run; `cycle`: how many it takes to open an incident and to end it.
    pub fn push(&mut self, is_bad: bool, cycle: u32) {
        self.bad = (self.bad << 1 | u32::from(is_bad)) & ((1 << RUNS) - 1);
        self.runs += 1;
        let oldest = self.runs.saturating_sub(turns_window(cycle));
        self.turns.retain(|turn| *turn > oldest);
    }

    /// Notes that it fails, or is well, by the counts.
    pub fn turn(&mut self, is_failing: bool) {
        if self.is_failing != is_failing {
            self.is_failing = is_failing;
            self.turns.push(self.runs);
        }
    }

    /// Whether there is nothing that could count as a change.
    pub fn is_clean(&self) -> bool {
        self.bad == 0 && self.turns.is_empty() && !self.is_failing
    }

    /// The share of results that differ from those before them, in percent.
    fn changes(&self) -> f64 {
        let changed = self.bad ^ (self.bad >> 1);
        let most = RUNS as u64 - 1;
        let sum: f64 = (0..most).filter(|age| changed >> age & 1 == 1).map(|age| weight(age, most)).sum();
        100.0 * sum / most as f64
    }

    /// The share of turns among as many as there can be, in percent.
    fn turned(&self, cycle: u32) -> f64 {
        let window = turns_window(cycle);
        let ages = self.turns.iter().map(|turn| self.runs.saturating_sub(*turn));
        let sum: f64 = ages.filter(|age| *age < window).map(|age| weight(age, window)).sum();
        let most = window as f64 * 2.0 / f64::from(cycle.max(2));
        (100.0 * sum / most).min(100.0)
    }

    /// Whether it is flapping now, if `before` says whether it was; `cycle` as for [`Self::push`].
    pub fn is_flapping(&self, before: bool, cycle: u32) -> bool {
        self.changes().max(self.turned(cycle)) >= if before { OFF } else { ON }
    }
}

/// Over how many runs turns are counted.
fn turns_window(cycle: u32) -> u64 {
    (RUNS as u64 - 1).max(CYCLES * u64::from(cycle))
}

/// How much a change of that age counts, among `window` of them.
fn weight(age: u64, window: u64) -> f64 {
    WEIGHTS.1 - (WEIGHTS.1 - WEIGHTS.0) * age as f64 / (window - 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(runs: &str) -> RecentFailures {
        let mut recent = RecentFailures::default();
        runs.chars().for_each(|run| recent.push(run == 'x', 2));
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
            recent.push(is_bad, 2);
            is_flapping = recent.is_flapping(is_flapping, 2);
            is_flapping
        };
        let started = (0..21).position(|run| step(run % 2 == 0));
        assert_eq!(started, Some(8), "9 changes of the highest weights make 50%");
        let ended = (0..40).position(|_| !step(false));
        assert!(matches!(ended, Some(10..=17)), "{ended:?}");
        assert!(!recent.is_clean());
        (0..RUNS).for_each(|_| recent.push(false, 2));
        assert!(recent.is_clean());
    }

    #[test]
    fn turns_as_fast_as_the_counts_allow_are_all_that_there_can_be() {
        for (failures, successes) in [(1, 1), (2, 1), (3, 2), (5, 5), (30, 10)] {
            let cycle = failures + successes;
            let mut recent = RecentFailures::default();
            let mut started = None;
            for run in 0..12 * cycle {
                let place = run % cycle;
                recent.push(place < failures, cycle);
                // Turned by the last failure, and by the last success.
                if place + 1 == failures || place + 1 == cycle {
                    recent.turn(place < failures);
                    started = started.or_else(|| (recent.turned(cycle) >= ON).then_some(recent.turns.len()));
                }
            }
            let share = recent.turned(cycle);
            assert!((90.0..=100.0).contains(&share), "{failures} {successes}: {share}");
            let expected = [(2, 9), (3, 6)].into_iter().find(|(of, _)| *of == cycle).map_or(4, |(_, turns)| turns);
            assert_eq!(started, Some(expected), "{failures} {successes}: how many turns are too many");
            (0..turns_window(cycle)).for_each(|_| recent.push(false, cycle));
            assert!(recent.is_clean(), "{failures} {successes}");
        }
    }
}
