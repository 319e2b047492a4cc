//! A sweep: what was asked, the work that it takes, and what is known of it at any moment.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use crate::outcome::{CheckError, Outcome, Phase};
use crate::process::Process;
use crate::report::{Report, Row};
use crate::slot::{Current, Slot};
use crate::store::{Ask, Claim, Flight, Lease};
use crate::task::Task;

/// How much longer than its longest check a sweep may take.
const GRACE: Duration = Duration::from_millis(50);

/// What took no longer the last time is waited for without going to sleep.
const QUICK: Duration = Duration::from_micros(100);

enum Answer {
    Known {
        outcome: Arc<Outcome>,
        cached: bool,
    },
    Awaited(Flight),
    /// Whatever came of the last run.
    Latest(Option<Arc<Outcome>>),
}

/// What was asked, and what is known of it.
pub struct Sweep {
    asked: Vec<(Arc<Slot>, Answer)>,
    pub(crate) started: Instant,
    /// When it has ended, whatever happens.
    pub deadline: Instant,
    max_stale: Duration,
    uptime: Duration,
}

impl Sweep {
    pub(crate) fn new(checks: usize, uptime: Duration, max_stale: Duration) -> Self {
        let started = Instant::now();
        Self { asked: Vec::with_capacity(checks), started, deadline: started + GRACE, max_stale, uptime }
    }

    /// Takes whatever came of the last run of a check.
    pub(crate) fn ask_latest(&mut self, slot: Arc<Slot>) {
        let latest = slot.cell().view().latest;
        self.asked.push((slot, Answer::Latest(latest)));
    }

    /// Asks for an outcome: see [`Slot::claim`]. What it takes to have it is added to `work`.
    pub(crate) fn ask(&mut self, slot: Arc<Slot>, ask: Ask<'_>, work: &mut Work) {
        let current = slot.current();
        match slot.claim(&current, ask) {
            Claim::Fresh(outcome) => self.asked.push((slot, Answer::Known { outcome, cached: true })),
            Claim::Refused(outcome) => self.asked.push((slot, Answer::Known { outcome, cached: false })),
            Claim::Joined(flight) => {
                work.joined.push(flight.clone());
                self.await_run(slot, flight);
            }
            Claim::Led { lease, flight, took } => {
                let took = took.unwrap_or(Duration::MAX);
                let runs = if current.needs_python() { &mut work.callables } else { &mut work.native };
                runs.push(Run { slot: slot.clone(), current, lease, took });
                self.await_run(slot, flight);
            }
        }
    }

    fn await_run(&mut self, slot: Arc<Slot>, flight: Flight) {
        self.deadline = self.deadline.max(self.started + slot.spec.timeout + GRACE);
        self.asked.push((slot, Answer::Awaited(flight)));
    }

    /// Whether every outcome is known.
    pub fn is_done(&self) -> bool {
        self.asked.iter().all(|(_, answer)| match answer {
            Answer::Known { .. } | Answer::Latest(_) => true,
            Answer::Awaited(flight) => flight.landed().is_some(),
        })
    }

    /// What is known now, in the order asked for.
    pub fn rows(&self) -> Vec<Row> {
        let now = Instant::now();
        self.asked.iter().map(|(slot, answer)| self.row(slot, answer, now)).collect()
    }

    fn row(&self, slot: &Slot, answer: &Answer, now: Instant) -> Row {
        let row = |outcome: Arc<Outcome>, cached: bool| {
            let age = cached.then(|| now.saturating_duration_since(outcome.finished));
            Row { name: slot.name.clone(), critical: slot.spec.critical, outcome, cached, age, pending: false }
        };
        let presentable = |outcome: &Arc<Outcome>| now.saturating_duration_since(outcome.finished) < self.max_stale;
        let timeout = slot.spec.timeout;
        let known = match answer {
            Answer::Known { outcome, cached } => return row(outcome.clone(), *cached),
            Answer::Latest(latest) => latest.clone(),
            Answer::Awaited(flight) => match flight.landed() {
                Some(outcome) => return row(outcome.clone(), false),
                // Its deadline has passed, though the run could not say so yet: this machine is overloaded.
                None if now.saturating_duration_since(self.started) >= timeout => {
                    let overrun = CheckError::Timeout { after: timeout, phase: Phase::default() };
                    return row(Arc::new(Outcome::of(Err(overrun), self.started)), false);
                }
                None => slot.cell().view().latest.filter(|latest| latest.ran),
            },
        };
        known.filter(presentable).map_or_else(
            || {
                let outcome = Outcome::refused("no answer yet".to_owned(), "PendingError");
                Row { pending: true, ..row(Arc::new(outcome), false) }
            },
            |outcome| row(outcome, true),
        )
    }

