//! What this process knows of one check: its record, kept in step with the backend, and the run that is in flight here.

mod batch;
mod fleet;
mod results;
mod unrecorded;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::TableSnapshot;
use super::backend::{Backend, Busy, Owner};
use super::counters::Counters;
use super::in_flight::InFlightRun;
use super::record::{Acquired, Operation, Record, StatusHistory, Wanted};
use super::unrecorded::UnrecordedResults;
use crate::model::{
    CheckOptions, CircuitMode, CircuitStatus, Event, EventKind, LastError, NotRun, Outcome, Transition,
};
use crate::policy::run_history::RunHistory;
use crate::runtime::{diagnostics, lock, queue::Queue};

/// How long a thread may wait for another process to unlock a record.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_millis(1);
/// No process holds a record for longer unless it was stopped meanwhile, however few the processors.
pub(super) const GIVE_UP_AFTER: Duration = Duration::from_millis(500);

/// How a request for an outcome is answered at once.
pub enum Requested {
    /// Fresh enough.
    Fresh(Arc<Outcome>),
    /// A run of this process is under way already.
    InFlight(InFlightRun),
    /// The check must not be run now.
    NotRun(NotRun),
    /// The caller has to have it run, as the run that all callers of this process wait for. `after` is how many outcomes
    /// there were at the request.
    Needed { run: InFlightRun, wanted: Wanted, after: u64 },
}

/// What is known of a check without a run.
#[derive(Clone, Debug)]
pub struct View {
    pub latest: Option<Arc<Outcome>>,
    /// The state of the breaker and who decides on it; `None` without one.
    pub breaker: Option<(CircuitStatus, CircuitMode)>,
    pub counters: Counters,
    pub history: StatusHistory,
}

/// What alerts are judged by.
#[derive(Clone, Debug)]
pub struct RunsView {
    pub latest: Option<Arc<Outcome>>,
    pub runs: RunHistory,
    /// The number of the latest run.
    pub settled: u64,
    pub circuit: Option<CircuitStatus>,
    pub last_error: Option<LastError>,
}

pub(super) use batch::transact_all;
use results::UnstoredResult;

struct Local {
    record: Record,
    /// The latest run, if it is settled in this process's record alone.
    unstored: Option<UnstoredResult>,
    in_flight: Option<InFlightRun>,
    /// Whether this process has run the check before.
    has_run: bool,
    /// The number of the last outcome that this process has settled.
    own: u64,
    /// When the last outcome was found that was handed to the history.
    recorded: Option<SystemTime>,
}

/// One check in this process.
pub struct CheckState {
    name: Arc<str>,
    local: Mutex<Local>,
    pub(super) backend: Box<dyn Backend>,
    events: Arc<Queue<Event>>,
    unrecorded: Arc<UnrecordedResults>,
}

impl CheckState {
    pub fn new(
        name: Arc<str>,
        options: &CheckOptions,
        stale_after: Duration,
        events: Arc<Queue<Event>>,
        unrecorded: Arc<UnrecordedResults>,
        backend: Box<dyn Backend>,
    ) -> Self {
        let record = Record::new(options, stale_after);
        let local = Local { record, unstored: None, in_flight: None, has_run: false, own: 0, recorded: None };
        Self { name, local: Mutex::new(local), backend, events, unrecorded }
    }

    /// Brings the record up to date.
    fn refresh(&self, local: &mut Local, snapshot: Option<&TableSnapshot>) {
        self.decode(local, self.backend.read_if_changed(snapshot));
    }

    fn decode(&self, local: &mut Local, bytes: Option<Vec<u8>>) {
        let Some(bytes) = bytes else { return };
        if local.record.decode(&bytes) {
            local.settle_again();
        } else {
            diagnostics::publish(true, format!("the record of {} cannot be decoded, and is replaced", self.name));
        }
    }

    /// Brings the record up to date, calls `change` while no other process can change it, and stores it if `change`
    /// returns true, or a result was not stored yet.
    fn transact(&self, local: &mut Local, change: &mut dyn FnMut(&mut Record) -> bool) -> Result<(), Busy> {
        self.transact_within(LOCK_TIMEOUT, local, change)
    }

