//! Judges the actions of a scope by their table, and starts what is due.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::control::{Actions, LOCK_TIMEOUT};
use super::observe::situation_of;
use super::permission::{Permission, Permissions};
use super::running::{ActionRun, this_process};
use super::scope::ActionScope;
use crate::engine::{Engine, Selection};
use crate::model::clock::Moment;
use crate::model::{CollectOrdered, Owner};
use crate::policy::action::{ActionPlan, ActionTable, Facts, FleetPermission, HandedOn, Situation, Started};

/// How old the result of a check may be that is to show whether an action has helped.
const VERIFIED_EVERY: std::time::Duration = std::time::Duration::from_secs(5);

/// By what the actions of one scope are judged.
pub(super) struct Judgement {
    plans: BTreeMap<String, ActionPlan>,
    situations: BTreeMap<String, Situation>,
    facts: Facts,
    now: Moment,
}

impl Judgement {
    /// The action that would start first if the fleet allowed it, and whether only as a dry run.
    pub fn wanted(&self, actions: &Actions, scope: ActionScope, table: &ActionTable) -> Option<(&ActionPlan, bool)> {
        let mut next = table.clone();
        next.follow(&self.plans, actions.settings.triggers(scope), &self.facts, self.now, |_| true);
        self.each().find_map(|(plan, situation)| {
            let state = next.would_start(plan, &self.facts, situation, self.now)?;
            Some((plan, state.is_over()))
        })
    }

    /// Follows what runs, and starts one action that is due.
    pub fn step(
        &self,
        actions: &Actions,
        scope: ActionScope,
        table: &mut ActionTable,
        owner: Owner,
        is_alive: impl Fn(&Owner) -> bool,
    ) -> Option<Started> {
        table.follow(&self.plans, actions.settings.triggers(scope), &self.facts, self.now, is_alive);
        let started =
            self.each().find_map(|(plan, situation)| table.start(plan, &self.facts, situation, owner, self.now));
        if let Some(entry) = started.as_ref().and_then(|started| table.entry_mut(&started.entry)) {
            entry.process = this_process();
        }
        table.prune(self.now);
        started
    }

    fn each(&self) -> impl Iterator<Item = (&ActionPlan, &Situation)> {
        self.plans.iter().filter_map(|(name, plan)| Some((plan, self.situations.get(name)?)))
    }
}

impl Actions {
    /// Judges the actions of this host once, and returns what this process has to run. What cannot be locked is left to
    /// the next step.
    pub(super) fn step(&self, permissions: &Permissions) -> Vec<ActionRun> {
        let Some(engine) = self.engine() else { return Vec::new() };
        let (at, now) = (Instant::now(), Moment::now());
        let mut runs = Vec::new();
        for scope in ActionScope::ON_HOST {
            let started = self.step_scope(&engine, scope, permissions, now);
            runs.extend(started.map(|started| ActionRun { scope, started, at }));
        }
        self.report(now);
        let Some(stores) = self.stores() else { return runs };
        let names = |scope| stores.of(scope).read(|table| table.verifying().map(str::to_owned).collect::<Vec<_>>());
        verify_soon(&engine, ActionScope::ON_HOST.into_iter().flat_map(names).collect());
        runs
    }

    /// By what the actions of a scope are judged now. `permissions`: what the fleet says of those that have to ask it.
    /// `forbidden`: why none of them may start.
    pub(super) fn judgement(
        &self,
        engine: &Engine,
        scope: ActionScope,
        permissions: Option<&Permissions>,
        forbidden: Option<&str>,
        now: Moment,
    ) -> Judgement {
        let plans = self.settings.plans(scope);
        let common = self.situation(engine);
        let situation = |name: &String| {
            let mut situation = situation_of(self.settings.get(name)?, engine, &common);
            if situation.forbidden.is_none() {
                situation.forbidden = forbidden.map(str::to_owned);
            }
            match permissions.map(|permissions| permissions.get(name)) {
                None => {}
                Some(None) => situation.fleet = FleetPermission::Unknown,
                Some(Some(Permission { fleet, failing })) => {
                    situation.fleet = *fleet;
                    (situation.failing, situation.total) = failing.unwrap_or((situation.failing, situation.total));
                }
            }
            Some((name.clone(), situation))
        };
        let situations = plans.keys().filter_map(situation).collect_ordered();
        Judgement { situations, facts: self.facts(engine, scope), plans, now }
    }

    fn step_scope(
        &self,
        engine: &Engine,
        scope: ActionScope,
        permissions: &Permissions,
        now: Moment,
    ) -> Option<Started> {
        let stores = self.stores()?;
        let store = stores.of(scope);
        let switches = self.switches();
        let alone = (!store.is_usable()).then_some("the store cannot be used, so others may act, too");
        let asked = (scope == ActionScope::Host && engine.fleet().is_some()).then_some(permissions);
        let judgement = self.judgement(engine, scope, asked, alone, now);
        let step = |table: &mut ActionTable, owner: Owner| {
            if scope == ActionScope::Process || stores.fleet.is_some() {
                // The switches of a person are in the table of the host, or of the fleet.
                table.off.clone_from(&switches.0);
                judgement.plans.keys().for_each(|name| {
                    table.set_disabled(name, switches.1.get(name).cloned());
                });
            }
            judgement.step(self, scope, table, owner, |owner| store.is_alive(owner))
        };
        let is_due = store.read(|table| {
            let mut next = table.clone();
            step(&mut next, Owner { member: 0, process: 0, lease: 0 });
            next != *table
        });
        if !is_due {
            return None;
        }
        let (mut started, mut handed_on) = (None, Vec::new());
        let owner = store.new_owner();
        let updated = store.update(LOCK_TIMEOUT, |table| {
            let before = table.clone();
            started = step(table, owner);
            handed_on = std::mem::take(&mut table.handed_on);
            *table != before
        });
        updated.ok()?;
        self.hand_on(scope, handed_on);
        // What others do not see they may do, too: it counts as lost once its lease is over.
        started.filter(|_| store.is_usable())
    }

    /// Continues ladders whose next rung is in the other table of the host.
    pub(super) fn hand_on(&self, from: ActionScope, handed_on: Vec<HandedOn>) {
        let other = if from == ActionScope::Process { ActionScope::Host } else { ActionScope::Process };
        for one in handed_on {
            // What cannot be stored is left to a person, as the entry says.
            let _ = self.change(other, |table| table.take_over(&one));
        }
    }
}

/// Has the checks run again by which actions are verified, whose results may be fresh for long.
pub(super) fn verify_soon(engine: &Arc<Engine>, names: Vec<String>) {
    let names: Vec<String> = names.into_iter().filter(|name| engine.check(name).is_ok()).collect();
    if names.is_empty() {
        return;
    }
    let selection = Selection { names: Some(names), max_age: Some(VERIFIED_EVERY), ..Selection::default() };
    if let Ok((_sweep, work)) = engine.sweep(&selection) {
        work.start(|| ());
    }
}
