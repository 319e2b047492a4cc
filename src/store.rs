//! What this process knows of each check: the latest outcome, the run in flight, the breaker.
//!
//! The only place that decides whether an outcome is fresh, who runs a check, and whether its breaker lets it. Those who
//! ask at the same time share one run (single flight); the lease of whoever runs it is given back on every way out.

pub mod counters;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::breaker::{Breaker, Mode, Permit, Refused, Transition, Verdict};
use crate::events::{Event, Events};
use crate::hysteresis::Hysteresis;
use crate::outcome::{CheckError, Circuit, Outcome};
use crate::process::lock;
use crate::spec::CheckSpec;
use counters::Counters;

/// The run of a check, watched by all who wait for it.
#[derive(Clone, Debug)]
pub struct Flight(watch::Receiver<Option<Arc<Outcome>>>);

impl Flight {
    /// The outcome, if the run has ended.
    pub fn landed(&self) -> Option<Arc<Outcome>> {
        self.0.borrow().clone()
    }

    pub async fn wait(&mut self) -> Arc<Outcome> {
        match self.0.wait_for(Option::is_some).await.map(|outcome| outcome.clone()) {
            Ok(Some(outcome)) => outcome,
            // The lease was dropped without an outcome: a bug in the slot, not in the dependency.
            _ => Arc::new(Outcome::of(Err(CheckError::Panicked), Instant::now())),
        }
    }
}

/// How the store answers who asks for an outcome.
pub enum Claim {
    /// Fresh enough.
    Fresh(Arc<Outcome>),
    /// The breaker does not allow a run.
    Refused(Arc<Outcome>),
    /// Somebody else runs it already; `previous` is what was known before.
    Joined { flight: Flight, previous: Option<Arc<Outcome>> },
    /// The caller has to run it.
    Led { lease: Lease, flight: Flight, previous: Option<Arc<Outcome>> },
}

/// What an operator does to a circuit breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    ForceOpen,
    ForceClosed,
    Disable,
    Reset,
}

/// What is known of a check without asking for more.
#[derive(Clone, Debug)]
pub struct View {
    pub latest: Option<Arc<Outcome>>,
    /// The state of the breaker and who decides on it; `None` without one.
    pub breaker: Option<(Circuit, Mode)>,
    pub counters: Counters,
}

struct State {
    counters: Counters,
    latest: Option<Arc<Outcome>>,
    flight: Option<Flight>,
    breaker: Option<Breaker>,
    hysteresis: Hysteresis,
}

/// What is known of one check.
pub struct Cell {
    name: Arc<str>,
    state: Mutex<State>,
    events: Arc<Events>,
}

impl Cell {
    pub fn new(name: Arc<str>, spec: &CheckSpec, events: Arc<Events>) -> Self {
        // Longer than any run can take: its permit comes back before.
        let trial_lease = spec.timeout * 2;
        let seed = uuid::Uuid::new_v4().as_u64_pair().0;
        let breaker = spec.breaker.clone().map(|breaker| Breaker::new(breaker, trial_lease, seed));
        let state = State {
            counters: Counters::default(),
            latest: None,
            flight: None,
            breaker,
            hysteresis: Hysteresis::of(spec),
        };
        Self { name, state: Mutex::new(state), events }
    }

    /// Asks for an outcome not older than `max_age`; with `refresh` for one of a run that has not ended yet.
    pub fn claim(self: &Arc<Self>, max_age: Duration, refresh: bool) -> Claim {
        let mut state = lock(&self.state);
        let now = Instant::now();
        let fresh = |outcome: &&Arc<Outcome>| outcome.ran && now.duration_since(outcome.finished) < max_age;
        if let Some(outcome) = state.latest.as_ref().filter(|_| !refresh).filter(fresh) {
            return Claim::Fresh(outcome.clone());
        }
        let previous = state.latest.clone();
        if let Some(flight) = &state.flight {
            return Claim::Joined { flight: flight.clone(), previous };
        }
        let permit = match state.breaker.as_mut().map(|breaker| breaker.acquire(now)).transpose() {
            Ok(permit) => permit,
            Err(refused) => return Claim::Refused(Arc::new(circuit_open(refused))),
        };
        self.tell(permit.as_ref().and_then(|permit| permit.transition));
        let (sender, receiver) = watch::channel(None);
        let flight = Flight(receiver);
        state.flight = Some(flight.clone());
        let lease = Lease { cell: self.clone(), sender, permit, taken: now };
        Claim::Led { lease, flight, previous }
    }