    fn transact_within(
        &self,
        lock_timeout: Duration,
        local: &mut Local,
        change: &mut dyn FnMut(&mut Record) -> bool,
    ) -> Result<(), Busy> {
        self.backend.transact(lock_timeout, &mut |bytes| self.change(local, bytes, change))?;
        self.publish_stored(local);
        Ok(())
    }

    /// What `change` makes of the record, to be stored.
    fn change(
        &self,
        local: &mut Local,
        bytes: Option<Vec<u8>>,
        change: &mut dyn FnMut(&mut Record) -> bool,
    ) -> Option<Vec<u8>> {
        self.decode(local, bytes);
        if !change(&mut local.record) && local.unstored.is_none() {
            return None;
        }
        let bytes = local.record.encode(self.backend.capacity());
        if bytes.is_none() {
            self.backend.report_too_large(&self.name);
        }
        bytes
    }

    /// Requests an outcome. `obstacle` is consulted only if a run is needed, and returns why there must be none.
    pub fn request(
        &self,
        wanted: Option<Duration>,
        now: Instant,
        snapshot: Option<&TableSnapshot>,
        obstacle: impl FnOnce() -> Option<NotRun>,
    ) -> Requested {
        let mut local = lock(&self.local);
        self.refresh(&mut local, snapshot);
        let after = local.record.settled();
        let wanted = wanted.map_or(Wanted::SettledAfter(after), Wanted::NotOlderThan);
        if let Some(outcome) = local.record.answer(wanted, now) {
            return Requested::Fresh(outcome.clone());
        }
        if let Some(in_flight) = &local.in_flight {
            return Requested::InFlight(in_flight.clone());
        }
        if let Some(refused) = local.record.is_refused(now) {
            return Requested::NotRun(NotRun::CircuitOpen { retry_after: refused.retry_after });
        }
        if let Some(not_run) = obstacle() {
            return Requested::NotRun(not_run);
        }
        let run = InFlightRun::new(now);
        local.in_flight = Some(run.clone());
        drop(local);
        Requested::Needed { run, wanted, after }
    }

    /// One attempt to get the lease.
    pub(super) fn try_acquire(&self, wanted: Wanted, owner: Owner) -> Result<Acquired, Busy> {
        let mut local = lock(&self.local);
        let now = Instant::now();
        // Where another owner was last seen, the record is read without a lock first: all that find it expired would
        // queue for the lock, one after the other.
        if local.record.is_held(now, |_| true) {
            self.refresh(&mut local, None);
        }
        if let Some(outcome) = local.record.answer(wanted, now) {
            return Ok(Acquired::Answered(outcome.clone()));
        }
        if local.record.is_held(now, |owner| self.backend.is_alive(owner)) {
            return Ok(Acquired::Held);
        }
        let mut acquired = Acquired::Held;
        self.transact(&mut local, &mut |record| {
            let (result, changed) = self.acquire_in(record, wanted, owner, now);
            acquired = result;
            changed
        })?;
        Ok(acquired)
    }

    /// Whether an owner that is `alive` holds the lease.
    pub(super) fn is_held(&self, snapshot: Option<&TableSnapshot>, alive: impl FnMut(&Owner) -> bool) -> bool {
        let mut local = lock(&self.local);
        self.refresh(&mut local, snapshot);
        local.record.is_held(Instant::now(), alive)
    }

    /// Requests the lease of a record that no other process can change.
    pub(super) fn acquire_in(
        &self,
        record: &mut Record,
        wanted: Wanted,
        owner: Owner,
        now: Instant,
    ) -> (Acquired, bool) {
        let (acquired, changed) = record.acquire(wanted, owner, now, |owner| self.backend.is_alive(owner));
        if let Acquired::Leader(Some(transition)) = acquired {
            self.publish_transition(Some(transition), record.next_sequence());
        }
        (acquired, changed)
    }

    /// Takes the lease in this process alone, since the record cannot be locked.
    pub(super) fn acquire_alone(&self, wanted: Wanted, owner: Owner) {
        self.backend.report_stuck();
        let mut local = lock(&self.local);
        local.record.release();
        let _ = local.record.acquire(wanted, owner, Instant::now(), |_| true);
    }