    /// The report on what is known now.
    pub fn report(&self) -> Report {
        Report::now(self.rows(), self.uptime)
    }
}

/// What it takes to end a sweep. It outlives the caller's patience, since others may wait for the same runs.
#[must_use = "others may wait for what it was to do"]
pub struct Work {
    process: Arc<Process>,
    native: Vec<Run>,
    callables: Vec<Run>,
    joined: Vec<Flight>,
}

struct Run {
    slot: Arc<Slot>,
    current: Arc<Current>,
    lease: Lease,
    /// What the last one took.
    took: Duration,
}

/// Runs of a kind, side by side in one future: a task of the runtime's for each would cost five times as much.
async fn run_all(runs: Vec<BoxFuture<'static, ()>>) {
    runs.into_iter().collect::<FuturesUnordered<_>>().collect().await
}

impl Work {
    pub(crate) fn new(process: Arc<Process>) -> Self {
        Self { process, native: Vec::new(), callables: Vec::new(), joined: Vec::new() }
    }

    /// Whether there is nothing to do.
    pub fn is_none(&self) -> bool {
        self.native.is_empty() && self.callables.is_empty() && self.joined.is_empty()
    }

    /// Whether it took no time to speak of the last time.
    fn is_quick(&self) -> bool {
        self.joined.is_empty() && self.native.iter().chain(&self.callables).all(|run| run.took <= QUICK)
    }

    /// Hands it to the runtime's threads. `done` is called once it is done, from whatever thread.
    pub fn begin(self, done: impl FnOnce() + Send + Sync + 'static) {
        self.start(done, false, |native| native.collect());
    }

    /// The same for a caller who has nothing else to do than to wait: what is to be done at once is done on its thread.
    /// For 22 checks that need not wait for anything this takes 10 µs, and 35 µs by way of another thread. What takes
    /// hardly longer is waited for by `stay_awake`, for the time it is given at most: nobody sleeps who would have to be
    /// woken at once, neither the caller nor one thread for each callable.
    pub fn begin_here(self, done: impl FnOnce() + Send + Sync + 'static, stay_awake: impl FnOnce(Duration)) {
        let process = self.process.clone();
        let is_quick = self.is_quick();
        let _runtime = process.runtime.enter();
        // One after the other, so that 1,000 need not all be in memory at once. Nobody has to be woken yet: the runtime
        // polls those that wait for something again.
        self.start(done, is_quick, |native| {
            native.filter_map(|mut run| (&mut run).now_or_never().is_none().then_some(run)).collect()
        });
        if is_quick {
            stay_awake(QUICK);
            process.lanes.side_by_side();
        }
    }

    /// Begins what Python's threads are to do, then that of the native runs which `begin` leaves.
    fn start(
        self,
        done: impl FnOnce() + Send + Sync + 'static,
        one_by_one: bool,
        begin: impl FnOnce(&mut dyn Iterator<Item = BoxFuture<'static, ()>>) -> Vec<BoxFuture<'static, ()>>,
    ) {
        let Self { process, mut native, mut callables, joined } = self;
        // All begin at once, but one after the other: the longest first, so that the others run while it waits.
        for runs in [&mut native, &mut callables] {
            // Leaves those alone that take no time, as they lie in memory: a thousand take a tenth longer in disorder.
            runs.sort_by_key(|run| Reverse(run.took.as_millis()));
        }
        let lead = |run: Run| run.slot.lead(run.current, run.lease, process.clone());
        let done = Arc::new(OnDrop(Some(done)));
        if !callables.is_empty() {
            let callables = callables.into_iter().map(lead).collect();
            let done = done.clone();
            let runs = async move {
                run_all(callables).await;
                drop(done);
            };
            process.lanes.wave(one_by_one, || Task::start(process.clone(), runs));
        }
        let native = begin(&mut native.into_iter().map(lead));
        if native.is_empty() && joined.is_empty() {
            return;
        }
        process.runtime.spawn(async move {
            run_all(native).await;
            for flight in joined {
                flight.wait().await;
            }
            drop(done);
        });
    }
}

/// Calls a function once nobody needs it any more.
struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(function) = self.0.take() {
            function();
        }
    }
}
