//! What the duration of a run, and the share of errors among the latest, say of a check: degraded, never an error.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Outcome, Status};

/// For all checks of an engine; `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    pub response_time: Option<Duration>,
    /// In percent.
    pub error_rate: Option<f64>,
}

/// The latest runs of a check.
#[derive(Debug, Default)]
pub struct Latest {
    runs: VecDeque<(Instant, bool)>,
    warm: bool,
}

impl Latest {
    const WINDOW: Duration = Duration::from_secs(15 * 60);
    /// At a hundred runs a second too the memory is bounded.
    const KEPT: usize = 1_000;
    /// Fewer say nothing: one error of three would be 33 %.
    const MINIMUM: usize = 20;

    /// Adds a run, if it was one, and degrades its outcome where it is healthy but past a limit.
    pub fn judge(&mut self, outcome: &mut Arc<Outcome>, limits: &Limits) {
        if !outcome.ran {
            return;
        }
        // Kept only where it matters: of 22 checks it is half a megabyte.
        match limits.error_rate {
            Some(_) => self.keep(outcome),
            None => self.runs = VecDeque::new(),
        }
        let was_warm = std::mem::replace(&mut self.warm, true);
        if outcome.status != Status::Healthy {
            return;
        }
        // The first run of a process resolves, connects and imports: its duration says nothing of the dependency.
        let slow = limits.response_time.filter(|limit| was_warm && outcome.took > *limit);
        let failing = limits.error_rate.and_then(|limit| Some((self.error_rate()?, limit)));
        let failing = failing.filter(|(rate, limit)| rate > limit);
        let reason = match (slow, failing) {
            (Some(limit), _) => {
                format!("took {} ms, more than {} ms", outcome.took.as_millis(), limit.as_millis())
            }
            (None, Some((rate, limit))) => {
                format!("{rate:.1} % of the last {} runs failed, more than {limit} %", self.runs.len())
            }
            (None, None) => return,
        };
        let outcome = Arc::make_mut(outcome);
        outcome.status = Status::Degraded;
        outcome.message = if outcome.message.is_empty() { reason } else { format!("{} ({reason})", outcome.message) };
    }

    fn keep(&mut self, outcome: &Outcome) {
        let now = outcome.finished;
        self.runs.push_back((now, outcome.status == Status::Error));
        let past = |at: Instant| now.saturating_duration_since(at) > Self::WINDOW;
        while self.runs.len() > Self::KEPT || self.runs.front().is_some_and(|(at, _)| past(*at)) {
            self.runs.pop_front();
        }
    }

    fn error_rate(&self) -> Option<f64> {
        let failed = self.runs.iter().filter(|(_, failed)| *failed).count();
        (self.runs.len() >= Self::MINIMUM).then(|| 100.0 * failed as f64 / self.runs.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CheckError, Finding};

    fn run(status: Status, millis: u64) -> Outcome {
        let outcome = Outcome::of(Ok(Finding::new(status, "answers")), Instant::now());
        Outcome { took: Duration::from_millis(millis), ..outcome }
    }

    fn judged(latest: &mut Latest, limits: &Limits, status: Status, millis: u64) -> (Status, String) {
        let mut outcome = Arc::new(run(status, millis));
        latest.judge(&mut outcome, limits);
        (outcome.status, outcome.message.clone())
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_run_is_degraded_but_for_the_first() {
        let limits = Limits { response_time: Some(Duration::from_secs(1)), error_rate: None };
        let mut latest = Latest::default();
        assert_eq!(judged(&mut latest, &limits, Status::Healthy, 1_500).0, Status::Healthy);
        assert_eq!(
            judged(&mut latest, &limits, Status::Healthy, 1_500),
            (Status::Degraded, "answers (took 1500 ms, more than 1000 ms)".to_owned())
        );
        assert_eq!(judged(&mut latest, &limits, Status::Healthy, 1_000).0, Status::Healthy);
        assert_eq!(judged(&mut latest, &limits, Status::Error, 1_500).0, Status::Error);
        assert_eq!(judged(&mut latest, &Limits::default(), Status::Healthy, 9_000).0, Status::Healthy);
    }

    #[tokio::test(start_paused = true)]
    async fn many_errors_degrade_until_they_are_past() {
        let limits = Limits { response_time: None, error_rate: Some(10.0) };
        let mut latest = Latest::default();
        for _ in 0..3 {
            assert_eq!(judged(&mut latest, &limits, Status::Error, 1).0, Status::Error);
        }
        for _ in 0..16 {
            assert_eq!(judged(&mut latest, &limits, Status::Healthy, 1).0, Status::Healthy, "too few runs");
        }
        assert_eq!(
            judged(&mut latest, &limits, Status::Healthy, 1),
            (Status::Degraded, "answers (15.0 % of the last 20 runs failed, more than 10 %)".to_owned())
        );
        tokio::time::advance(Latest::WINDOW + Duration::from_secs(1)).await;
        assert_eq!(judged(&mut latest, &limits, Status::Healthy, 1).0, Status::Healthy);
        assert_eq!(latest.runs.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_did_not_run_is_no_run() {
        let limits = Limits { response_time: Some(Duration::from_secs(1)), error_rate: Some(10.0) };
        let mut latest = Latest::default();
        for _ in 0..Latest::MINIMUM {
            let still_running = Outcome::of(Err(CheckError::StillRunning { seconds: 1 }), Instant::now());
            latest.judge(&mut Arc::new(still_running), &limits);
        }
        assert_eq!(judged(&mut latest, &limits, Status::Healthy, 1_500).0, Status::Healthy, "the first run");
        assert_eq!(latest.runs.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_a_bounded_number_of_runs_is_kept_and_none_without_a_limit() {
        let mut latest = Latest::default();
        let limits = Limits { response_time: None, error_rate: Some(10.0) };
        for _ in 0..Latest::KEPT * 2 {
            judged(&mut latest, &limits, Status::Healthy, 1);
        }
        assert_eq!(latest.runs.len(), Latest::KEPT);
        judged(&mut latest, &Limits::default(), Status::Healthy, 1);
        assert_eq!(latest.runs.capacity(), 0);
    }
}
