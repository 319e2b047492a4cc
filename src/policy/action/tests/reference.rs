//! What should start, found anew from everything that has happened: no counts, no stored state.

use std::collections::BTreeSet;

use super::super::{ActionPlan, Situation, Threshold};
use super::{SECOND, STALE_AFTER, World};
use crate::model::Status;

/// An incident: what counts as a failure, and its first run.
pub type Incident = (Threshold, usize);

/// How one start has continued.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    Running { process: u64, until: u64 },
    Verifying,
    Over,
}

#[derive(Clone, Debug)]
pub struct Start {
    pub action: String,
    pub at: u64,
    pub incident: Incident,
    pub ended: u64,
    pub fate: Fate,
}

#[derive(Default)]
pub struct Reference {
    pub runs: Vec<(Status, u64)>,
    pub starts: Vec<Start>,
    handed_on: Vec<(String, Incident)>,
    requested: Option<Incident>,
    pub off: bool,
    pub disabled: BTreeSet<String>,
}

const HOUR: u64 = 3_600 * SECOND;

impl Reference {
    fn stale(&self) -> u64 {
        STALE_AFTER.as_secs() * SECOND
    }

    /// The runs that say something, in order, each with whether it is bad and whether it continues the one before.
    fn judged(&self, threshold: Threshold) -> Vec<(usize, bool, bool, u64)> {
        let mut judged: Vec<(usize, bool, bool, u64)> = Vec::new();
        let mut skipped = false;
        for (index, (status, at)) in self.runs.iter().enumerate() {
            let Some(is_bad) = threshold.is_bad(*status) else {
                skipped = true;
                continue;
            };
            let last = judged.last().map_or(0, |(_, _, _, last)| *last);
            judged.push((index, is_bad, !skipped && at - last < self.stale(), *at));
            skipped = false;
        }
        judged
    }

    fn incident(&self, threshold: Threshold, now: u64) -> Option<Incident> {
        let (mut open, mut good, mut last) = (None, 0, 0);
        for (index, is_bad, continues, at) in self.judged(threshold) {
            if at - last >= HOUR {
                open = None;
            }
            good = if continues { good } else { 0 };
            last = at;
            if is_bad {
                open.get_or_insert((threshold, index));
                good = 0;
            } else {
                good += 1;
                if good >= 2 {
                    open = None;
                }
            }
        }
        open.filter(|_| now - last < HOUR)
    }

    /// How many failures in a row there were last, and when the first of them was; none where that is too old.
    fn streak(&self, threshold: Threshold, now: u64) -> Option<(u32, u64)> {
        let judged = self.judged(threshold);
        if self.runs.last().is_some_and(|(status, _)| *status == Status::Skipped) {
            return None;
        }
        let (mut failures, mut since) = (0, None);
        for (_, is_bad, continues, at) in judged.iter().rev() {
            if !is_bad {
                break;
            }
            (failures, since) = (failures + 1, Some(*at));
            if !continues {
                break;
            }
        }
        let is_current = judged.last().is_some_and(|(_, _, _, last)| now - last < self.stale());
        since.filter(|_| is_current).map(|since| (failures, since))
    }

    fn has_seen(&self, threshold: Threshold, is_bad: bool, after: u64) -> bool {
        self.judged(threshold).iter().any(|(_, bad, _, at)| *bad == is_bad && *at > after)
    }

    /// Ends what is lost, and verifies what has run.
    pub fn follow(&mut self, world: &World) {
        let now = world.now;
        for index in 0..self.starts.len() {
            let start = self.starts[index].clone();
            let plan = &world.plans[&start.action];
            match start.fate {
                Fate::Running { process, until } if now >= until || world.dead.contains(&process) => {
                    self.end(index, now, Fate::Over);
                    self.hand_on(plan, start.incident, now);
                }
                Fate::Verifying if self.has_seen(start.incident.0, false, start.ended) => {
                    self.starts[index].fate = Fate::Over;
                }
                Fate::Verifying if now >= start.ended + plan.verify.as_secs() * SECOND => {
                    self.starts[index].fate = Fate::Over;
                    if self.has_seen(start.incident.0, true, start.ended) {
                        self.hand_on(plan, start.incident, now);
                    }
                }
                _ => {}
            }
        }
        if self.requested.is_some_and(|incident| self.incident(incident.0, now) != Some(incident)) {
            self.requested = None;
        }
    }

