//! What surrounds every check, read top to bottom: lease, dependencies, deadline, panic.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout_at};

use crate::checks::Check;
use crate::model::CheckOptions;
use crate::model::Event;
use crate::model::{CheckError, Finding, Outcome, Status};
use crate::policy::breaker::Verdict;
use crate::policy::limits::Limits;
use crate::runtime::Context;
use crate::runtime::queue::Queue;
use crate::runtime::{PerProcess, Process};
use crate::state::{Ask, Cell, Claim, Lease, Scope};

/// A registered check with all that surrounds it.
pub struct Slot {
    pub spec: CheckOptions,
    pub name: Arc<str>,
    /// The checks it depends on.
    pub parents: Vec<Arc<Slot>>,
    current: ArcSwap<Current>,
    cell: PerProcess<Cell>,
    events: Arc<PerProcess<Queue<Event>>>,
    share: Scope,
    limits: Arc<ArcSwap<Limits>>,
}

/// The check as it is at one moment, and since when if it took the place of another.
pub struct Current {
    check: Arc<dyn Check>,
    since: Option<Instant>,
}

impl Current {
    /// Whether the check can only be run by a thread of Python's.
    pub fn needs_python(&self) -> bool {
        self.check.needs_python()
    }
}

impl Slot {
    pub fn new(
        spec: CheckOptions,
        parents: Vec<Arc<Self>>,
        check: Arc<dyn Check>,
        events: Arc<PerProcess<Queue<Event>>>,
        limits: Arc<ArcSwap<Limits>>,
        share: Scope,
    ) -> Self {
        let current = ArcSwap::from_pointee(Current { check, since: None });
        let cell = PerProcess::new();
        Self { name: spec.name.as_str().into(), spec, parents, current, cell, events, share, limits }
    }

    /// Runs another check from now on, with all that is known kept. What the former one found is fresh no more.
    pub fn replace(&self, check: Arc<dyn Check>) {
        self.current.store(Arc::new(Current { check, since: Some(Instant::now()) }));
    }

    /// Whether the check that found this has been replaced since it began.
    pub fn replaced_after(&self, outcome: &Outcome) -> bool {
        let began = outcome.finished.checked_sub(outcome.took);
        began.zip(self.current.load().since).is_some_and(|(began, since)| began < since)
    }

    /// What to claim an outcome of, and to run.
    pub fn current(&self) -> Arc<Current> {
        self.current.load_full()
    }

    pub fn cell(&self) -> Arc<Cell> {
        self.cell.get_or_init(|| {
            let events = self.events.get_or_init(Queue::default);
            Cell::new(self.name.clone(), &self.spec, events, self.share.backend(&self.spec))
        })
    }

    /// Asks for an outcome. `max_age` may only shorten the check's own time to live.
    pub fn claim(&self, current: &Current, ask: Ask<'_>) -> Claim {
        let since_replaced = current.since.map_or(Duration::MAX, |since| ask.now.saturating_duration_since(since));
        let max_age = ask.max_age.min(self.spec.ttl).min(since_replaced);
        self.cell().claim(Ask { max_age, ..ask })
    }

    /// Runs the check for all who wait for it. Never fails, and ends by the check's timeout.
    pub fn lead(
        self: Arc<Self>,
        current: Arc<Current>,
        mut lease: Lease,
        process: Arc<Process>,
    ) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if lease.granted().await {
                let (outcome, verdict) = self.attempt(&current, process).await;
                lease.settle(outcome, verdict, self.limits.load_full()).await;
            }
        })
    }

    /// Runs the check unless it must not be, and says what came of it and what it means for the breaker.
    async fn attempt(&self, current: &Arc<Current>, process: Arc<Process>) -> (Arc<Outcome>, Verdict) {
        let started = Instant::now();
        let deadline = started + self.spec.timeout;

        for parent in &self.parents {
            // Boxed, so that the future of a check without parents is not three times as large.
            if let Err(blocked) = Box::pin(parent.clone().must_not_fail(deadline, &process)).await {
                return (Arc::new(blocked), Verdict::Ignored);
            }
        }

        let context = Context::new(process, deadline);
        let mut run = AssertUnwindSafe(current.check.run(&context)).catch_unwind();
        // What need not wait needs no timer.
        let ended = match poll_fn(|waker| Poll::Ready(run.poll_unpin(waker))).await {
            Poll::Ready(result) => Ok(result),
            Poll::Pending => timeout_at(deadline, run).await,
        };
        let result = match ended {
            Ok(Ok(result)) => result,
            Ok(Err(_panic)) => Err(CheckError::Panicked),
            Err(_elapsed) => Err(CheckError::Timeout { after: self.spec.timeout, phase: context.phase() }),
        };
        let verdict = verdict(&result, current.check.errors_trip_breaker());
        let mut outcome = Outcome::of(result, started);
        // Replaced meanwhile: those who wait get this answer, those who ask later do not.
        outcome.ran &= Arc::ptr_eq(current, &self.current.load());
        (Arc::new(outcome), verdict)
    }

    /// Waits for the outcome of this check, on behalf of one that depends on it.
    async fn must_not_fail(self: Arc<Self>, deadline: Instant, process: &Arc<Process>) -> Result<(), Outcome> {
        let blocked = |message: String| Outcome {
            blocked_by: Some(self.spec.name.clone()),
            ..Outcome::refused(message, "DependencyError")
        };
        let current = self.current();
        let ask = Ask { max_age: Duration::MAX, refresh: false, now: Instant::now(), snapshot: None };
        let outcome = match self.claim(&current, ask) {
            Claim::Fresh(outcome) | Claim::Refused(outcome) => Ok(outcome),
            Claim::Joined(flight) => timeout_at(deadline, flight.wait()).await,
            Claim::Led { lease, flight, .. } => {
                process.runtime.spawn(self.clone().lead(current, lease, process.clone()));
                timeout_at(deadline, flight.wait()).await
            }
        };
        match outcome {
            Ok(outcome) if outcome.status == Status::Error => {
                Err(blocked(format!("not run: {} is in error", self.name)))
            }
            Ok(_) => Ok(()),
            Err(_elapsed) => Err(blocked(format!("not run: {} has not answered", self.name))),
        }
    }
}

fn verdict(result: &Result<Finding, CheckError>, errors_trip_breaker: bool) -> Verdict {
    match result {
        Ok(finding) if finding.status == Status::Error && errors_trip_breaker => Verdict::Failure,
        Ok(_) => Verdict::Success,
        Err(error) if error.trips_breaker() => Verdict::Failure,
        Err(_) => Verdict::Ignored,
    }
}
