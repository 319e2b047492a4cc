//! A registered check: its options, the check itself, and what is known of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::checks::Check;
use crate::model::{CheckOptions, CheckScope, CircuitState, Event, Finding, NotRun, Outcome, Status};
use crate::policy::dependencies::{ParentStatus, blocked_by, may_explain, stays_skipped};
use crate::policy::limits::Limits;
use crate::runtime::{PerProcess, Process, queue::Queue};
use crate::state::{CheckState, Completion, Fleet, InFlightRun, Requested, Scope, TableSnapshot, UnrecordedResults};

/// What the checks of one engine have in common.
#[derive(Clone)]
pub struct Shared {
    pub events: Arc<PerProcess<Queue<Event>>>,
    pub unrecorded: Arc<PerProcess<UnrecordedResults>>,
    pub limits: Arc<ArcSwap<Limits>>,
    pub scope: Scope,
    /// The hosts that share with this one.
    pub fleet: Option<Arc<Fleet>>,
}

/// A registered check.
pub struct Registered {
    pub options: CheckOptions,
    pub name: Arc<str>,
    /// The checks it depends on.
    pub parents: Vec<Arc<Self>>,
    /// How old an outcome may be to say anything.
    pub stale_after: Duration,
    pub(super) shared: Shared,
    active: ArcSwap<ActiveCheck>,
    state: PerProcess<CheckState>,
}

/// The check as it is at one moment, and since when if it replaced another.
pub struct ActiveCheck {
    pub check: Arc<dyn Check>,
    replaced_at: Option<Instant>,
}

/// What a caller requests of a check.
#[derive(Clone, Copy)]
pub struct CheckRequest<'a> {
    /// No older outcome is accepted, even if the check's own time to live would allow it.
    pub max_age: Option<Duration>,
    /// Nothing that was known before is accepted.
    pub refresh: bool,
    /// The interpreter is not waited for: what is known of callables stands.
    pub without_python: bool,
    pub now: Instant,
    /// Taken by a caller that requests several checks.
    pub snapshot: Option<&'a TableSnapshot>,
}

/// How a request is answered at once.
pub enum Answer {
    Fresh(Arc<Outcome>),
    /// A run that was under way already.
    Joined(InFlightRun),
    /// A run that the caller has to start.
    Leading(Lead),
    NotRun(NotRun),
    /// Whatever the last run came to.
    Latest,
}

/// A run that is to be started: see [`super::runner::start`].
pub struct Lead {
    pub check: Arc<Registered>,
    pub active: Arc<ActiveCheck>,
    pub completion: Completion,
}

impl Registered {
    pub fn new(
        options: CheckOptions,
        parents: Vec<Arc<Self>>,
        check: Arc<dyn Check>,
        max_stale: Duration,
        shared: Shared,
    ) -> Self {
        let active = ArcSwap::from_pointee(ActiveCheck { check, replaced_at: None });
        let stale_after = max_stale.max(options.ttl.saturating_mul(2));
        let state = PerProcess::new();
        Self { name: options.name.as_str().into(), options, parents, stale_after, shared, active, state }
    }

    /// Runs another check from now on, with all that is known kept; the last outcome is fresh no more.
    pub fn replace(&self, check: Arc<dyn Check>) {
        self.active.store(Arc::new(ActiveCheck { check, replaced_at: Some(Instant::now()) }));
    }

    /// Whether the check that found this has been replaced since it started.
    pub fn replaced_after(&self, outcome: &Outcome) -> bool {
        let started = outcome.finished.checked_sub(outcome.duration);
        started.zip(self.active.load().replaced_at).is_some_and(|(started, replaced)| started < replaced)
    }

    pub fn active(&self) -> Arc<ActiveCheck> {
        self.active.load_full()
    }

    /// Which processes share its results.
    pub fn scope(&self) -> &Scope {
        if self.options.scope == CheckScope::Process { &Scope::Process } else { &self.shared.scope }
    }

    pub fn state(&self) -> Arc<CheckState> {
        let make = || {
            let events = self.shared.events.get_or_init(Queue::default);
            let backend = self.scope().backend(&self.options);
            let unrecorded = self.shared.unrecorded.get_or_init(UnrecordedResults::default);
            let (name, stale_after) = (self.name.clone(), self.stale_after);
            CheckState::new(name, &self.options, stale_after, events, unrecorded, backend)
        };
        self.state.get_or_init(make)
    }

    /// The fleet that shares what is known of it, if it is one of the fleet's checks.
    pub fn fleet(&self) -> Option<&Arc<Fleet>> {
        self.shared.fleet.as_ref().filter(|_| self.options.scope == CheckScope::Fleet)
    }

