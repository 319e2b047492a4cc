//! What is known of each check: the latest outcome, who runs it, the breaker, the counters.
//!
//! The only place that decides whether an outcome is fresh, who runs a check, and whether its breaker lets it. Those who
//! ask at the same time share one run (single flight), in whatever process they are as far as the [`Store`] reaches; the
//! lease of whoever runs it is given back on every way out.
//!
//! Every decision is made on a [`Record`] in this process's memory. A store brings the record up to date before and
//! hands on what has changed; where it cannot, the record simply stays this process's own.

pub mod backend;
pub mod counters;
pub mod heartbeats;
pub mod history_marks;
mod in_flight;
mod lease;
pub mod record;
pub mod scope;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::model::CheckOptions;
use crate::model::Outcome;
use crate::model::{CircuitMode, CircuitStatus, Event, Transition};
use crate::policy::breaker::Refused;
use crate::policy::limits::Latest;
use crate::runtime::lock;
use crate::runtime::{diagnostics, queue::Queue};

pub use backend::TableSnapshot;
use backend::{Backend, Busy, CAPACITY, Owner};
use counters::Counters;
pub use in_flight::InFlightRun;
pub use lease::Lease;
pub use record::Operation;
use record::{Record, Turn, Want};
pub use scope::Scope;

/// How long a thread may wait for another process to let go of a record: it may hold the interpreter, or run others.
const PATIENCE: Duration = Duration::from_millis(1);
/// How long no process has a record unless it was stopped meanwhile, however few the processors.
const STUCK: Duration = Duration::from_millis(500);

/// What is asked for: an outcome not older than `max_age` is `now`; with `refresh` one of a run that has not ended yet.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    pub max_age: Duration,
    pub refresh: bool,
    pub now: Instant,
    /// Taken by who asks for several.
    pub snapshot: Option<&'a TableSnapshot>,
}

/// How the store answers who asks for an outcome.
pub enum Claim {
    /// Fresh enough.
    Fresh(Arc<Outcome>),
    /// The breaker does not allow a run.
    Refused(Arc<Outcome>),
    /// Somebody else in this process runs it already, or waits for it.
    Joined(InFlightRun),
    /// The caller has to run it, once the lease is granted. `took` is how long it took the last time, if that is known.
    Led { lease: Lease, flight: InFlightRun, took: Option<Duration> },
}

/// What is known of a check without asking for more.
#[derive(Clone, Debug)]
pub struct View {
    pub latest: Option<Arc<Outcome>>,
    /// The state of the breaker and who decides on it; `None` without one.
    pub breaker: Option<(CircuitStatus, CircuitMode)>,
    pub counters: Counters,
}

struct Local {
    record: Record,
    /// The run for which somebody in this process waits: that of the only lease there is.
    pending: Option<Pending>,
    /// What this process itself ran.
    latest: Latest,
}

/// A run that has not ended.
struct Pending {
    flight: InFlightRun,
    owner: Owner,
    /// How many outcomes there were when it was asked for.
    after: u64,
}

/// One check in this process.
pub struct Cell {
    name: Arc<str>,
    local: Mutex<Local>,
    backend: Box<dyn Backend>,
    events: Arc<Queue<Event>>,
}

impl Cell {
    pub fn new(name: Arc<str>, spec: &CheckOptions, events: Arc<Queue<Event>>, backend: Box<dyn Backend>) -> Self {
        let local = Local { record: Record::new(spec), pending: None, latest: Latest::default() };
        Self { name, local: Mutex::new(local), backend, events }
    }

    /// Brings the record up to date.
    fn pull(&self, record: &mut Record, snapshot: Option<&TableSnapshot>) {
        self.decode(record, self.backend.read_if_changed(snapshot));
    }

    fn decode(&self, record: &mut Record, bytes: Option<Vec<u8>>) {
        if bytes.is_some_and(|bytes| !record.decode(&bytes)) {
            diagnostics::publish(true, format!("the record of {} cannot be decoded, and is replaced", self.name));
        }
    }

    /// Brings the record up to date, calls `change` while no other process can change it, and stores it if `change`
    /// returns true.
    fn transact(
        &self,
        record: &mut Record,
        lock_timeout: Duration,
        change: &mut dyn FnMut(&mut Record) -> bool,
    ) -> Result<(), Busy> {
        self.backend.transact(lock_timeout, &mut |bytes| {
            self.decode(record, bytes);
            if change(record) { record.encode(CAPACITY) } else { None }
        })
    }

