//! One step of a subject: counts what is new, fires, resolves, reminds. Idempotent: a second step with the same changes
//! nothing.

use std::time::Duration;

use super::rules::{CountedRuns, Evidence, Observed, ObservedFleet, ObservedRuns, Rules, is_bad, severity_of};
use super::since::Since;
use super::subject::{Incident, Subject, TimelineKind};
use crate::model::clock::Moment;
use crate::model::{NoticeKind, Severity, Status};
use crate::policy::run_history::PastRun;

/// Records of one check that are remembered: several are alive while a new version is rolled out.
const MAX_RECORDS: usize = 4;
/// How long no process may have seen a level to be bad before it counts as good: each sees it at another moment.
const QUIET: Duration = Duration::from_secs(5);
/// How often that a level is still bad is noted, and that an incident is still judged.
const NOTE_BAD: Duration = Duration::from_secs(2);
const NOTE_JUDGED: Duration = Duration::from_secs(600);
/// After so long without a process that has the check, or with results that are skipped alone, its incident is over.
const ABANDONED_AFTER: Duration = Duration::from_secs(3_600);

/// What a step needs beside the subject.
struct SubjectStep<'a, 'b> {
    subject: &'a mut Subject,
    check: &'a str,
    observed: &'a Observed,
    rules: &'a Rules,
    now: Moment,
    notify: &'a mut (dyn FnMut(&mut Incident, NoticeKind) + 'b),
}

/// Judges the subject named `check` by what was observed. `notify` is called for each notice that its channels are due,
/// in order.
pub fn step(
    subject: &mut Subject,
    check: &str,
    observed: &Observed,
    rules: &Rules,
    now: Moment,
    notify: &mut dyn FnMut(&mut Incident, NoticeKind),
) {
    let mut step = SubjectStep { subject, check, observed, rules, now, notify };
    match &observed.evidence {
        Evidence::Runs(runs) if runs.is_blocked => step.skip(runs),
        Evidence::Runs(runs) => {
            step.count(runs);
            step.follow(runs.is_current(now), None);
        }
        Evidence::Level { is_bad, severity, calm } => {
            step.level(*is_bad, *severity, *calm);
            step.follow(*is_bad, Some(*severity));
        }
        Evidence::Fleet(fleet) => {
            step.fleet(fleet);
            step.follow(fleet.failing.is_some(), Some(fleet.failing.unwrap_or(Severity::Warning)));
        }
        // What is open stays as it is.
        Evidence::Unknown => {}
    }
    step.note_judged();
}

impl ObservedRuns {
    /// Whether the last run still says something.
    fn is_current(&self, now: Moment) -> bool {
        self.holds || self.history.latest(|_| true).is_some_and(|run| now.since(run.finished) < self.stale_after)
    }
}

