//! A sweep: what a caller requested of many checks at once, the runs that it takes, and the answer at any moment.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Selection;
use super::registry::{Answer, CheckRequest, Registered};
use super::runner::not_run;
use super::work::Work;
use crate::model::{CheckError, CircuitState, NotRun, Outcome, Status, pending};
use crate::policy::report::{Report, Row, are_failing};
use crate::state::{InFlightRun, TableSnapshot};

/// How much longer than its longest check a sweep may take.
const GRACE: Duration = Duration::from_millis(50);
/// How long a run may take to change an answer that is known: a dependency that is back is seen at once.
const RECOVERY: Duration = Duration::from_millis(100);
/// The same of a check without a result to show: it would be named beside the cause.
const FIRST_RESULT: Duration = Duration::from_millis(300);

enum SweepEntry {
    Known(Arc<Outcome>),
    NotRun(NotRun),
    InFlight { run: InFlightRun, leading: bool },
    Latest,
}

impl SweepEntry {
    /// The run that is awaited.
    fn awaited(&self) -> Option<&InFlightRun> {
        match self {
            Self::InFlight { run, .. } => Some(run).filter(|run| run.result().is_none()),
            _ => None,
        }
    }

    /// Whether a run that was awaited has ended.
    fn has_ended(&self) -> bool {
        matches!(self, Self::InFlight { .. }) && self.awaited().is_none()
    }
}

/// What was requested, and what is known of it.
pub struct Sweep {
    requested: Vec<(Arc<Registered>, SweepEntry)>,
    started: Instant,
    /// When it has ended, whatever happens.
    pub deadline: Instant,
    selection: Selection,
    uptime: Duration,
    /// Why there is no check to report on.
    void: Option<&'static str>,
    /// What was known when it was requested, where nothing had to be run: all that is read of it says the same.
    settled: Option<Vec<Row>>,
}

impl Sweep {
    pub(super) fn new(checks: usize, uptime: Duration, selection: &Selection, void: Option<&'static str>) -> Self {
        let started = Instant::now();
        // Not the names, which have been looked up.
        let selection = Selection { names: None, ..selection.clone() };
        let (requested, deadline) = (Vec::with_capacity(checks), started + GRACE);
        Self { requested, started, deadline, selection, uptime, void, settled: None }
    }

    /// When it started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Requests an outcome; the runs that it takes are added to `work`.
    pub(super) fn request(&mut self, check: Arc<Registered>, request: CheckRequest<'_>, work: &mut Work) {
        let Some(process) = work.process.clone() else {
            self.requested.push((check, SweepEntry::Latest));
            return;
        };
        let request = CheckRequest { max_age: self.selection.max_age_of(&check.options), ..request };
        let requested = match check.request(request, &process) {
            Answer::Fresh(outcome) => SweepEntry::Known(outcome),
            Answer::NotRun(not_run) => SweepEntry::NotRun(not_run),
            Answer::Latest => SweepEntry::Latest,
            Answer::Joined(run) => {
                work.joined.push(run.clone());
                self.in_flight(&check, run, false)
            }
            Answer::Leading(lead) => {
                let run = lead.completion.run().clone();
                let (latest, _) = lead.completion.state().latest(request.snapshot);
                work.leads.push((latest.map_or(Duration::MAX, |latest| latest.duration), lead));
                self.in_flight(&check, run, true)
            }
        };
        self.requested.push((check, requested));
    }

    /// Adds a check as it is known, without a request. While its circuit is open it is not run, however old its last
    /// outcome; and one that has nothing to check need not run to find that out.
    pub(super) fn add_known(&mut self, check: Arc<Registered>, snapshot: Option<&TableSnapshot>) {
        let (_, circuit) = check.state().latest(snapshot);
        let open = circuit.filter(|circuit| circuit.state == CircuitState::Open);
        let entry = match (check.skipped(snapshot), open) {
            (Some(outcome), _) => SweepEntry::Known(outcome),
            (None, Some(circuit)) => SweepEntry::NotRun(NotRun::CircuitOpen { retry_after: circuit.retry_after }),
            (None, None) => SweepEntry::Latest,
        };
        self.requested.push((check, entry));
    }

    fn in_flight(&mut self, check: &Registered, run: InFlightRun, leading: bool) -> SweepEntry {
        self.deadline = self.deadline.max(self.started + check.options.timeout + GRACE);
        SweepEntry::InFlight { run, leading }
    }

    /// Settles what is known, by the snapshot with which all was requested, unless a run is awaited.
    pub(super) fn settle(&mut self, snapshot: Option<&TableSnapshot>) {
        let is_in_flight = |entry: &SweepEntry| matches!(entry, SweepEntry::InFlight { .. });
        if !self.requested.iter().any(|(_, entry)| is_in_flight(entry)) {
            self.settled = Some(self.rows_by(snapshot));
        }
    }

