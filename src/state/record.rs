//! What is known of one check, wherever it is kept, and every decision about it: pure.

mod codec;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::model::CheckOptions;
use crate::model::clock;
use crate::model::{CircuitMode, CircuitStatus, Outcome, Transition};
use crate::policy::breaker::{Breaker, Permit, Refused, Verdict};
use crate::policy::hysteresis::Hysteresis;
use crate::state::backend::Owner;
use crate::state::counters::Counters;

/// How much longer than its check may take a lease lasts: time to wake up and to say what came of it.
const MARGIN: Duration = Duration::from_millis(250);

/// The duty to run the check, and what the breaker gave along.
#[derive(Debug, Serialize, Deserialize)]
struct Held {
    owner: Owner,
    #[serde(with = "clock::instant")]
    taken: Instant,
    #[serde(with = "clock::instant")]
    until: Instant,
    permit: Option<Permit>,
}

/// Which outcome will do.
#[derive(Clone, Copy, Debug)]
pub enum Want {
    NotOlderThan(Duration),
    /// That of a run which ended after the record had counted so many.
    SettledAfter(u64),
}

/// What is to be done for who asks.
#[derive(Debug)]
pub enum Turn {
    /// An outcome that will do is there.
    Answered(Arc<Outcome>),
    /// Somebody else runs the check.
    Held,
    /// The breaker does not allow a run.
    Refused(Refused),
    /// Who asked has to run it.
    Led(Option<Transition>),
}

/// What an operator does to a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    ForceOpen,
    ForceClosed,
    Disable,
    Reset,
}

/// What is known of one check.
#[derive(Debug)]
pub struct Record {
    latest: Option<Arc<Outcome>>,
    settled: u64,
    held: Option<Held>,
    breaker: Option<Breaker>,
    hysteresis: Hysteresis,
    counters: Counters,
    lease: Duration,
}

impl Record {
    pub fn new(spec: &CheckOptions) -> Self {
        // Longer than any run can take: its permit comes back before.
        let trial_lease = spec.timeout * 2;
        let seed = uuid::Uuid::new_v4().as_u64_pair().0;
        Self {
            latest: None,
            settled: 0,
            held: None,
            breaker: spec.breaker.clone().map(|breaker| Breaker::new(breaker, trial_lease, seed)),
            hysteresis: Hysteresis::of(spec),
            counters: Counters::default(),
            lease: spec.timeout.saturating_add(MARGIN),
        }
    }

    pub fn latest(&self) -> Option<&Arc<Outcome>> {
        self.latest.as_ref()
    }

    /// How many outcomes were settled.
    pub fn settled(&self) -> u64 {
        self.settled
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The latest outcome, if it will do.
    pub fn answer(&self, want: Want, now: Instant) -> Option<&Arc<Outcome>> {
        self.latest.as_ref().filter(|outcome| match want {
            Want::NotOlderThan(age) => outcome.ran && now.saturating_duration_since(outcome.finished) < age,
            Want::SettledAfter(settled) => self.settled > settled,
        })
    }

    /// Whether somebody who is `alive` has the duty to run the check, and time left for it.
    pub fn is_held(&self, now: Instant, alive: impl Fn(&Owner) -> bool) -> bool {
        self.held.as_ref().is_some_and(|held| held.until > now && alive(&held.owner))
    }

    /// Asks for an outcome, or for the duty to find it out. A lease that ran out or whose owner is dead is taken over.
    /// The second value says whether anything has changed.
    pub fn claim(&mut self, want: Want, owner: Owner, now: Instant, alive: impl Fn(&Owner) -> bool) -> (Turn, bool) {
        if let Some(outcome) = self.answer(want, now) {
            return (Turn::Answered(outcome.clone()), false);
        }
        if self.is_held(now, alive) {
            return (Turn::Held, false);
        }
        let lost = self.release();
        let permit = match self.breaker.as_mut().map(|breaker| breaker.acquire(now)).transpose() {
            Ok(permit) => permit,
            Err(refused) => return (Turn::Refused(refused), lost),
        };
        let transition = permit.as_ref().and_then(|permit| permit.transition);
        self.held = Some(Held { owner, taken: now, until: now + self.lease, permit });
        (Turn::Led(transition), true)
    }

    /// Ends whatever lease there is without an outcome, and says whether there was one.
    pub fn release(&mut self) -> bool {
        let Some(held) = self.held.take() else { return false };
        self.record(held.permit, Verdict::Ignored, Duration::ZERO, held.taken);
        true
    }

    /// Ends this lease without an outcome, and says whether it was there.
    pub fn give_back(&mut self, owner: Owner) -> bool {
        self.held.as_ref().is_some_and(|held| held.owner == owner) && self.release()
    }

    /// Notes what came of the run, and gives what is to be told to those who wait for it. Of an owner whose lease was
    /// taken over meanwhile nothing is noted: it may have been stopped for hours, and see nothing but timeouts.
    pub fn settle(
        &mut self,
        owner: Owner,
        mut outcome: Arc<Outcome>,
        verdict: Verdict,
        now: Instant,
    ) -> (Arc<Outcome>, Option<Transition>) {
        let Some(held) = self.held.take_if(|held| held.owner == owner) else {
            let started = outcome.finished.checked_sub(outcome.took);
            let newer = self.latest.clone().filter(|latest| Some(latest.finished) > started);
            return (newer.unwrap_or(outcome), None);
        };
        let transition = self.record(held.permit, verdict, outcome.took, now);
        self.counters.count(&outcome);
        let shown = Arc::make_mut(&mut outcome);
        shown.circuit = self.breaker(now).map(|(circuit, _)| circuit);
        self.hysteresis.apply(shown);
        self.latest = Some(outcome.clone());
        self.settled += 1;
        (outcome, transition)
    }

    fn record(&mut self, permit: Option<Permit>, verdict: Verdict, took: Duration, now: Instant) -> Option<Transition> {
        self.breaker.as_mut()?.record(permit?, verdict, took, now)
    }

    /// The state of the breaker and who decides on it; `None` without one.
    pub fn breaker(&self, now: Instant) -> Option<(CircuitStatus, CircuitMode)> {
        let breaker = self.breaker.as_ref()?;
        Some((CircuitStatus { state: breaker.state(now), retry_after: breaker.retry_after(now) }, breaker.mode()))
    }

    /// Has an operator's way with the breaker, if there is one.
    pub fn operate(&mut self, operation: Operation) -> Option<Transition> {
        let breaker = self.breaker.as_mut()?;
        match operation {
            Operation::ForceOpen => breaker.force_open(),
            Operation::ForceClosed => breaker.force_closed(),
            Operation::Disable => breaker.disable(),
            Operation::Reset => breaker.reset(),
        }
    }
}