    fn end(&mut self, index: usize, now: u64, fate: Fate) {
        self.starts[index].ended = now;
        self.starts[index].fate = fate;
    }

    /// Completes the run of a process; `None`: it was not run.
    pub fn complete(&mut self, world: &World, process: u64, is_done: Option<bool>) -> bool {
        let is_its = |start: &Start| matches!(start.fate, Fate::Running { process: holder, .. } if holder == process);
        let Some(index) = self.starts.iter().position(is_its) else { return false };
        let start = self.starts[index].clone();
        self.end(index, world.now, if is_done == Some(true) { Fate::Verifying } else { Fate::Over });
        if is_done == Some(false) {
            self.hand_on(&world.plans[&start.action], start.incident, world.now);
        }
        true
    }

    fn hand_on(&mut self, plan: &ActionPlan, incident: Incident, now: u64) {
        if plan.then.is_some() && self.incident(incident.0, now) == Some(incident) {
            self.handed_on.push((plan.name.clone(), incident));
            self.requested.get_or_insert(incident);
        }
    }

    fn due(&self, plan: &ActionPlan, now: u64) -> Option<Incident> {
        let Some(trigger) = &plan.trigger else {
            return self.requested.filter(|incident| self.streak(incident.0, now).is_some());
        };
        let incident = self.incident(trigger.status, now)?;
        let (failures, since) = self.streak(trigger.status, now)?;
        let lasts = now - since >= trigger.seconds.as_secs() * SECOND;
        let is_handed_on = self.handed_on.contains(&(plan.name.clone(), incident));
        let ended = self.starts_of(&plan.name).map(|start| start.ended).max().unwrap_or_default();
        let has_failed_since = self.has_seen(trigger.status, true, ended);
        (failures >= trigger.runs && lasts && !is_handed_on && has_failed_since).then_some(incident)
    }

    fn starts_of<'s>(&'s self, action: &'s str) -> impl Iterator<Item = &'s Start> {
        self.starts.iter().filter(move |start| start.action == action)
    }

    fn may_start(&self, plan: &ActionPlan, incident: Incident, situation: &Situation, now: u64) -> bool {
        let is_free = self.starts.iter().all(|start| start.fate == Fate::Over);
        let recent = self.starts_of(&plan.name).filter(|start| now - start.at < HOUR).count();
        let in_incident = self.starts_of(&plan.name).filter(|start| start.incident == incident).count();
        let ended = self.starts_of(&plan.name).map(|start| start.ended).max().unwrap_or_default();
        let is_rested = recent == 0 || now - ended >= plan.pause(recent).as_secs() * SECOND;
        let is_allowed = !self.off && !self.disabled.contains(&plan.name);
        let is_own_fault = situation.total < 2 || situation.failing * 2 <= situation.total;
        let is_calm = !situation.is_draining && situation.has_started;
        let is_within = recent < plan.per_hour as usize && in_incident < plan.per_incident as usize;
        is_free && is_rested && is_allowed && is_own_fault && is_calm && is_within
    }

    /// What starts when that process looks; noted as started.
    pub fn look(&mut self, world: &World, process: u64, situation: &Situation) -> Vec<String> {
        self.follow(world);
        let (now, mut started) = (world.now, Vec::new());
        for plan in world.plans.values() {
            let Some(incident) = self.due(plan, now) else { continue };
            if !self.may_start(plan, incident, situation, now) {
                continue;
            }
            let until = now + (plan.timeout.as_secs() + 5) * SECOND;
            let fate = if plan.dry_run { Fate::Over } else { Fate::Running { process, until } };
            self.starts.push(Start { action: plan.name.clone(), at: now, incident, ended: now, fate });
            if plan.trigger.is_none() {
                self.requested = None;
            }
            started.push(plan.name.clone());
            if !plan.dry_run {
                break;
            }
        }
        started
    }
}
