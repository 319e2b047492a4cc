//! The circuit breaker: a pure state machine that is given the time and decides whether a call may proceed.
//!
//! It knows no clock, lock, log or thread. Each change of state is returned as a [`Transition`] for the caller to log
//! and publish; their `from` and `to` form a chain. [`Breaker::state`] shows the same a moment earlier: an open circuit
//! whose wait is over is half-open, although only the next call makes it so.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::model::{BreakerOptions, CircuitMode, CircuitState, Transition, clock};

/// What a call meant for the dependency's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallResult {
    Success,
    Failure,
    /// Says nothing about the dependency: wrong credentials, cancelled, a fault of our own.
    Ignored,
}

/// The right to make one call, to be returned through [`Breaker::record`]. A permit that never comes back costs
/// nothing while closed; a trial's is written off after its lease.
#[derive(Debug, Serialize, Deserialize)]
#[must_use = "return it with `record`"]
pub struct Permit {
    pub is_trial: bool,
    /// What admitting this call changed: the first trial makes an open circuit half-open.
    pub transition: Option<Transition>,
    generation: u64,
}

/// Why a call may not proceed, and when to try again; `None` where only an operator changes that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    pub state: CircuitState,
    pub retry_after: Option<Duration>,
}

#[derive(Debug, Serialize, Deserialize)]
enum CircuitPhase {
    Closed {
        failures_in_a_row: u32,
        calls: VecDeque<RecordedCall>,
    },
    Open {
        #[serde(with = "clock::instant")]
        since: Instant,
        wait: Duration,
    },
    HalfOpen {
        #[serde(with = "clock::optional")]
        trial_since: Option<Instant>,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct RecordedCall {
    #[serde(with = "clock::instant")]
    at: Instant,
    failed: bool,
    slow: bool,
}

/// All that another process must know to continue in its place.
#[derive(Debug, Serialize, Deserialize)]
pub struct BreakerState {
    mode: CircuitMode,
    circuit: CircuitPhase,
    /// Changes with the state and with each trial: what was admitted before says nothing about now.
    generation: u64,
    /// The present wait, before jitter: doubled with each failed trial.
    backoff: Duration,
    jitter: Jitter,
}

#[derive(Debug)]
pub struct Breaker {
    spec: BreakerOptions,
    trial_lease: Duration,
    saved: BreakerState,
}

impl Breaker {
    /// `trial_lease` must exceed the time that a call can take: after it, another trial may start. `seed` should differ
    /// between processes, so that they do not retry in step.
    pub fn new(spec: BreakerOptions, trial_lease: Duration, seed: u64) -> Self {
        let (mode, circuit, backoff, jitter) =
            (CircuitMode::Automatic, CircuitPhase::closed(), spec.wait, Jitter(seed));
        Self { spec, trial_lease, saved: BreakerState { mode, circuit, generation: 0, backoff, jitter } }
    }

    pub fn saved(&self) -> &BreakerState {
        &self.saved
    }

    /// Continues from the state of another breaker of the same options.
    pub fn restore(&mut self, saved: BreakerState) {
        self.saved = saved;
    }

    /// Requests a permit for a call.
    pub fn acquire(&mut self, now: Instant) -> Result<Permit, Refused> {
        let state = self.state(now);
        let retry_after = self.retry_after(now);
        match state {
            CircuitState::Closed => Ok(Permit { is_trial: false, transition: None, generation: self.saved.generation }),
            CircuitState::HalfOpen if retry_after.is_none() => {
                let transition = self.enter(CircuitPhase::HalfOpen { trial_since: Some(now) });
                Ok(Permit { is_trial: true, transition, generation: self.saved.generation })
            }
            CircuitState::Open | CircuitState::HalfOpen => Err(Refused { state, retry_after }),
        }
    }

    /// Returns the permit of a call that took `duration`. Results of calls admitted before the last change of state, and
    /// those of a trial that outlived its lease, are not counted.
    pub fn record(
        &mut self,
        permit: Permit,
        call_result: CallResult,
        duration: Duration,
        now: Instant,
    ) -> Option<Transition> {
        if permit.generation != self.saved.generation || self.saved.mode != CircuitMode::Automatic {
            return None;
        }
        let failed = call_result == CallResult::Failure;
        let slow = self.spec.slow_call_rate.is_some() && duration > self.spec.slow_call;
        match &mut self.saved.circuit {
            CircuitPhase::Closed { .. } if call_result == CallResult::Ignored => None,
            CircuitPhase::HalfOpen { trial_since } if call_result == CallResult::Ignored => {
                *trial_since = None;
                None
            }
            CircuitPhase::Closed { failures_in_a_row, calls } => {
                *failures_in_a_row = if failed { failures_in_a_row.saturating_add(1) } else { 0 };
                // Only the rates look back; without them there is nothing to keep, and to store for other processes.
                if self.spec.failure_rate.is_some() || self.spec.slow_call_rate.is_some() {
                    calls.push_back(RecordedCall { at: now, failed, slow });
                }
                if calls.len() > self.spec.window_calls {
                    calls.pop_front();
                }
                calls.retain(|call| now.saturating_duration_since(call.at) <= self.spec.window);
                if !must_open(&self.spec, *failures_in_a_row, calls) {
                    return None;
                }
                self.enter(CircuitPhase::Open { since: now, wait: self.saved.backoff })
            }
            CircuitPhase::HalfOpen { .. } if failed || slow => {
                self.saved.backoff = self.saved.backoff.saturating_mul(2).min(self.spec.max_wait);
                let wait = self.saved.jitter.spread(self.saved.backoff).min(self.spec.max_wait);
                self.enter(CircuitPhase::Open { since: now, wait })
            }
            CircuitPhase::HalfOpen { .. } => self.close(CircuitMode::Automatic),
            // Nothing is admitted while open, so no permit is of its generation.
            CircuitPhase::Open { .. } => None,
        }
    }

    pub fn state(&self, now: Instant) -> CircuitState {
        match (self.entered(), &self.saved.circuit) {
            (CircuitState::Open, CircuitPhase::Open { since, wait })
                if now.saturating_duration_since(*since) >= *wait =>
            {
                CircuitState::HalfOpen
            }
            (entered, _) => entered,
        }
    }

    pub fn mode(&self) -> CircuitMode {
        self.saved.mode
    }

    /// How long until a call may proceed at the latest; `None` if one may now, or if only an operator changes that.
    pub fn retry_after(&self, now: Instant) -> Option<Duration> {
        let (since, length) = self.refuses()?;
        let left = length.saturating_sub(now.saturating_duration_since(since));
        (!left.is_zero()).then_some(left)
    }

    /// Until when it refuses calls by itself: while it is open, and while a trial is under way. `None` if it refuses none,
    /// or if only an operator changes that.
    pub fn refuses_until(&self) -> Option<Instant> {
        self.refuses().and_then(|(since, length)| since.checked_add(length))
    }

    /// Since when, and for how long.
    fn refuses(&self) -> Option<(Instant, Duration)> {
        match (self.saved.mode, &self.saved.circuit) {
            (CircuitMode::Automatic, CircuitPhase::Open { since, wait }) => Some((*since, *wait)),
            (CircuitMode::Automatic, CircuitPhase::HalfOpen { trial_since: Some(since) }) => {
                Some((*since, self.trial_lease))
            }
            _ => None,
        }
    }

    /// Refuses every call until [`Self::reset`].
    pub fn force_open(&mut self) -> Option<Transition> {
        self.close(CircuitMode::ForcedOpen)
    }

    /// Admits every call, whatever the results, until [`Self::reset`].
    pub fn force_closed(&mut self) -> Option<Transition> {
        self.close(CircuitMode::ForcedClosed)
    }

    /// As [`Self::force_closed`], where there is to be no breaker at all: [`Self::mode`] differs.
    pub fn disable(&mut self) -> Option<Transition> {
        self.close(CircuitMode::Disabled)
    }

    /// Back to a new breaker: automatic, closed, nothing counted.
    pub fn reset(&mut self) -> Option<Transition> {
        self.close(CircuitMode::Automatic)
    }

    /// The state that was last entered, which is what transitions report.
    fn entered(&self) -> CircuitState {
        match (self.saved.mode, &self.saved.circuit) {
            (CircuitMode::ForcedOpen, _) => CircuitState::Open,
            (CircuitMode::ForcedClosed | CircuitMode::Disabled, _)
            | (CircuitMode::Automatic, CircuitPhase::Closed { .. }) => CircuitState::Closed,
            (CircuitMode::Automatic, CircuitPhase::Open { .. }) => CircuitState::Open,
            (CircuitMode::Automatic, CircuitPhase::HalfOpen { .. }) => CircuitState::HalfOpen,
        }
    }

    fn close(&mut self, mode: CircuitMode) -> Option<Transition> {
        let from = self.entered();
        self.saved.mode = mode;
        self.saved.backoff = self.spec.wait;
        self.enter(CircuitPhase::closed());
        let to = self.entered();
        (from != to).then_some(Transition { from, to })
    }

    fn enter(&mut self, circuit: CircuitPhase) -> Option<Transition> {
        let from = self.entered();
        self.saved.circuit = circuit;
        self.saved.generation = self.saved.generation.wrapping_add(1);
        let to = self.entered();
        (from != to).then_some(Transition { from, to })
    }
}

impl CircuitPhase {
    fn closed() -> Self {
        Self::Closed { failures_in_a_row: 0, calls: VecDeque::new() }
    }
}

/// Whether what was counted while closed opens the circuit.
fn must_open(spec: &BreakerOptions, failures_in_a_row: u32, calls: &VecDeque<RecordedCall>) -> bool {
    let reaches = |limit: Option<f64>, counts: fn(&RecordedCall) -> bool| {
        let share = calls.iter().filter(|call| counts(call)).count() as f64 / calls.len() as f64;
        limit.is_some_and(|limit| calls.len() >= spec.minimum_calls && share >= limit)
    };
    spec.failures.is_some_and(|limit| failures_in_a_row >= limit)
        || reaches(spec.failure_rate, |call| call.failed)
        || reaches(spec.slow_call_rate, |call| call.slow)
}

/// A splitmix64 generator: spreads retries without a dependency on a source of randomness.
#[derive(Debug, Serialize, Deserialize)]
struct Jitter(u64);

impl Jitter {
    /// The duration plus or minus up to 10%.
    fn spread(&mut self, duration: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let factor = 0.9 + 0.2 * (mixed as f64 / u64::MAX as f64);
        Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(duration)
    }
}
