//! What is known of each check: the latest outcome, who runs it, the breaker, the counters.
//!
//! The only place that decides whether an outcome is fresh, who runs a check, and whether its breaker lets it. Those who
//! ask at the same time share one run (single flight), in whatever process they are as far as the [`Store`] reaches; the
//! lease of whoever runs it is given back on every way out.
//!
//! Every decision is made on a [`Record`] in this process's memory. A store brings the record up to date before and
//! hands on what has changed; where it cannot, the record simply stays this process's own.

pub mod beats;
pub mod counters;
mod flight;
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub mod host;
mod lease;
pub mod noted;
mod process;
pub mod record;
pub mod share;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::breaker::{Mode, Refused, Transition};
use crate::events::{Event, Events};
use crate::limits::Latest;
use crate::outcome::{Circuit, Outcome};
use crate::process::lock;
use crate::spec::CheckSpec;

use counters::Counters;
pub use flight::Flight;
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub use host::Glance;
pub use lease::Lease;
pub use record::Operation;
use record::{Owner, Record, Turn, Want};
pub use share::Share;

/// How long a thread may wait for another process to let go of a record: it may hold the interpreter, or run others.
const PATIENCE: Duration = Duration::from_millis(1);
/// How long no process has a record unless it was stopped meanwhile, however few the processors.
const STUCK: Duration = Duration::from_millis(500);

/// Where a record is kept, beside this process's memory.
pub trait Store: Send + Sync {
    /// For a new lease.
    fn owner(&self) -> Owner;

    /// Whether the process of that lease still lives.
    fn is_alive(&self, owner: &Owner) -> bool;

    /// A glance at all records, for whoever pulls several of them at once.
    fn glance(&self) -> Option<Glance>;

    /// Brings the record up to date, without waiting for anybody; cheap where nothing has changed, and more so where a
    /// glance says so.
    fn pull(&self, record: &mut Record, glance: Option<&Glance>);

    /// Brings the record up to date, lets `change` have its way with it while nobody else can change it, and keeps it if
    /// `change` says that it did. `Busy` if somebody else had it for longer than `patience`; nothing is changed then.
    fn transact(
        &self,
        record: &mut Record,
        patience: Duration,
        change: &mut dyn FnMut(&mut Record) -> bool,
    ) -> Result<(), Busy>;

    /// Is told that a record could not be had for long, and that this process goes on without.
    fn gave_up(&self);
}

/// No store is shared there, so there is none to glance at.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub enum Glance {}

/// Somebody else has the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// What is asked for: an outcome not older than `max_age` is `now`; with `refresh` one of a run that has not ended yet.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    pub max_age: Duration,
    pub refresh: bool,
    pub now: Instant,
    /// Taken by who asks for several.
    pub glance: Option<&'a Glance>,
}

/// How the store answers who asks for an outcome.
pub enum Claim {
    /// Fresh enough.
    Fresh(Arc<Outcome>),
    /// The breaker does not allow a run.
    Refused(Arc<Outcome>),
    /// Somebody else in this process runs it already, or waits for it.
    Joined(Flight),
    /// The caller has to run it, once the lease is granted. `took` is how long it took the last time, if that is known.
    Led { lease: Lease, flight: Flight, took: Option<Duration> },
}

/// What is known of a check without asking for more.
#[derive(Clone, Debug)]
pub struct View {
    pub latest: Option<Arc<Outcome>>,
    /// The state of the breaker and who decides on it; `None` without one.
    pub breaker: Option<(Circuit, Mode)>,
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
    flight: Flight,
    owner: Owner,
    /// How many outcomes there were when it was asked for.
    after: u64,
}

/// One check in this process.
pub struct Cell {
    name: Arc<str>,
    local: Mutex<Local>,
    store: Box<dyn Store>,
    events: Arc<Events>,
}

impl Cell {
    pub fn new(name: Arc<str>, spec: &CheckSpec, events: Arc<Events>, store: Box<dyn Store>) -> Self {
        let local = Local { record: Record::new(spec), pending: None, latest: Latest::default() };
        Self { name, local: Mutex::new(local), store, events }
    }

    /// Asks for an outcome.
    pub fn claim(self: Arc<Self>, Ask { max_age, refresh, now, glance }: Ask<'_>) -> Claim {
        let mut local = lock(&self.local);
        self.store.pull(&mut local.record, glance);
        let want = if refresh { Want::SettledAfter(local.record.settled()) } else { Want::NotOlderThan(max_age) };
        if let Some(outcome) = local.record.answer(want, now) {
            return Claim::Fresh(outcome.clone());
        }
        if let Some(pending) = &local.pending {
            return Claim::Joined(pending.flight.clone());
        }
        let owner = self.store.owner();
        // Asked without a lock first: all who find it expired would queue for it, one after the other.
        let held = local.record.is_held(now, |owner| self.store.is_alive(owner));
        let turn = if held { Ok(Turn::Held) } else { self.turn(&mut local.record, want, owner, now) };
        let granted = match turn {
            Ok(Turn::Answered(outcome)) => return Claim::Fresh(outcome),
            Ok(Turn::Refused(refused)) => return Claim::Refused(Arc::new(circuit_open(refused))),
            Ok(Turn::Led(_)) => true,
            Ok(Turn::Held) | Err(Busy) => false,
        };
        let flight = Flight::default();
        let took = local.record.latest().map(|latest| latest.took);
        local.pending = Some(Pending { flight: flight.clone(), owner, after: local.record.settled() });
        drop(local);
        Claim::Led { lease: Lease::new(self, granted), flight, took }
    }

    fn turn(&self, record: &mut Record, want: Want, owner: Owner, now: Instant) -> Result<Turn, Busy> {
        let mut turn = Turn::Held;
        self.store.transact(record, PATIENCE, &mut |record| {
            let (found, changed) = record.claim(want, owner, now, |owner| self.store.is_alive(owner));
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
        let shared = self.store.transact(&mut local.record, patience, &mut |record| {
            result = Some(change(record));
            true
        });
        match (shared, result) {
            (Ok(()), Some(result)) => result,
            _ => {
                self.store.gave_up();
                change(&mut local.record)
            }
        }
    }

    fn tell(&self, transition: Option<Transition>) {
        if let Some(transition) = transition {
            self.events.push(Event { check: self.name.clone(), transition, at: SystemTime::now() });
        }
    }

    /// A glance at this record and all beside it, for claims.
    pub fn glance(&self) -> Option<Glance> {
        self.store.glance()
    }

    /// What is known without asking for more.
    pub fn view(&self) -> View {
        let mut local = lock(&self.local);
        self.store.pull(&mut local.record, None);
        let Local { record, .. } = &*local;
        View {
            latest: record.latest().cloned(),
            breaker: record.breaker(Instant::now()),
            counters: record.counters().clone(),
        }
    }

    /// The state of the breaker and who decides on it; `None` without one.
    pub fn breaker(&self) -> Option<(Circuit, Mode)> {
        let mut local = lock(&self.local);
        self.store.pull(&mut local.record, None);
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
    let circuit = Circuit { state: refused.state, retry_after: refused.retry_after };
    Outcome { circuit: Some(circuit), ..Outcome::refused(message, "CircuitOpenError") }
}