impl SubjectStep<'_, '_> {
    /// The runs that have not been counted, which count as such from now on.
    fn new_runs<'r>(&mut self, runs: &'r ObservedRuns) -> &'r [PastRun] {
        let counted = &mut self.subject.counted;
        let record = runs.history.record;
        let seen = counted.iter().find(|counted| counted.record == record).map_or(0, |counted| counted.last);
        let new = runs.history.after(seen, runs.last);
        let is_good = |run: &PastRun| is_bad(run.status) != Some(true);
        let is_quiet = self.subject.open.is_none() && self.subject.failures == 0 && self.subject.recent.is_clean();
        if new.is_empty() || is_quiet && new.iter().all(is_good) {
            // Nothing has to be written: they are no different from those before.
            return &[];
        }
        counted.retain(|counted| counted.record != record);
        if counted.len() >= MAX_RECORDS {
            counted.remove(0);
        }
        counted.push(CountedRuns { record, last: runs.last });
        new
    }

    /// Lets runs pass that say nothing, since a parent has failed: what is open stays as it is.
    fn skip(&mut self, runs: &ObservedRuns) {
        self.new_runs(runs);
        if self.subject.open.is_none() {
            self.subject.failures = 0;
            self.subject.bad_since = None;
        }
    }

    fn count(&mut self, runs: &ObservedRuns) {
        let now = self.now;
        let is_stale = |run: &&PastRun| now.since(run.finished) >= runs.stale_after;
        let known: Vec<&PastRun> = self.new_runs(runs).iter().skip_while(is_stale).collect();
        for run in known {
            self.fire_by(run.finished, runs);
            if let Some(is_bad) = is_bad(run.status) {
                self.count_run(run, is_bad, runs);
            }
        }
        if runs.is_current(self.now) {
            self.fire_in_time(self.now.boot, runs);
        }
        let is_skipped = runs.history.latest(|_| true).is_some_and(|run| run.status == Status::Skipped);
        if is_skipped && now.since(self.subject.last) >= ABANDONED_AFTER {
            self.resolve(&format!("The check is skipped: {}", self.observed.message));
        }
    }

    fn count_run(&mut self, run: &PastRun, is_bad: bool, runs: &ObservedRuns) {
        let cycle = self.rules.cycle();
        let subject = &mut *self.subject;
        subject.recent.push(is_bad, cycle);
        let gap = Duration::from_nanos(run.finished.saturating_sub(subject.last));
        subject.last = run.finished;
        if is_bad {
            subject.failures = subject.failures.saturating_add(1);
            subject.successes = 0;
            let since = Since { boot: run.finished, wall: self.now.wall_at(run.finished) };
            // Nothing was known for a while: for how long it has failed is not known either.
            let known = subject.bad_since.filter(|_| gap < runs.stale_after);
            subject.bad_since = Some(known.unwrap_or(since));
        } else {
            (subject.failures, subject.bad_since) = (0, None);
            subject.successes = subject.successes.saturating_add(1);
        }
        let was_flapping = subject.open.as_ref().is_some_and(|open| open.is_flapping);
        let (failures, successes) = (subject.failures, subject.successes);
        if failures >= self.rules.failures {
            subject.recent.turn(true);
        } else if successes >= self.rules.successes {
            subject.recent.turn(false);
        }
        let is_flapping = subject.recent.is_flapping(was_flapping, cycle);
        if is_bad {
            self.raise(run.status, runs.critical);
        }
        if is_flapping != was_flapping {
            self.change_flapping(is_flapping, runs);
        }
        if failures >= self.rules.failures {
            self.open(run.status, severity_of(run.status, runs.critical), false);
        }
        if successes >= self.rules.successes && !is_flapping {
            self.resolve("");
        }
    }

    /// Fires what had failed for long enough when its next run ended, unless that was so long ago that it says nothing.
    fn fire_by(&mut self, at: u64, runs: &ObservedRuns) {
        let due = self.subject.bad_since.map(|since| Moment { boot: since.boot, ..self.now }.after(self.rules.seconds));
        if due.is_some_and(|due| self.now.since(due) < runs.stale_after) {
            self.fire_in_time(at, runs);
        }
    }

    /// Fires what has failed for long enough by `at`, as far as its last run counted that long.
    fn fire_in_time(&mut self, at: u64, runs: &ObservedRuns) {
        let Some(since) = self.subject.bad_since.filter(|_| !self.rules.seconds.is_zero()) else { return };
        let stale_after = u64::try_from(runs.stale_after.as_nanos()).unwrap_or(u64::MAX);
        let counted_until = if runs.holds { u64::MAX } else { self.subject.last.saturating_add(stale_after) };
        if Duration::from_nanos(at.min(counted_until).saturating_sub(since.boot)) >= self.rules.seconds {
            self.subject.recent.turn(true);
            let status = self.last_bad_status(runs);
            self.open(status, severity_of(status, runs.critical), false);
        }
    }

    fn last_bad_status(&self, runs: &ObservedRuns) -> Status {
        let bad = runs.history.latest(|run| is_bad(run.status) == Some(true));
        bad.map_or(Status::Error, |run| run.status)
    }

    /// A state that lasts: bad as long as any process has seen that lately.
    fn level(&mut self, is_bad: bool, severity: Severity, calm: Duration) {
        let (now, rules) = (self.now, self.rules);
        let subject = &mut *self.subject;
        let quiet = now.since(subject.last);
        if is_bad {
            if subject.bad_since.is_none() || quiet > QUIET {
                subject.bad_since = Some(Since { boot: now.boot, wall: now.wall });
            }
            if subject.failures == 0 || quiet >= NOTE_BAD {
                subject.last = now.boot;
            }
            (subject.failures, subject.successes) = (1, 0);
            let lasts = subject.bad_since.is_some_and(|since| now.since(since.boot) >= rules.seconds);
            self.raise(self.observed.status, false);
            if lasts {
                self.open(self.observed.status, severity, false);
            }
        } else if subject.failures > 0 {
            let enough = if subject.open.is_some() { QUIET.max(rules.seconds).max(calm) } else { QUIET };
            if quiet > enough {
                (subject.failures, subject.successes, subject.bad_since) = (0, 1, None);
                self.resolve("");
            }
        }
    }

    /// What the instances of a fleet say: bad while it fails on any.
    fn fleet(&mut self, fleet: &ObservedFleet) {
        let now = self.now;
        let subject = &mut *self.subject;
        let Some(severity) = fleet.failing else {
            if subject.failures > 0 || subject.open.is_some() {
                (subject.failures, subject.successes, subject.bad_since) = (0, 1, None);
                self.resolve("");
            }
            return;
        };
        if subject.failures == 0 {
            (subject.failures, subject.successes, subject.last) = (1, 0, now.boot);
        }
        subject.bad_since = subject.bad_since.or(fleet.since);
        self.raise(self.observed.status, false);
        if self.subject.open.as_ref().is_some_and(|open| open.is_flapping != fleet.is_flapping) {
            self.turn_flapping(fleet.is_flapping);
        }
        self.open(self.observed.status, severity, fleet.is_flapping);
    }

    /// Opens an incident, unless there is one.
    fn open(&mut self, status: Status, severity: Severity, is_flapping: bool) {
        if self.subject.open.is_some() {
            return;
        }
        let now = self.now;
        let since = self.subject.bad_since.unwrap_or(Since { boot: now.boot, wall: now.wall });
        let mut incident = Incident::new(self.check, since, now);
        incident.severity = self.rules.severity.unwrap_or(severity);
        match is_bad(self.observed.status) {
            Some(true) => incident.describe(self.observed.status, &self.observed.message),
            _ => incident.describe(status, &self.observed.last_error),
        }
        incident.blocked.clone_from(&self.observed.blocks);
        incident.instances = self.observed.instances.clone();
        incident.is_flapping = is_flapping;
        incident.suppressed.clone_from(&self.observed.suppressed);
        let text = incident.message.clone();
        incident.note(TimelineKind::Triggered, &text, now.wall);
        match &self.observed.suppressed {
            Some(text) => incident.note(TimelineKind::Silenced, text, now.wall),
            None => trigger(&mut incident, now, self.notify),
        }
        self.subject.open = Some(incident);
    }

    /// Makes an open incident as severe as a bad result is, if it is not.
    fn raise(&mut self, status: Status, critical: bool) {
        let severity = match self.observed.evidence {
            Evidence::Level { severity, .. } | Evidence::Fleet(ObservedFleet { failing: Some(severity), .. }) => {
                severity
            }
            Evidence::Runs(_) | Evidence::Fleet(_) | Evidence::Unknown => severity_of(status, critical),
        };
        let Some(incident) = self.subject.open.as_mut() else { return };
        let severity = self.rules.severity.unwrap_or(severity);
        if severity > incident.severity {
            incident.severity = severity;
            incident.describe(status, &self.observed.message);
            incident.note(TimelineKind::Raised, &self.observed.message, self.now.wall);
        }
    }

    fn change_flapping(&mut self, is_flapping: bool, runs: &ObservedRuns) {
        if self.subject.open.is_none() {
            let status = self.last_bad_status(runs);
            return self.open(status, severity_of(status, runs.critical), true);
        }
        self.turn_flapping(is_flapping);
    }

    fn turn_flapping(&mut self, is_flapping: bool) {
        let now = self.now;
        let Some(incident) = self.subject.open.as_mut() else { return };
        incident.is_flapping = is_flapping;
        let kind = if is_flapping { TimelineKind::Flapping } else { TimelineKind::Settled };
        incident.note(kind, "", now.wall);
        if is_flapping && incident.suppressed.is_none() && incident.notified.is_some() {
            incident.last_notice = now.boot;
            (self.notify)(incident, NoticeKind::Reminded);
        }
    }

    /// Resolves what is open; `reason`: other than that all is well.
    fn resolve(&mut self, reason: &str) {
        let Some(mut incident) = self.subject.open.take() else { return };
        let now = self.now;
        if reason.is_empty() {
            incident.status = Status::Healthy;
        }
        // It may fail again by the time that this is judged: that is no reason to be well.
        let is_well = is_bad(self.observed.status) != Some(true);
        let found = if is_well { self.observed.message.as_str() } else { "" };
        incident.end(if reason.is_empty() { found } else { reason }, now);
        (self.notify)(&mut incident, NoticeKind::Resolved);
        self.subject.close(incident);
    }

    /// Brings an open incident up to date, and sends what is due by time. `is_known`: whether what it shows counts.
    fn follow(&mut self, is_known: bool, level: Option<Severity>) {
        let (now, observed) = (self.now, self.observed);
        // Of one that is skipped it is not known whether it still fails.
        let is_failing = self.subject.failures > 0 && is_known && observed.status != Status::Skipped;
        let is_resolving = self.subject.failures == 0 && level.is_none();
        let Some(incident) = self.subject.open.as_mut() else { return };
        let before = incident.clone();
        incident.is_resolving = is_resolving;
        if is_failing && is_bad(observed.status) == Some(true) {
            incident.describe(observed.status, &observed.message);
            incident.blocked.clone_from(&observed.blocks);
            incident.instances = observed.instances.clone();
        }
        if before != *incident {
            incident.revision += 1;
        }
        if incident.suppressed != observed.suppressed {
            incident.suppressed.clone_from(&observed.suppressed);
            let (kind, text) = match &observed.suppressed {
                Some(text) => (TimelineKind::Silenced, text.as_str()),
                None => (TimelineKind::Unsilenced, ""),
            };
            incident.note(kind, text, now.wall);
        }
        if incident.suppressed.is_some() || !is_failing {
            return;
        }
        let is_acknowledged = incident.acknowledged.is_some();
        let reminder = self.rules.reminder;
        if incident.notified.is_none_or(|notified| notified < incident.severity) {
            trigger(incident, now, self.notify);
        } else if !is_acknowledged && !reminder.is_zero() && now.since(incident.last_notice) >= reminder {
            incident.last_notice = now.boot;
            incident.note(TimelineKind::Reminded, "", now.wall);
            (self.notify)(incident, NoticeKind::Reminded);
        }
    }

    /// Notes, from time to time, that a process which has the check judges its incident.
    fn note_judged(&mut self) {
        let now = self.now;
        if let Some(incident) = self.subject.open.as_mut().filter(|open| now.since(open.judged_at) >= NOTE_JUDGED) {
            incident.judged_at = now.boot;
        }
    }
}

/// Resolves an incident whose check no process alerts on any more; returns whether it did. To be called by processes that
/// do not: while a new version is rolled out, others may.
pub fn abandon(subject: &mut Subject, now: Moment, notify: &mut dyn FnMut(&mut Incident, NoticeKind)) -> bool {
    let Some(mut incident) = subject.open.take_if(|open| now.since(open.judged_at) >= ABANDONED_AFTER) else {
        return false;
    };
    incident.end("No process alerts on this check any more", now);
    notify(&mut incident, NoticeKind::Resolved);
    subject.close(incident);
    true
}

fn trigger(incident: &mut Incident, now: Moment, notify: &mut dyn FnMut(&mut Incident, NoticeKind)) {
    incident.notified = Some(incident.severity);
    incident.last_notice = now.boot;
    notify(incident, NoticeKind::Triggered);
}
