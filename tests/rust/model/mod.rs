//! Random histories of a breaker, each step compared with a naive model that keeps everything and recounts it.

use std::time::Duration;

use lifesigns::model::BreakerOptions;
use lifesigns::model::{CircuitState, Transition};
use lifesigns::policy::breaker::{Breaker, CallResult, Permit};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use tokio::time::Instant;

#[derive(Clone, Debug)]
enum Step {
    Acquire,
    /// Gives back one of the permits that are out, the n-th modulo their number.
    Record(usize, CallResult, Duration),
    /// One that is never given back.
    Lose(usize),
    Advance(Duration),
    ForceOpen,
    ForceClosed,
    Disable,
    Reset,
}

/// Made from plain numbers: several times as fast as a choice between strategies.
fn step((choice, n, millis): (u8, usize, u64)) -> Step {
    let call_result = match n % 8 {
        0..=3 => CallResult::Failure,
        4..=6 => CallResult::Success,
        _ => CallResult::Ignored,
    };
    match choice {
        0..40 => Step::Acquire,
        40..80 => Step::Record(n / 8, call_result, Duration::from_millis(millis % 3_000)),
        80..83 => Step::Lose(n),
        83..90 => Step::Advance(Duration::from_millis(millis % 20_000)),
        // Whole seconds, as the specifications have them, meet their boundaries.
        90..98 => Step::Advance(Duration::from_secs(millis % 30)),
        98..102 => Step::Advance(Duration::from_millis(millis % 900_000)),
        102 => Step::ForceOpen,
        103 => Step::ForceClosed,
        104 => Step::Disable,
        _ => Step::Reset,
    }
}

fn steps() -> impl Strategy<Value = Vec<(u8, usize, u64)>> {
    vec((0..107_u8, 0..1_000_usize, 0..900_000_u64), 0..60)
}

fn specs() -> impl Strategy<Value = BreakerOptions> {
    (of(1..5_u32), of(0.1..=1.0), of(0.1..=1.0), 1..8_usize, 0..8_usize, 5..200_u64, 1..60_u64, 1..20_u64).prop_map(
        |(failures, failure_rate, slow_call_rate, minimum_calls, more, window, wait, times)| BreakerOptions {
            failures,
            failure_rate,
            slow_call_rate,
            slow_call: Duration::from_secs(1),
            window_calls: minimum_calls + more,
            window: Duration::from_secs(window),
            minimum_calls,
            wait: Duration::from_secs(wait),
            max_wait: Duration::from_secs(wait * times),
        },
    )
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Closed,
    /// Opened at the first, for the second.
    Open(Duration, Duration),
    /// The ticket and start of the trial that is out.
    HalfOpen(Option<(usize, Duration)>),
    HeldOpen,
    HeldClosed,
}

/// Times are since the start. A ticket is the number of an admission; `valid_from` is the first whose result counts.
struct Model {
    spec: BreakerOptions,
    lease: Duration,
    phase: Phase,
    tickets: usize,
    valid_from: usize,
    /// Every result counted since it was closed: when, failed, slow.
    results: Vec<(Duration, bool, bool)>,
    failed_trials: u32,
}

impl Model {
    fn state(&self, now: Duration) -> CircuitState {
        match self.phase {
            Phase::Closed | Phase::HeldClosed => CircuitState::Closed,
            Phase::Open(since, wait) if now >= since + wait => CircuitState::HalfOpen,
            Phase::Open(..) | Phase::HeldOpen => CircuitState::Open,
            Phase::HalfOpen(_) => CircuitState::HalfOpen,
        }
    }

    fn retry_after(&self, now: Duration) -> Option<Duration> {
        let until = match self.phase {
            Phase::Open(since, wait) => since + wait,
            Phase::HalfOpen(Some((_, since))) => since + self.lease,
            _ => return None,
        };
        (until > now).then(|| until - now)
    }

    fn go(&mut self, phase: Phase) {
        self.phase = phase;
        self.valid_from = self.tickets;
        self.results.clear();
        if !matches!(phase, Phase::Open(..) | Phase::HalfOpen(_)) {
            self.failed_trials = 0;
        }
    }

    /// The ticket and whether it is a trial.
    fn acquire(&mut self, now: Duration) -> Option<(usize, bool)> {
        let ticket = self.tickets;
        let trial = match self.phase {
            Phase::Closed | Phase::HeldClosed => false,
            Phase::HeldOpen => return None,
            Phase::Open(..) | Phase::HalfOpen(_) if self.retry_after(now).is_some() => return None,
            Phase::Open(..) | Phase::HalfOpen(_) => true,
        };
        if trial {
            self.go(Phase::HalfOpen(Some((ticket, now))));
        }
        self.tickets += 1;
        Some((ticket, trial))
    }