    pub(super) fn give_back(&self, owner: Owner) {
        let mut local = lock(&self.local);
        let mut give_back = |record: &mut Record| record.give_back(owner);
        if self.transact(&mut local, &mut give_back) == Err(Busy) {
            // For other processes it runs out.
            give_back(&mut local.record);
        }
    }

    fn publish_transition(&self, transition: Option<Transition>, sequence: u64) {
        if let Some(transition) = transition {
            self.publish(EventKind::Breaker { check: self.name.clone(), transition }, sequence);
        }
    }

    fn publish(&self, kind: EventKind, sequence: u64) {
        self.events.push(Event { sequence, at: SystemTime::now(), kind });
    }

    /// A snapshot of this record and all beside it.
    pub fn snapshot(&self) -> Option<TableSnapshot> {
        self.backend.snapshot()
    }

    /// The latest outcome, the state of the circuit, and when the status was taken.
    pub fn latest(&self, snapshot: Option<&TableSnapshot>) -> (Option<Arc<Outcome>>, Option<CircuitStatus>) {
        let mut local = lock(&self.local);
        self.refresh(&mut local, snapshot);
        let circuit = local.record.breaker(Instant::now()).map(|(circuit, _)| circuit);
        (local.record.latest().cloned(), circuit)
    }

    /// Whether this process has found the latest outcome, as last read.
    pub fn is_own(&self) -> bool {
        let local = lock(&self.local);
        local.own == local.record.settled()
    }

    /// For how long after its run the latest outcome holds, as last read.
    pub fn holds_for(&self) -> Duration {
        lock(&self.local).record.holds_for()
    }

    /// What stands beside an outcome in a report, as last read.
    pub fn beside(&self, now: Instant) -> (Option<CircuitStatus>, StatusHistory) {
        let local = lock(&self.local);
        (local.record.breaker(now).map(|(circuit, _)| circuit), local.record.history().clone())
    }

    /// Ends the run that is in flight, if it is this one.
    pub(super) fn forget(&self, run: &InFlightRun) {
        let mut local = lock(&self.local);
        if local.in_flight.as_ref().is_some_and(|known| known.is(run)) {
            local.in_flight = None;
        }
    }

    /// The run of this process that is in flight.
    pub fn in_flight(&self) -> Option<InFlightRun> {
        lock(&self.local).in_flight.clone()
    }

    /// What is known without a run.
    pub fn view(&self, snapshot: Option<&TableSnapshot>) -> View {
        let mut local = lock(&self.local);
        self.refresh(&mut local, snapshot);
        let (record, now) = (&local.record, Instant::now());
        View {
            latest: record.latest().cloned(),
            breaker: record.breaker(now),
            counters: record.counters(now),
            history: record.history().clone(),
        }
    }

    /// What alerts are judged by, brought up to date.
    pub fn runs(&self, snapshot: Option<&TableSnapshot>) -> RunsView {
        let mut local = lock(&self.local);
        self.refresh(&mut local, snapshot);
        let record = &local.record;
        RunsView {
            latest: record.latest().cloned(),
            runs: record.runs().clone(),
            settled: record.settled(),
            circuit: record.breaker(Instant::now()).map(|(circuit, _)| circuit),
            last_error: record.history().last_error.clone(),
        }
    }

    /// The state of the breaker and who decides on it; `None` without one.
    pub fn breaker(&self) -> Option<(CircuitStatus, CircuitMode)> {
        let mut local = lock(&self.local);
        self.refresh(&mut local, None);
        local.record.breaker(Instant::now())
    }

    /// Applies an operator's decision to the breaker, if there is one: in all processes, or after some time in this one.
    pub fn operate(&self, operation: Operation) {
        let started = Instant::now();
        let mut applied = None;
        loop {
            let mut local = lock(&self.local);
            let mut change = |record: &mut Record| {
                let transition = record.operate(operation, Instant::now());
                applied = Some((transition, transition.map_or(0, |_| record.next_sequence())));
                true
            };
            match self.transact(&mut local, &mut change) {
                Ok(()) => break,
                Err(Busy) if started.elapsed() < GIVE_UP_AFTER => {}
                Err(Busy) => {
                    self.backend.report_stuck();
                    change(&mut local.record);
                    break;
                }
            }
        }
        if let Some((transition, sequence)) = applied {
            self.publish_transition(transition, sequence);
        }
    }
}
