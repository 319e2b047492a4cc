//! A sweep: what was asked, the work that it takes, and what is known of it at any moment.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::registry::{Current, Slot};
use crate::model::{CheckError, Outcome, Phase};
use crate::policy::report::{Report, Row};
use crate::runtime::Process;
use crate::state::{Ask, Claim, InFlightRun, Lease};

/// How much longer than its longest check a sweep may take.
const GRACE: Duration = Duration::from_millis(50);

enum Answer {
    Known {
        outcome: Arc<Outcome>,
        cached: bool,
    },
    Awaited(InFlightRun),
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
                work.runs.push(Run { check: slot.clone(), active: current, lease, took });
                self.await_run(slot, flight);
            }
        }
    }

    fn await_run(&mut self, slot: Arc<Slot>, flight: InFlightRun) {
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
    runs: Vec<Run>,
    joined: Vec<InFlightRun>,
}

struct Run {
    check: Arc<Slot>,
    active: Arc<Current>,
    lease: Lease,
    /// What the last one took.
    took: Duration,
}

impl Work {
    pub(crate) fn new(process: Arc<Process>) -> Self {
        Self { process, runs: Vec::new(), joined: Vec::new() }
    }

    /// Whether there is nothing to do.
    pub fn is_none(&self) -> bool {
        self.runs.is_empty() && self.joined.is_empty()
    }

    /// Starts it: each run is a task of its own, so that none can hold up another. `done` is called when all have ended,
    /// from any thread.
    pub fn start(self, done: impl FnOnce() + Send + Sync + 'static) {
        let Self { process, mut runs, joined } = self;
        // The longest first: it is what the sweep waits for.
        runs.sort_by_key(|run| Reverse(run.took.as_millis()));
        let done = Arc::new(OnDrop(Some(done)));
        for run in runs {
            let done = done.clone();
            let run = run.check.lead(run.active, run.lease, process.clone());
            process.runtime.spawn(async move {
                run.await;
                drop(done);
            });
        }
        if !joined.is_empty() {
            process.runtime.spawn(async move {
                for run in joined {
                    run.wait().await;
                }
                drop(done);
            });
        }
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