    /// The range in which the wait must lie, if this result opens the circuit.
    fn record(&mut self, ticket: usize, call_result: CallResult, took: Duration, now: Duration) -> Option<(f64, f64)> {
        if ticket < self.valid_from {
            return None;
        }
        let failed = call_result == CallResult::Failure;
        let slow = took > self.spec.slow_call;
        match (self.phase, call_result) {
            (Phase::HalfOpen(_), CallResult::Ignored) => self.phase = Phase::HalfOpen(None),
            (Phase::HalfOpen(_), _) if failed || (slow && self.spec.slow_call_rate.is_some()) => {
                self.failed_trials += 1;
                let cap = self.spec.max_wait.as_secs_f64();
                let wait = (self.spec.wait.as_secs_f64() * 2_f64.powf(f64::from(self.failed_trials))).min(cap);
                return Some((wait * 0.9, (wait * 1.1).min(cap)));
            }
            (Phase::HalfOpen(_), _) => self.go(Phase::Closed),
            (Phase::Closed, CallResult::Success | CallResult::Failure) => {
                self.results.push((now, failed, slow));
                if self.must_open(now) {
                    let wait = self.spec.wait.as_secs_f64();
                    return Some((wait, wait));
                }
            }
            _ => {}
        }
        None
    }

    fn must_open(&self, now: Duration) -> bool {
        let in_a_row = self.results.iter().rev().take_while(|(_, failed, _)| *failed).count();
        let window: Vec<_> = self
            .results
            .iter()
            .rev()
            .take(self.spec.window_calls)
            .filter(|(at, ..)| *at + self.spec.window >= now)
            .collect();
        let reaches = |limit: Option<f64>, count: usize| {
            limit.is_some_and(|limit| {
                window.len() >= self.spec.minimum_calls && count as f64 / window.len() as f64 >= limit
            })
        };
        self.spec.failures.is_some_and(|limit| in_a_row >= limit as usize)
            || reaches(self.spec.failure_rate, window.iter().filter(|(_, failed, _)| *failed).count())
            || reaches(self.spec.slow_call_rate, window.iter().filter(|(.., slow)| *slow).count())
    }
}

fn compare(spec: BreakerOptions, seed: u64, steps: impl Iterator<Item = Step>) -> Result<(), TestCaseError> {
    let lease = Duration::from_secs(15);
    let start = Instant::now();
    let mut now = Duration::ZERO;
    let mut breaker = Breaker::new(spec.clone(), lease, seed);
    let mut model =
        Model { spec, lease, phase: Phase::Closed, tickets: 0, valid_from: 0, results: Vec::new(), failed_trials: 0 };
    let mut out: Vec<(Permit, usize)> = Vec::new();
    let mut announced = CircuitState::Closed;
    for step in steps {
        let before = model.phase;
        let mut transition: Option<Transition> = None;
        match step {
            Step::Acquire => {
                let mut admitted = breaker.acquire(start + now);
                if let Ok(permit) = &mut admitted {
                    transition = permit.transition.take();
                }
                if let Err(refused) = &admitted {
                    prop_assert_eq!(refused.state, model.state(now));
                    prop_assert_eq!(refused.retry_after, model.retry_after(now));
                }
                let expected = model.acquire(now);
                prop_assert_eq!(admitted.as_ref().ok().map(|p| p.is_trial), expected.map(|(_, trial)| trial));
                out.extend(admitted.ok().zip(expected.map(|(ticket, _)| ticket)));
            }
            Step::Record(n, call_result, took) if !out.is_empty() => {
                let (permit, ticket) = out.swap_remove(n % out.len());
                transition = breaker.record(permit, call_result, took, start + now);
                if let Some((least, most)) = model.record(ticket, call_result, took, now) {
                    let wait = breaker.retry_after(start + now).unwrap_or_default();
                    let seconds = wait.as_secs_f64();
                    prop_assert!(least - 1e-6 <= seconds && seconds <= most + 1e-6, "{wait:?}: {least} to {most}");
                    model.go(Phase::Open(now, wait));
                }
            }
            Step::Lose(n) if !out.is_empty() => drop(out.swap_remove(n % out.len())),
            Step::Record(..) | Step::Lose(_) => {}
            Step::Advance(by) => now += by,
            Step::ForceOpen => {
                transition = breaker.force_open();
                model.go(Phase::HeldOpen);
            }
            Step::ForceClosed => {
                transition = breaker.force_closed();
                model.go(Phase::HeldClosed);
            }
            Step::Disable => {
                transition = breaker.disable();
                model.go(Phase::HeldClosed);
            }
            Step::Reset => {
                transition = breaker.reset();
                model.go(Phase::Closed);
            }
        }
        prop_assert_eq!(breaker.state(start + now), model.state(now), "{:?} -> {:?}", before, model.phase);
        prop_assert_eq!(breaker.retry_after(start + now), model.retry_after(now));
        if let Some(Transition { from, to }) = transition {
            prop_assert_eq!(from, announced, "transitions form a chain");
            prop_assert_ne!(from, to);
            announced = to;
        }
        // What was announced lags behind only in that the next call makes an open circuit half-open.
        let state = breaker.state(start + now);
        prop_assert!(announced == state || (announced, state) == (CircuitState::Open, CircuitState::HalfOpen));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_naive_model(spec in specs(), seed in any::<u64>(), steps in steps()) {
        compare(spec, seed, steps.into_iter().map(step))?;
    }
}
