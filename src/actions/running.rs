//! Judges all actions of this process, and runs what it has acquired the right to run.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::control::{Actions, LOCK_TIMEOUT};
use super::observe::situation_of;
use super::scope::ActionScope;
use crate::engine::{Engine, Selection};
use crate::model::Owner;
use crate::model::clock::Moment;
use crate::policy::action::{ActionPlan, ActionResult, ActionTable, Facts, HandedOn, Situation, Started};
use crate::runtime::{Context, Process, process};

/// A process that has not started to act by then was stopped: the facts may be out of date.
const START_WITHIN: Duration = Duration::from_secs(2);
/// How old the result of a check may be that is to show whether an action has helped.
const VERIFIED_EVERY: Duration = Duration::from_secs(5);

/// An action that this process has to run.
pub struct ActionRun {
    scope: ActionScope,
    started: Started,
    at: Instant,
}

impl Actions {
    /// Judges all actions once, and returns what this process has to run. What cannot be locked is left to the next step.
    pub fn step(&self) -> Vec<ActionRun> {
        let Some(engine) = self.engine() else { return Vec::new() };
        let (at, now) = (Instant::now(), Moment::now());
        let facts = self.facts(&engine);
        let common = self.situation(&engine);
        let mut runs = Vec::new();
        for scope in [ActionScope::Process, ActionScope::Host] {
            let started = self.step_scope(&engine, scope, &facts, &common, now);
            runs.extend(started.map(|started| ActionRun { scope, started, at }));
        }
        self.report(now);
        self.verify_soon(&engine);
        runs
    }

    fn step_scope(
        &self,
        engine: &Engine,
        scope: ActionScope,
        facts: &Facts,
        common: &Situation,
        now: Moment,
    ) -> Option<Started> {
        let stores = self.stores()?;
        let store = stores.of(scope);
        let plans = self.settings.plans(scope);
        let switches = self.switches();
        let alone = (!store.is_usable()).then(|| "the store cannot be used, so others may act, too".to_owned());
        let situations: BTreeMap<&String, Situation> = plans
            .keys()
            .filter_map(|name| {
                let situation = situation_of(self.settings.get(name)?, engine, common);
                Some((
                    name,
                    Situation { forbidden: situation.forbidden.clone().or_else(|| alone.clone()), ..situation },
                ))
            })
            .collect();
        let step = |table: &mut ActionTable, owner: Owner| {
            if scope == ActionScope::Process {
                // The switches of a person are in the table of the host.
                table.off.clone_from(&switches.0);
                plans.keys().for_each(|name| {
                    table.set_disabled(name, switches.1.get(name).cloned());
                });
            }
            table.follow(&plans, self.settings.triggers(), facts, now, |owner| store.is_alive(owner));
            let mut each = situations.iter().filter_map(|(name, situation)| Some((plans.get(*name)?, situation)));
            let started = each.find_map(|(plan, situation)| table.start(plan, facts, situation, owner, now));
            if let Some(entry) = started.as_ref().and_then(|started| table.entry_mut(&started.entry)) {
                entry.process = this_process();
            }
            table.prune(now);
            started
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

    /// Continues ladders whose next rung is in the other table.
    fn hand_on(&self, from: ActionScope, handed_on: Vec<HandedOn>) {
        let other = if from == ActionScope::Process { ActionScope::Host } else { ActionScope::Process };
        for one in handed_on {
            // What cannot be stored is left to a person, as the entry says.
            let _ = self.change(other, |table| table.take_over(&one));
        }
    }

    /// Has the checks run again by which actions are verified, whose results may be fresh for long.
    fn verify_soon(&self, engine: &Arc<Engine>) {
        let Some(stores) = self.stores() else { return };
        let names = |scope| stores.of(scope).read(|table| table.verifying().map(str::to_owned).collect::<Vec<_>>());
        let names: Vec<String> = [ActionScope::Process, ActionScope::Host].into_iter().flat_map(names).collect();
        let names: Vec<String> = names.into_iter().filter(|name| engine.check(name).is_ok()).collect();
        if names.is_empty() {
            return;
        }
        let selection = Selection { names: Some(names), max_age: Some(VERIFIED_EVERY), ..Selection::default() };
        if let Ok((_sweep, work)) = engine.sweep(&selection) {
            work.start(|| ());
        }
    }

    fn record(&self, run: &ActionRun, plan: &ActionPlan, result: &ActionResult) {
        let now = Moment::now();
        let completed = self.change(run.scope, |table| {
            let is_ours = table.complete(plan, run.started.fence, result, now);
            (is_ours, std::mem::take(&mut table.handed_on))
        });
        // What cannot be stored is lost once its lease is over.
        if let Ok((_, handed_on)) = completed {
            self.hand_on(run.scope, handed_on);
        }
        self.report(now);
    }
}

/// Runs one action, and stores what came of it.
pub async fn act(actions: Arc<Actions>, run: ActionRun, process: Arc<Process>) {
    let (Some(config), Some(engine)) = (actions.settings.get(&run.started.action), actions.engine()) else { return };
    let plan = config.plan.clone();
    let result = if run.at.elapsed() >= START_WITHIN || process::draining() {
        ActionResult::GivenBack
    } else {
        let context = Context::new(process, plan.timeout);
        let acting = AssertUnwindSafe(config.kind.act(&engine, &context)).catch_unwind();
        match timeout_at(context.deadline(), acting).await {
            Ok(Ok(result)) => result,
            Ok(Err(_panic)) => ActionResult::Failed("InternalError: the action failed, which is a bug".to_owned()),
            Err(_elapsed) => ActionResult::Failed(format!("Timed out after {} s", plan.timeout.as_secs_f64())),
        }
    };
    let stored = actions.clone();
    let _ = spawn_blocking(move || stored.record(&run, &plan, &result)).await;
}

fn this_process() -> String {
    let host = whoami::hostname().unwrap_or_default();
    format!("{host}:{}", std::process::id())
}