    /// Restores the order in which the checks are to be reported.
    pub(super) fn sort_as(&mut self, selected: &[Arc<Registered>]) {
        let place = |check: &Arc<Registered>| selected.iter().position(|other| Arc::ptr_eq(other, check));
        self.requested.sort_by_cached_key(|(check, _)| place(check));
    }

    /// Whether there is no check to report on, or none that decides.
    pub fn is_void(&self) -> bool {
        self.void.is_some()
    }

    /// Whether every outcome is known.
    pub fn is_done(&self) -> bool {
        self.requested.iter().all(|(_, entry)| entry.awaited().is_none())
    }

    /// Until when to wait at most for an answer about readiness that is known, since a critical check is in error. `None`
    /// where the runs that are awaited decide it.
    pub fn decided_at(&self) -> Option<Instant> {
        if self.is_done() || self.selection.refresh || self.selection.max_age.is_none() {
            return None;
        }
        let rows = self.rows();
        let ends = self.requested.iter().zip(&rows).filter_map(|((_, entry), row)| {
            Some(entry.awaited()?.requested() + if row.pending { FIRST_RESULT } else { RECOVERY })
        });
        // What has no result yet is no known error.
        let is_decided = are_failing(rows.iter().filter(|row| !row.pending));
        is_decided.then(|| ends.max().unwrap_or(self.started))
    }

    /// What is known now, in the order requested.
    pub fn rows(&self) -> Vec<Row> {
        self.settled.clone().unwrap_or_else(|| {
            let snapshot = self.requested.first().and_then(|(check, _)| check.state().snapshot());
            self.rows_by(snapshot.as_ref())
        })
    }

    fn rows_by(&self, snapshot: Option<&TableSnapshot>) -> Vec<Row> {
        let now = Instant::now();
        self.requested.iter().map(|(check, requested)| self.row(check, requested, now, snapshot)).collect()
    }

    fn row(&self, check: &Registered, requested: &SweepEntry, now: Instant, snapshot: Option<&TableSnapshot>) -> Row {
        let parent = check.blocking_parent(now, snapshot);
        let skipped = parent.and_then(|_| check.skipped(snapshot));
        let parent = parent.filter(|_| skipped.is_none());
        let mut row = match (parent, skipped) {
            (Some(parent), _) => {
                let not_run = NotRun::Blocked { parent: parent.options.name.clone(), answered: true };
                Row { blocked_by: Some(parent.name.clone()), ..self.derived(check, &not_run.outcome()) }
            }
            (None, Some(outcome)) if !requested.has_ended() => self.cached(check, outcome, now),
            (None, _) => self.found(check, requested, now, snapshot),
        };
        let (circuit, history) = check.state().beside(now);
        row.critical = self.selection.is_critical(&check.options);
        row.circuit = circuit;
        row.since = parent.map_or(history.since, |parent| parent.failing_since(now, snapshot));
        row.last_error = history.last_error.filter(|error| error.at != row.outcome.at);
        row
    }

    fn found(&self, check: &Registered, requested: &SweepEntry, now: Instant, snapshot: Option<&TableSnapshot>) -> Row {
        match requested {
            SweepEntry::Known(outcome) => {
                // While others were awaited it may have been run again, and block its children by now.
                let (latest, _) = check.state().latest(snapshot);
                let later = latest.filter(|latest| latest.finished > outcome.finished);
                self.cached(check, later.unwrap_or_else(|| outcome.clone()), now)
            }
            SweepEntry::NotRun(reason) => self.not_run(check, reason, now, snapshot),
            SweepEntry::Latest => self.last(check, check.stale_after, now, snapshot, || pending(None)),
            SweepEntry::InFlight { run, leading } => match run.result() {
                Some(Ok(outcome)) => Row::new(check.name.clone(), check.options.critical, outcome.clone()),
                Some(Err(reason)) => self.not_run(check, reason, now, snapshot),
                None => self.awaited(check, run, *leading, now, snapshot),
            },
        }
    }

    /// What is shown where there was no run.
    fn not_run(&self, check: &Registered, reason: &NotRun, now: Instant, snapshot: Option<&TableSnapshot>) -> Row {
        let is_obstructed = matches!(reason, NotRun::Blocked { .. } | NotRun::CircuitOpen { .. });
        if let Some(outcome) = is_obstructed.then(|| check.skipped(snapshot)).flatten() {
            return self.cached(check, outcome, now);
        }
        if !reason.keeps_last_result() {
            return self.derived(check, &reason.outcome());
        }
        self.kept(check, reason, check.stale_after, now, snapshot)
    }