    /// Asks for an outcome.
    pub fn claim(self: Arc<Self>, Ask { max_age, refresh, now, snapshot }: Ask<'_>) -> Claim {
        let mut local = lock(&self.local);
        self.pull(&mut local.record, snapshot);
        let want = if refresh { Want::SettledAfter(local.record.settled()) } else { Want::NotOlderThan(max_age) };
        if let Some(outcome) = local.record.answer(want, now) {
            return Claim::Fresh(outcome.clone());
        }
        if let Some(pending) = &local.pending {
            return Claim::Joined(pending.flight.clone());
        }
        let owner = self.backend.new_owner();
        // Asked without a lock first: all who find it expired would queue for it, one after the other.
        let held = local.record.is_held(now, |owner| self.backend.is_alive(owner));
        let turn = if held { Ok(Turn::Held) } else { self.turn(&mut local.record, want, owner, now) };
        let granted = match turn {
            Ok(Turn::Answered(outcome)) => return Claim::Fresh(outcome),
            Ok(Turn::Refused(refused)) => return Claim::Refused(Arc::new(circuit_open(refused))),
            Ok(Turn::Led(_)) => true,
            Ok(Turn::Held) | Err(Busy) => false,
        };
        let flight = InFlightRun::default();
        let took = local.record.latest().map(|latest| latest.took);
        local.pending = Some(Pending { flight: flight.clone(), owner, after: local.record.settled() });
        drop(local);
        Claim::Led { lease: Lease::new(self, granted), flight, took }
    }

    fn turn(&self, record: &mut Record, want: Want, owner: Owner, now: Instant) -> Result<Turn, Busy> {
        let mut turn = Turn::Held;
        self.transact(record, PATIENCE, &mut |record| {
            let (found, changed) = record.claim(want, owner, now, |owner| self.backend.is_alive(owner));
            turn = found;
            changed
        })?;
        if let Turn::Led(transition) = turn {
            self.tell(transition);
        }
        Ok(turn)
    }

    /// Has its way with the record: with that of all processes, or after some patience with that of this one.
    fn change<T>(&self, local: &mut Local, patience: Duration, mut change: impl FnMut(&mut Record) -> T) -> T {
        let mut result = None;
        let shared = self.transact(&mut local.record, patience, &mut |record| {
            result = Some(change(record));
            true
        });
        match (shared, result) {
            (Ok(()), Some(result)) => result,
            _ => {
                self.backend.report_stuck();
                change(&mut local.record)
            }
        }
    }

    fn tell(&self, transition: Option<Transition>) {
        if let Some(transition) = transition {
            self.events.push(Event { check: self.name.clone(), transition, at: SystemTime::now() });
        }
    }

    /// A snapshot at this record and all beside it, for claims.
    pub fn snapshot(&self) -> Option<TableSnapshot> {
        self.backend.snapshot()
    }

    /// What is known without asking for more.
    pub fn view(&self) -> View {
        let mut local = lock(&self.local);
        self.pull(&mut local.record, None);
        let Local { record, .. } = &*local;
        View {
            latest: record.latest().cloned(),
            breaker: record.breaker(Instant::now()),
            counters: record.counters().clone(),
        }
    }

    /// The state of the breaker and who decides on it; `None` without one.
    pub fn breaker(&self) -> Option<(CircuitStatus, CircuitMode)> {
        let mut local = lock(&self.local);
        self.pull(&mut local.record, None);
        local.record.breaker(Instant::now())
    }

    /// Has an operator's way with the breaker, if there is one.
    pub fn operate(&self, operation: Operation) {
        let mut local = lock(&self.local);
        let transition = self.change(&mut local, STUCK, |record| record.operate(operation));
        self.tell(transition);
    }
}

fn circuit_open(refused: Refused) -> Outcome {
    let message = match refused.retry_after {
        Some(wait) => format!("Circuit breaker open: next attempt in {} s", wait.as_secs_f64().ceil()),
        None => "Circuit breaker open".to_owned(),
    };
    let circuit = CircuitStatus { state: refused.state, retry_after: refused.retry_after };
    Outcome { circuit: Some(circuit), ..Outcome::refused(message, "CircuitOpenError") }
}
