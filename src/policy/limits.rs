//! What the duration of a run, and the share of errors among recent runs, make of a healthy check: degraded, never an error.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::model::{Status, clock};

/// For all checks of an engine; `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    pub response_time: Option<Duration>,
    /// In percent.
    pub error_rate: Option<f64>,
}

/// How many runs of a check there were in the last 15 minutes, and how many of them failed: minute by minute, so that it
/// is small however often the check runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RecentRuns {
    minutes: Vec<MinuteOfRuns>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct MinuteOfRuns {
    #[serde(with = "clock::instant")]
    start: Instant,
    runs: u32,
    failed: u32,
}

impl RecentRuns {
    const WINDOW: Duration = Duration::from_secs(15 * 60);
    const MINUTE: Duration = Duration::from_secs(60);
    /// Fewer say nothing: one error of three would be 33%.
    const MINIMUM: u32 = 20;

    /// Counts a run that ended at `now`.
    pub fn count(&mut self, failed: bool, now: Instant) {
        self.minutes.retain(|minute| now.saturating_duration_since(minute.start) <= Self::WINDOW);
        let failed = u32::from(failed);
        match self.minutes.last_mut() {
            Some(last) if now.saturating_duration_since(last.start) < Self::MINUTE => {
                last.runs = last.runs.saturating_add(1);
                last.failed = last.failed.saturating_add(failed);
            }
            _ => self.minutes.push(MinuteOfRuns { start: now, runs: 1, failed }),
        }
    }

    /// How many runs, and the percentage of them that failed; `None` before there are enough to say.
    fn error_rate(&self) -> Option<(u32, f64)> {
        let total = |of: fn(&MinuteOfRuns) -> u32| self.minutes.iter().map(of).fold(0, u32::saturating_add);
        let (runs, failed) = (total(|minute| minute.runs), total(|minute| minute.failed));
        (runs >= Self::MINIMUM).then(|| (runs, 100.0 * f64::from(failed) / f64::from(runs)))
    }
}

impl Limits {
    /// Why a run that found `status` is degraded, if it is. `first`: the first run of a process resolves, connects and
    /// imports, so its duration says nothing of the dependency.
    pub fn exceeded(&self, status: Status, duration: Duration, first: bool, recent: &RecentRuns) -> Option<String> {
        if status != Status::Healthy {
            return None;
        }
        let slow = self.response_time.filter(|limit| !first && duration > *limit);
        let failing = self.error_rate.zip(recent.error_rate()).filter(|(limit, (_, rate))| rate > limit);
        match (slow, failing) {
            (Some(limit), _) => Some(format!("took {} ms, more than {} ms", duration.as_millis(), limit.as_millis())),
            (None, Some((limit, (runs, rate)))) => {
                Some(format!("{rate:.1}% of the last {runs} runs failed, more than {limit}%"))
            }
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exceeded(limits: &Limits, status: Status, millis: u64, first: bool, recent: &RecentRuns) -> Option<String> {
        limits.exceeded(status, Duration::from_millis(millis), first, recent)
    }

    #[test]
    fn slow_run_is_degraded_except_the_first() {
        let limits = Limits { response_time: Some(Duration::from_secs(1)), error_rate: None };
        let none = RecentRuns::default();
        assert_eq!(exceeded(&limits, Status::Healthy, 1_500, true, &none), None);
        let said = Some("took 1500 ms, more than 1000 ms".to_owned());
        assert_eq!(exceeded(&limits, Status::Healthy, 1_500, false, &none), said);
        assert_eq!(exceeded(&limits, Status::Healthy, 1_000, false, &none), None);
        assert_eq!(exceeded(&limits, Status::Error, 1_500, false, &none), None);
        assert_eq!(exceeded(&Limits::default(), Status::Healthy, 9_000, false, &none), None);
    }

    #[test]
    fn many_errors_degrade_until_they_are_past() {
        let limits = Limits { response_time: None, error_rate: Some(10.0) };
        let mut recent = RecentRuns::default();
        let now = Instant::now();
        for _ in 0..3 {
            recent.count(true, now);
        }
        for _ in 0..16 {
            recent.count(false, now);
        }
        assert_eq!(exceeded(&limits, Status::Healthy, 1, false, &recent), None, "too few runs");
        recent.count(false, now);
        let said = Some("15.0% of the last 20 runs failed, more than 10%".to_owned());
        assert_eq!(exceeded(&limits, Status::Healthy, 1, false, &recent), said);
        recent.count(false, now + RecentRuns::WINDOW + Duration::from_secs(1));
        assert_eq!(recent.minutes.len(), 1);
    }

    #[test]
    fn runs_at_any_rate_take_bounded_memory() {
        let mut recent = RecentRuns::default();
        let start = Instant::now();
        for second in 0..7_200 {
            recent.count(false, start + Duration::from_secs(second));
        }
        assert!(recent.minutes.len() <= 16, "{}", recent.minutes.len());
    }
}
