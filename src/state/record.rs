//! What is known of one check, wherever it is kept, and every decision about it: pure.
//!
//! [`Record::settle`] is the only place where a run meets the policies: breaker, limits, hysteresis, counters. What is no
//! run (blocked, still running, pending, circuit open) never reaches it: those are derived when an answer is made.
//!
//! ```text
//!   no lease ──acquire──► held by an owner ──settle───► no lease, one outcome more
//!                          │          └─────give_back─► no lease, nothing changed
//!                          └─ its time is over or its owner is dead: the next acquire takes it over
//! ```

mod codec;
mod fleet;
#[cfg(test)]
mod tests;
mod values;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::model::{
    CheckOptions, CheckScope, CircuitMode, CircuitState, CircuitStatus, LastError, Outcome, Owner, Status, Transition,
    clock,
};
use crate::policy::breaker::{Breaker, CallResult, Permit};
use crate::policy::hysteresis::Hysteresis;
use crate::policy::limits::{Limits, RecentRuns};
use crate::policy::run_history::{PastRun, RunHistory};
use crate::state::counters::Counters;
pub use fleet::{FleetMark, PendingOperation};
pub use values::{Acquired, Operation, Run, Settled, StatusChange, StatusHistory, Wanted};

/// How much longer than its check may take a lease lasts: time to wake up and to store the outcome.
const MARGIN: Duration = Duration::from_millis(250);
/// The same in a fleet: time for two exchanges with its store, too.
const FLEET_MARGIN: Duration = Duration::from_millis(2_250);

/// How long a result that is not healthy is fresh at most.
pub const UNHEALTHY_TTL: Duration = Duration::from_secs(30);

/// The duty to run the check, and the breaker's permit for it.
#[derive(Debug, Serialize, Deserialize)]
struct Held {
    owner: Owner,
    #[serde(with = "clock::instant")]
    taken: Instant,
    #[serde(with = "clock::instant")]
    until: Instant,
    permit: Option<Permit>,
}

/// For how long a lease is good. In a fleet its holder may wait for the run of another host before it runs the check.
fn lease(options: &CheckOptions) -> Duration {
    match options.scope {
        CheckScope::Process | CheckScope::Host => options.timeout.saturating_add(MARGIN),
        CheckScope::Fleet => options.timeout.saturating_mul(2).saturating_add(FLEET_MARGIN),
    }
}

/// What is known of one check.
#[derive(Debug)]
pub struct Record {
    latest: Option<Arc<Outcome>>,
    settled: u64,
    held: Option<Held>,
    breaker: Option<Breaker>,
    hysteresis: Hysteresis,
    recent: RecentRuns,
    history: StatusHistory,
    runs: RunHistory,
    counters: Counters,
    fleet: FleetMark,
    lease: Duration,
    stale_after: Duration,
}

impl Record {
    /// An empty record. A result older than `stale_after` says nothing any more.
    pub fn new(options: &CheckOptions, stale_after: Duration) -> Self {
        // Longer than any run can take: its permit comes back before.
        let trial_lease = options.timeout.saturating_mul(2);
        let (seed, number) = uuid::Uuid::new_v4().as_u64_pair();
        Self {
            latest: None,
            settled: 0,
            held: None,
            breaker: options.breaker.clone().map(|breaker| Breaker::new(breaker, trial_lease, seed)),
            hysteresis: Hysteresis::of(options),
            recent: RecentRuns::default(),
            history: StatusHistory::default(),
            runs: RunHistory::new(number),
            counters: Counters::default(),
            fleet: FleetMark::default(),
            lease: lease(options),
            stale_after,
        }
    }

    pub fn latest(&self) -> Option<&Arc<Outcome>> {
        self.latest.as_ref()
    }

    /// How many outcomes were settled.
    pub fn settled(&self) -> u64 {
        self.settled
    }

    pub fn history(&self) -> &StatusHistory {
        &self.history
    }

    /// The latest runs, of which the last has the number [`Self::settled`].
    pub fn runs(&self) -> &RunHistory {
        &self.runs
    }

    /// What was counted, up to `now`.
    pub fn counters(&self, now: Instant) -> Counters {
        let mut seconds = self.counters.seconds.clone();
        seconds.advance(self.latest.as_deref(), self.holds_for(), now);
        Counters { seconds, ..self.counters.clone() }
    }

    /// For how long after its run the latest outcome holds: until it is stale. A bad one cannot become so while the
    /// breaker refuses runs because of it: it holds until a trial renews it, or none does.
    pub fn holds_for(&self) -> Duration {
        let bad = self.latest.as_ref().filter(|latest| matches!(latest.status, Status::Degraded | Status::Error));
        let refused = bad.and_then(|bad| {
            let until = self.breaker.as_ref()?.refuses_until()?;
            Some(until.saturating_duration_since(bad.finished))
        });
        self.stale_after.saturating_add(refused.unwrap_or_default())
    }

    /// Counts the time until `now`: before anything changes that decides how long the latest outcome holds.
    fn count_time(&mut self, now: Instant) {
        let holds_for = self.holds_for();
        self.counters.seconds.advance(self.latest.as_deref(), holds_for, now);
    }

    /// The latest outcome, if it is acceptable.
    pub fn answer(&self, wanted: Wanted, now: Instant) -> Option<&Arc<Outcome>> {
        self.latest.as_ref().filter(|outcome| match wanted {
            Wanted::NotOlderThan(age) => {
                let is_well = matches!(outcome.status, Status::Healthy | Status::Skipped);
                let age = if is_well { age } else { age.min(UNHEALTHY_TTL) };
                now.saturating_duration_since(outcome.finished) < age
            }
            Wanted::SettledAfter(settled) => self.settled > settled,
        })
    }