    /// Why it is not run now, where that lasts: the fleet is lost, and it is not this host's turn.
    pub fn limited(&self) -> Option<NotRun> {
        let retry_after = self.fleet().filter(|_| !self.options.critical)?.limited(&self.options)?;
        Some(NotRun::Limited { retry_after })
    }

    /// Requests an outcome.
    pub fn request(self: &Arc<Self>, request: CheckRequest<'_>, process: &Process) -> Answer {
        let active = self.active();
        let needs_python = active.check.needs_python();
        if needs_python && request.without_python {
            return Answer::Latest;
        }
        let max_age = (!request.refresh).then(|| self.max_age(&active, request));
        let obstacle = || match self.failing_parent(request.now) {
            Some(parent) => Some(NotRun::Blocked { parent: parent.options.name.clone(), answered: true }),
            None => active.check.obstacle(process),
        };
        let state = self.state();
        match state.request(max_age, request.now, request.snapshot, obstacle) {
            Requested::Fresh(outcome) => Answer::Fresh(outcome),
            Requested::InFlight(run) => {
                // The call continues, and this caller wants one that starts later.
                let is_over = request.refresh && self.has_overrun(&run, request.now);
                match is_over.then(|| active.check.obstacle(process)).flatten() {
                    Some(not_run) => Answer::NotRun(not_run),
                    None => Answer::Joined(run),
                }
            }
            Requested::NotRun(not_run) => Answer::NotRun(not_run),
            Requested::Needed { run, wanted, after } => {
                let completion = Completion::new(state, run, wanted, after);
                Answer::Leading(Lead { check: self.clone(), active, completion })
            }
        }
    }

    /// Whether a run of this process has had its time, and could not end itself yet, since the machine is overloaded.
    pub fn has_overrun(&self, run: &InFlightRun, now: Instant) -> bool {
        run.progress().is_some_and(|(started, context)| {
            // What it waited for before, such as a parent, is not its own time.
            let since = if self.parents.is_empty() { run.requested() } else { *started };
            now.saturating_duration_since(since) >= self.options.timeout && !context.is_held_up()
        })
    }

    /// How old an acceptable outcome may be.
    fn max_age(&self, active: &ActiveCheck, request: CheckRequest<'_>) -> Duration {
        let since_replaced = |at: Instant| request.now.saturating_duration_since(at);
        let own = self.own_max_age(request.snapshot);
        let accepted = request.max_age.map_or(Duration::MAX, |age| age.max(own));
        accepted.min(self.options.ttl).min(active.replaced_at.map_or(Duration::MAX, since_replaced))
    }

    /// How old an outcome may be at least where readiness wants a newer one: an error no older than others, so that one that
    /// is over keeps nothing out.
    pub fn own_max_age(&self, snapshot: Option<&TableSnapshot>) -> Duration {
        let own = self.options.ready_max_age.unwrap_or_default();
        let is_error = || self.state().latest(snapshot).0.is_some_and(|latest| latest.status == Status::Error);
        if own.is_zero() || is_error() { Duration::ZERO } else { own }
    }

    /// A parent that has just been found failing, and is not being run again: there is no need to run this one.
    fn failing_parent(&self, now: Instant) -> Option<&Arc<Self>> {
        blocked_by(&self.parents, |parent| {
            let ttl = parent.options.ttl;
            match parent.state().in_flight() {
                None => parent.status_within(ttl, now, None),
                Some(_) => ParentStatus::Other,
            }
        })
    }

    /// The parent that keeps this check from being shown as it was found.
    pub fn blocking_parent(&self, now: Instant, snapshot: Option<&TableSnapshot>) -> Option<&Arc<Self>> {
        blocked_by(&self.parents, |parent| parent.status_within(parent.stale_after, now, snapshot))
    }

    /// The parent that a run in flight waits for, before the check itself starts.
    pub fn awaited_parent(&self, run: &InFlightRun) -> Option<&Arc<Self>> {
        self.parents.iter().find(|parent| run.progress().is_none() && parent.state().in_flight().is_some())
    }

    /// The parent that may explain why a check that has nothing to check could not find that out again since `started`:
    /// it has more time, and its answer counts. Until then this one stays as it was.
    pub fn explaining_parent(&self, started: Instant, snapshot: Option<&TableSnapshot>) -> Option<&Arc<Self>> {
        self.skipped(snapshot)?;
        self.parents.iter().find(|parent| may_explain(parent.state().latest(snapshot).0.as_deref(), started))
    }