    /// What is shown while a run is awaited.
    fn awaited(
        &self,
        check: &Registered,
        run: &InFlightRun,
        leading: bool,
        now: Instant,
        snapshot: Option<&TableSnapshot>,
    ) -> Row {
        let awaited_parent = check.awaited_parent(run);
        let started = run.progress().map_or(now, |(started, _)| *started);
        let explaining_parent = awaited_parent.or_else(|| check.explaining_parent(started, snapshot));
        if let Some(outcome) = explaining_parent.and_then(|_| check.skipped(snapshot)) {
            return self.cached(check, outcome, now);
        }
        if let Some((started, context)) = run.progress().filter(|_| leading && check.has_overrun(run, now)) {
            let after = check.options.timeout;
            let timed_out = Err(CheckError::Timeout { after, phase: context.phase() });
            // Here as where the run ends, whichever of them comes first once a process that was stopped continues.
            if let Some(reason) = not_run(&timed_out, context, check.active().check.needs_python()) {
                return self.not_run(check, &reason, now, snapshot);
            }
            return self.derived(check, &Outcome::of(timed_out, *started, after));
        }
        if let Some(parent) = awaited_parent {
            let reason = NotRun::Blocked { parent: parent.options.name.clone(), answered: false };
            // As long as the parent's does, which is the cause: no longer, and no shorter, whatever time this one has.
            let bound = if self.stands(parent, now, snapshot) { check.stale_after } else { Duration::ZERO };
            return self.kept(check, &reason, bound, now, snapshot);
        }
        let phase = run.progress().map(|(_, context)| context.phase());
        self.last(check, self.awaited_bound(check), now, snapshot, || pending(phase))
    }

    /// Whether the last outcome of a parent stands while its run is awaited.
    fn stands(&self, parent: &Registered, now: Instant, snapshot: Option<&TableSnapshot>) -> bool {
        let run = parent.state().in_flight();
        match run.as_ref().and_then(|run| parent.awaited_parent(run)) {
            Some(awaited) => self.stands(awaited, now, snapshot),
            None => !self.last(parent, self.awaited_bound(parent), now, snapshot, || pending(None)).pending,
        }
    }

    /// The last outcome if it is younger than `bound`, else why there was no run, and who blocks it.
    fn kept(
        &self,
        check: &Registered,
        reason: &NotRun,
        bound: Duration,
        now: Instant,
        snapshot: Option<&TableSnapshot>,
    ) -> Row {
        let row = self.last(check, bound, now, snapshot, || reason.outcome());
        match reason {
            NotRun::Blocked { parent, .. } if row.pending => Row { blocked_by: Some(parent.as_str().into()), ..row },
            _ => row,
        }
    }

    /// The last outcome if it is younger than `bound`, else what `otherwise` makes. An error stands until it is stale:
    /// while it is not known that it is over, it is the cause.
    fn last(
        &self,
        check: &Registered,
        bound: Duration,
        now: Instant,
        snapshot: Option<&TableSnapshot>,
        otherwise: impl FnOnce() -> Outcome,
    ) -> Row {
        let (latest, _) = check.state().latest(snapshot);
        let bound_of = |latest: &Outcome| if latest.status == Status::Error { check.stale_after } else { bound };
        match latest.filter(|latest| now.saturating_duration_since(latest.finished) < bound_of(latest)) {
            Some(outcome) => self.cached(check, outcome, now),
            None => match check.limited() {
                Some(not_run) => self.derived(check, &not_run.outcome()),
                None => Row { pending: true, ..self.derived(check, &otherwise()) },
            },
        }
    }

    /// How old the last outcome may be while a run is awaited: what the caller accepts, plus the check's timeout.
    fn awaited_bound(&self, check: &Registered) -> Duration {
        let max_age = self.selection.max_age_of(&check.options);
        let accepted = max_age.map(|age| age.max(check.options.ready_max_age.unwrap_or_default()));
        let bound = accepted.map_or(Duration::MAX, |age| age.saturating_add(check.options.timeout));
        bound.min(check.stale_after)
    }

    fn cached(&self, check: &Registered, outcome: Arc<Outcome>, now: Instant) -> Row {
        let age = Some(now.saturating_duration_since(outcome.finished));
        Row { cached: true, age, ..Row::new(check.name.clone(), check.options.critical, outcome) }
    }

    fn derived(&self, check: &Registered, outcome: &Outcome) -> Row {
        let outcome = outcome.clone().about(check.options.server.as_deref());
        Row::new(check.name.clone(), check.options.critical, Arc::new(outcome))
    }

    /// The report on what is known now.
    pub fn report(&self) -> Report {
        Report::now(self.rows(), self.uptime, self.void)
    }
}
