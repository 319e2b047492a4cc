//! What follows a run: it is completed or lost, verified by its check, and handed on to the next rung. Idempotent steps,
//! each made once by the first process that comes to it.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::EntryState;
use super::plan::{ActionPlan, Threshold, Trigger};
use super::run::Facts;
use super::table::{ActionLease, ActionTable, HandedOn, IncidentKey, Request, Verification};
use crate::model::clock::Moment;
use crate::model::{CollectOrdered, Owner};

/// What came of a run, in one short line for people.
#[derive(Clone, Debug, PartialEq)]
pub enum ActionResult {
    Done(String),
    Failed(String),
    /// It was not run after all.
    GivenBack,
}

impl ActionTable {
    /// Counts what is new of the checks of all `triggers`, ends what a process that is gone has run, and verifies what has run.
    pub fn follow(
        &mut self,
        plans: &BTreeMap<String, ActionPlan>,
        triggers: &[Trigger],
        facts: &Facts,
        now: Moment,
        is_alive: impl Fn(&Owner) -> bool,
    ) {
        let verifications = self.actions.values().filter_map(|action| action.verification.as_ref());
        let awaited: BTreeSet<(&String, Threshold)> =
            verifications.map(|one| (&one.incident.watch.0, one.incident.watch.1)).collect_ordered();
        for trigger in triggers {
            let Some((evidence, _)) = facts.get(&trigger.check) else { continue };
            let watch = self.watches.entry((trigger.check.clone(), trigger.status)).or_default();
            // Where nothing fails its runs are not counted, unless one of them is to show that an action has helped.
            let is_awaited = awaited.contains(&(&trigger.check, trigger.status));
            watch.observe(evidence, trigger.status, is_awaited, now);
        }
        self.watches.retain(|_, watch| *watch != Default::default());
        self.end_lost(plans, now, is_alive);
        let verified = self.actions.iter().filter(|(_, action)| action.verification.is_some());
        for name in verified.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.verify(&name, plans.get(&name), now);
        }
        self.forget_incidents();
    }

    /// Ends the lease of a process that has ended, or was stopped.
    fn end_lost(&mut self, plans: &BTreeMap<String, ActionPlan>, now: Moment, is_alive: impl Fn(&Owner) -> bool) {
        let is_lost = |lease: &mut ActionLease| now.boot >= lease.until || !is_alive(&lease.owner);
        let Some(lease) = self.lease.take_if(is_lost) else { return };
        match plans.get(&lease.action) {
            Some(plan) if plan.ends_process && now.boot < lease.until => {
                self.completed(plan, &lease, "the process has ended", now);
            }
            plan => self.failed(plan, &lease, EntryState::Lost, "", now),
        }
    }

    /// Completes a run. False, and nothing is changed, where the lease of that number has ended.
    pub fn complete(&mut self, plan: &ActionPlan, fence: u64, result: &ActionResult, now: Moment) -> bool {
        let Some(lease) = self.lease.take_if(|lease| lease.fence == fence) else { return false };
        match result {
            ActionResult::Done(text) => self.completed(plan, &lease, text, now),
            ActionResult::Failed(text) => self.failed(Some(plan), &lease, EntryState::Failed, text, now),
            ActionResult::GivenBack => self.failed(None, &lease, EntryState::Lost, "", now),
        }
        true
    }

    fn completed(&mut self, plan: &ActionPlan, lease: &ActionLease, text: &str, now: Moment) {
        let state = if lease.incident.is_some() { EntryState::Verifying } else { EntryState::Done };
        if let Some(entry) = self.entry_mut(&lease.entry) {
            entry.become_state(state, text, now.wall);
        }
        let action = self.actions.entry(lease.action.clone()).or_default();
        action.last_ended = now.boot;
        action.verification = lease.incident.clone().map(|incident| Verification {
            entry: lease.entry.clone(),
            incident,
            since: now.boot,
            until: now.after(plan.verify),
        });
    }

    /// `plan` is that of the ladder to continue.
    fn failed(&mut self, plan: Option<&ActionPlan>, lease: &ActionLease, state: EntryState, text: &str, now: Moment) {
        self.actions.entry(lease.action.clone()).or_default().last_ended = now.boot;
        let is_last = match (plan, &lease.incident) {
            (Some(plan), Some(incident)) => !self.hand_on(plan, incident),
            _ => false,
        };
        if let Some(entry) = self.entry_mut(&lease.entry) {
            entry.needs_person = is_last;
            entry.become_state(state, text, now.wall);
        }
    }

    /// Judges what has run by the check that it was to heal.
    fn verify(&mut self, name: &str, plan: Option<&ActionPlan>, now: Moment) {
        let Some(action) = self.actions.get_mut(name) else { return };
        let Some(verification) = &action.verification else { return };
        let watch = self.watches.get(&verification.incident.watch);
        let (good, bad) = watch.map_or((0, 0), |watch| (watch.last_good, watch.last_bad));
        let state = match () {
            () if good > verification.since => EntryState::Healed,
            () if now.boot < verification.until => return,
            () if bad > verification.since => EntryState::NotHealed,
            () => EntryState::Unverified,
        };
        let Some(verification) = action.verification.take() else { return };
        let is_last = match plan.filter(|_| state == EntryState::NotHealed) {
            Some(plan) => !self.hand_on(plan, &verification.incident),
            None => false,
        };
        if let Some(entry) = self.entry_mut(&verification.entry) {
            entry.needs_person = is_last;
            entry.become_state(state, "", now.wall);
        }
    }

    /// Has the next rung run; false where there is none, and this action does not run again by itself either.
    fn hand_on(&mut self, plan: &ActionPlan, incident: &IncidentKey) -> bool {
        if !self.is_open(incident) {
            return true;
        }
        let action = self.actions.entry(plan.name.clone()).or_default();
        let Some(next) = &plan.then else { return plan.trigger.is_some() };
        if let Some(effort) = action.effort_mut(incident) {
            effort.is_handed_on = true;
        }
        if plan.then_elsewhere {
            let (check, threshold) = incident.watch.clone();
            self.handed_on.push(HandedOn { action: next.clone(), check, threshold, from: plan.name.clone() });
        } else {
            self.request_rung(next, incident, &plan.name);
        }
        true
    }

    fn request_rung(&mut self, name: &str, incident: &IncidentKey, from: &str) {
        let request = Request::Rung { incident: incident.clone(), from: from.to_owned() };
        self.actions.entry(name.to_owned()).or_default().request.get_or_insert(request);
    }

    /// Has an action run since one of another table has not helped: once in an incident, however many processes hand it on.
    pub fn take_over(&mut self, handed_on: &HandedOn) {
        let Some(incident) = self.open_incident(&handed_on.check, handed_on.threshold) else { return };
        let action = self.actions.get(&handed_on.action);
        if action.and_then(|action| action.effort(&incident)).is_none_or(|effort| effort.runs == 0) {
            self.request_rung(&handed_on.action, &incident, &handed_on.from);
        }
    }

    /// Forgets what was done about incidents that are over.
    fn forget_incidents(&mut self) {
        let mut actions = std::mem::take(&mut self.actions);
        for action in actions.values_mut() {
            action.efforts.retain(|effort| self.is_open(&effort.incident));
            let is_over = |request: &mut Request| match request {
                Request::Rung { incident, .. } => !self.is_open(incident),
                Request::Person { .. } => false,
            };
            action.request.take_if(is_over);
        }
        self.actions = actions;
    }
}