    /// Since when it is failing, or the parent that blocks it.
    pub fn failing_since(&self, now: Instant, snapshot: Option<&TableSnapshot>) -> Option<SystemTime> {
        let parent = self.blocking_parent(now, snapshot);
        parent.map_or_else(|| self.state().beside(now).1.since, |parent| parent.failing_since(now, snapshot))
    }

    /// The outcome that is shown whatever becomes of its parents and its breaker, if there is nothing to check here.
    pub fn skipped(&self, snapshot: Option<&TableSnapshot>) -> Option<Arc<Outcome>> {
        self.skipped_as(self.state().latest(snapshot).0)
    }

    fn skipped_as(&self, latest: Option<Arc<Outcome>>) -> Option<Arc<Outcome>> {
        let found = latest.filter(|latest| stays_skipped(latest) && !self.replaced_after(latest));
        found.or_else(|| {
            let active = self.active.load();
            let finding = Finding::skipped(active.check.skip_reason()?);
            Some(Arc::new(Outcome::of(Ok(finding), Instant::now(), self.options.timeout)))
        })
    }

    /// Whether it is failing, by an outcome not older than `max_age`.
    fn status_within(&self, max_age: Duration, now: Instant, snapshot: Option<&TableSnapshot>) -> ParentStatus {
        let (latest, circuit) = self.state().latest(snapshot);
        if self.skipped_as(latest.clone()).is_some() {
            return ParentStatus::Other;
        }
        let is_open = circuit.is_some_and(|circuit| circuit.state == CircuitState::Open);
        let is_error = latest.is_some_and(|latest| {
            latest.status == Status::Error && now.saturating_duration_since(latest.finished) < max_age
        });
        if is_open || is_error || self.blocking_parent(now, snapshot).is_some() {
            ParentStatus::Failing
        } else {
            ParentStatus::Other
        }
    }

    /// How it is, as far as is known: `None` before its first run, and where its last outcome is stale.
    pub fn known_status(&self, now: Instant, snapshot: Option<&TableSnapshot>) -> Option<Status> {
        if self.status_within(self.stale_after, now, snapshot) == ParentStatus::Failing {
            return Some(Status::Error);
        }
        let (latest, circuit) = self.state().latest(snapshot);
        // It is not run then, so that its last outcome may be old.
        let is_open = circuit.is_some_and(|circuit| circuit.state == CircuitState::Open);
        if (is_open || self.blocking_parent(now, snapshot).is_some()) && self.skipped_as(latest.clone()).is_some() {
            return Some(Status::Skipped);
        }
        let holds_for = self.state().holds_for();
        let latest = latest.filter(|latest| now.saturating_duration_since(latest.finished) < holds_for);
        latest.map(|latest| latest.status)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::checks::callable::CallableCheck;
    use crate::engine::Engine;
    use crate::runtime::Context;

    const TIMEOUT: Duration = Duration::from_secs(1);
    const CALLABLE: u64 = 7_000;

    #[tokio::test]
    async fn overrun_call_that_has_not_ended_is_still_running_for_who_wants_a_later_one() {
        let (engine, process) = (Engine::new(TIMEOUT), Process::current().unwrap());
        let callable = CallableCheck { id: CALLABLE, timeout: TIMEOUT };
        engine.register(CheckOptions::new("a", TIMEOUT, TIMEOUT), Arc::new(callable)).unwrap();
        let check = engine.check("a").unwrap();
        let (requested, snapshot) = (Instant::now(), None);
        let request = |refresh, after| {
            let request =
                CheckRequest { max_age: None, refresh, without_python: false, now: requested + after, snapshot };
            check.request(request, &process)
        };
        let Answer::Leading(lead) = request(true, Duration::ZERO) else { unreachable!("nothing is known of it") };
        let is_joined = |answer: Answer| matches!(answer, Answer::Joined(_));
        assert!(is_joined(request(true, TIMEOUT)), "it has not started: it waits for something else");
        lead.completion.run().start(Arc::new(Context::new(process.clone(), TIMEOUT)));
        let running = process.clone();
        let call = tokio::spawn(async move { running.callables.call(CALLABLE, TIMEOUT).await });
        tokio::task::yield_now().await;
        assert!(is_joined(request(true, TIMEOUT)), "no thread has started the call");
        let job = process.callables.take().unwrap();
        assert!(is_joined(request(true, TIMEOUT / 2)), "it has time left");
        assert!(is_joined(request(false, TIMEOUT)), "who started it gets the same");
        assert!(matches!(request(true, TIMEOUT), Answer::NotRun(NotRun::StillRunning { .. })));
        process.callables.done(job.token, job.callable, Ok(crate::model::Finding::healthy("late")));
        call.await.unwrap().unwrap();
    }
}