    /// What came of the last run, however long ago.
    pub fn latest(&self) -> Option<Arc<Outcome>> {
        lock(&self.state).latest.clone()
    }

    /// What is known without asking for more.
    pub fn view(&self) -> View {
        let state = lock(&self.state);
        let breaker = state.breaker.as_ref().map(|breaker| (circuit(breaker, Instant::now()), breaker.mode()));
        View { latest: state.latest.clone(), breaker, counters: state.counters.clone() }
    }

    fn tell(&self, transition: Option<Transition>) {
        if let Some(transition) = transition {
            self.events.push(Event { check: self.name.clone(), transition, at: SystemTime::now() });
        }
    }

    /// Gives a permit back.
    fn record(&self, state: &mut State, permit: Option<Permit>, verdict: Verdict, took: Duration, now: Instant) {
        if let (Some(breaker), Some(permit)) = (state.breaker.as_mut(), permit) {
            self.tell(breaker.record(permit, verdict, took, now));
        }
    }

    /// The state of the breaker and who decides on it; `None` without one.
    pub fn breaker(&self) -> Option<(Circuit, Mode)> {
        let state = lock(&self.state);
        state.breaker.as_ref().map(|breaker| (circuit(breaker, Instant::now()), breaker.mode()))
    }

    /// Has an operator's way with the breaker, if there is one.
    pub fn operate(&self, operation: Operation) {
        let mut state = lock(&self.state);
        let Some(breaker) = state.breaker.as_mut() else { return };
        let transition = match operation {
            Operation::ForceOpen => breaker.force_open(),
            Operation::ForceClosed => breaker.force_closed(),
            Operation::Disable => breaker.disable(),
            Operation::Reset => breaker.reset(),
        };
        self.tell(transition);
    }
}

fn circuit(breaker: &Breaker, now: Instant) -> Circuit {
    Circuit { state: breaker.state(now).as_str(), retry_after: breaker.retry_after(now) }
}

fn circuit_open(refused: Refused) -> Outcome {
    let message = match refused.retry_after {
        Some(wait) => format!("Circuit breaker open: next attempt in {} s", wait.as_secs_f64().ceil()),
        None => "Circuit breaker open".to_owned(),
    };
    let circuit = Circuit { state: refused.state.as_str(), retry_after: refused.retry_after };
    Outcome { circuit: Some(circuit), ..Outcome::refused(message, "CircuitOpenError") }
}

/// The duty to run a check and to say what came of it.
pub struct Lease {
    cell: Arc<Cell>,
    sender: watch::Sender<Option<Arc<Outcome>>>,
    permit: Option<Permit>,
    taken: Instant,
}

impl Lease {
    /// Publishes what came of the run, and what it means for the breaker.
    pub fn settle(mut self, mut outcome: Outcome, verdict: Verdict) {
        let cell = self.cell.clone();
        let mut state = lock(&cell.state);
        let now = Instant::now();
        cell.record(&mut state, self.permit.take(), verdict, outcome.took, now);
        outcome.circuit = state.breaker.as_ref().map(|breaker| circuit(breaker, now));
        state.counters.count(&outcome);
        state.hysteresis.apply(&mut outcome);
        let outcome = Arc::new(outcome);
        state.latest = Some(outcome.clone());
        state.flight = None;
        drop(state);
        self.sender.send_replace(Some(outcome));
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.sender.borrow().is_some() {
            return;
        }
        let mut state = lock(&self.cell.state);
        let now = Instant::now();
        self.cell.record(&mut state, self.permit.take(), Verdict::Ignored, now.duration_since(self.taken), now);
        state.flight = None;
    }
}