    /// Whether an owner that is `alive` has the duty to run the check, and time left for it.
    pub fn is_held(&self, now: Instant, mut alive: impl FnMut(&Owner) -> bool) -> bool {
        self.held.as_ref().is_some_and(|held| held.until > now && alive(&held.owner))
    }

    /// Requests an outcome, or the duty to find it. A lease that ran out or whose owner is dead is taken over. The second
    /// value says whether anything has changed.
    pub fn acquire(
        &mut self,
        wanted: Wanted,
        owner: Owner,
        now: Instant,
        alive: impl Fn(&Owner) -> bool,
    ) -> (Acquired, bool) {
        if let Some(outcome) = self.answer(wanted, now) {
            return (Acquired::Answered(outcome.clone()), false);
        }
        if self.is_held(now, alive) {
            return (Acquired::Held, false);
        }
        self.count_time(now);
        let lost = self.release();
        let permit = match self.breaker.as_mut().map(|breaker| breaker.acquire(now)).transpose() {
            Ok(permit) => permit,
            Err(refused) => return (Acquired::Refused(refused), lost),
        };
        let transition = permit.as_ref().and_then(|permit| permit.transition);
        self.held = Some(Held { owner, taken: now, until: now + self.lease, permit });
        (Acquired::Leader(transition), true)
    }

    /// Ends any lease without an outcome, and says whether there was one.
    pub fn release(&mut self) -> bool {
        let Some(held) = self.held.take() else { return false };
        self.return_permit(held.permit, CallResult::Ignored, Duration::ZERO, held.taken);
        true
    }

    /// Ends this owner's lease without an outcome, and says whether it was there.
    pub fn give_back(&mut self, owner: Owner) -> bool {
        self.held.as_ref().is_some_and(|held| held.owner == owner) && self.release()
    }

    /// Judges a run by the policies and keeps its outcome. The run of an owner whose lease was taken over meanwhile
    /// changes nothing: its process may have been stopped for hours, and have found nothing but timeouts.
    pub fn settle(&mut self, owner: Owner, run: Run, limits: &Limits, now: Instant) -> Settled {
        let Run { mut outcome, call_result, first } = run;
        let Some(held) = self.held.take_if(|held| held.owner == owner) else {
            let started = outcome.finished.checked_sub(outcome.duration);
            let newer = self.latest.clone().filter(|latest| Some(latest.finished) > started);
            let outcome = newer.unwrap_or_else(|| Arc::new(outcome));
            return Settled { outcome, transition: None, status_change: None };
        };
        self.count_time(now);
        let transition = self.return_permit(held.permit, call_result, outcome.duration, now);
        self.recent.count(outcome.status == Status::Error, outcome.finished);
        if let Some(reason) = limits.exceeded(outcome.status, outcome.duration, first, &self.recent) {
            outcome.status = Status::Degraded;
            outcome.explain(reason);
        }
        self.counters.count(&outcome);
        if outcome.status == Status::Error {
            self.history.last_error = Some(LastError::of(&outcome));
        }
        let shown = self.hysteresis.apply(outcome.status);
        if shown != outcome.status {
            outcome.raw_status = Some(std::mem::replace(&mut outcome.status, shown));
            outcome.explain(self.hysteresis.held_back());
        }
        self.counters.stretches.change(self.latest.as_ref().map(|latest| latest.status), outcome.status);
        let status_change = self.change_status(&outcome);
        self.runs.push(PastRun {
            status: outcome.status,
            finished: clock::from_instant(outcome.finished),
            process: u32::try_from(owner.process >> 32).unwrap_or_default(),
        });
        let outcome = Arc::new(outcome);
        self.latest = Some(outcome.clone());
        self.settled += 1;
        self.fleet.is_ahead = true;
        Settled { outcome, transition, status_change }
    }

    fn change_status(&mut self, outcome: &Outcome) -> Option<StatusChange> {
        let from = self.latest.as_ref().map(|latest| latest.status);
        if from == Some(outcome.status) {
            return None;
        }
        let since = self.history.since.replace(outcome.at);
        self.history.sequence += 1;
        Some(StatusChange { from, since, sequence: self.history.sequence })
    }

    fn return_permit(
        &mut self,
        permit: Option<Permit>,
        call_result: CallResult,
        duration: Duration,
        now: Instant,
    ) -> Option<Transition> {
        self.breaker.as_mut()?.record(permit?, call_result, duration, now)
    }

    /// The state of the breaker and who decides on it; `None` without one.
    pub fn breaker(&self, now: Instant) -> Option<(CircuitStatus, CircuitMode)> {
        let breaker = self.breaker.as_ref()?;
        Some((CircuitStatus { state: breaker.state(now), retry_after: breaker.retry_after(now) }, breaker.mode()))
    }

    /// Whether the breaker would refuse a run now.
    pub fn is_refused(&self, now: Instant) -> Option<CircuitStatus> {
        let (circuit, _) = self.breaker(now)?;
        let refused = match circuit.state {
            CircuitState::Closed => false,
            CircuitState::Open => true,
            CircuitState::HalfOpen => circuit.retry_after.is_some(),
        };
        refused.then_some(circuit)
    }

    /// Applies an operator's decision to the breaker, if there is one.
    pub fn operate(&mut self, operation: Operation, now: Instant) -> Option<Transition> {
        self.count_time(now);
        let breaker = self.breaker.as_mut()?;
        match operation {
            Operation::ForceOpen => breaker.force_open(),
            Operation::ForceClosed => breaker.force_closed(),
            Operation::Disable => breaker.disable(),
            Operation::Reset => breaker.reset(),
        }
    }

    /// The number of the next event about the breaker.
    pub fn next_sequence(&mut self) -> u64 {
        self.history.sequence += 1;
        self.history.sequence
    }
}
