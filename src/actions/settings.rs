//! All actions of an engine, and how they refer to each other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::config::ActionConfig;
use super::kinds::ActionKind;
use super::scope::ActionScope;
use crate::model::{CollectOrdered, SpecError, nearest, valid_name};
use crate::policy::action::{ActionPlan, Trigger};

/// The most actions of one engine: all of them must fit into one value of the store.
const MAX_ACTIONS: usize = 50;

/// The actions of an engine.
pub struct ActionSettings {
    pub application: String,
    all: BTreeMap<String, ActionConfig>,
    triggers: [Vec<Trigger>; 2],
}

impl ActionSettings {
    pub fn new(application: &str, mut all: BTreeMap<String, ActionConfig>) -> Result<Self, SpecError> {
        valid_name(application)?;
        if all.len() > MAX_ACTIONS {
            return Err(SpecError(format!("there can be {MAX_ACTIONS} actions at most, not {}", all.len())));
        }
        let scopes: BTreeMap<String, ActionScope> =
            all.iter().map(|(name, config)| (name.clone(), config.scope)).collect_ordered();
        for (name, config) in &mut all {
            let Some(next) = &config.plan.then else { continue };
            let Some(scope) = scopes.get(next) else {
                let known: Vec<&str> = scopes.keys().map(String::as_str).collect();
                let hint = nearest(next, &known).map(|near| format!(": did you mean {near:?}?")).unwrap_or_default();
                return Err(SpecError(format!("{name}.then names {next:?}, which is no action{hint}")));
            };
            let one_is_the_fleets = (*scope == ActionScope::Fleet) != (config.scope == ActionScope::Fleet);
            if one_is_the_fleets {
                return Err(SpecError(format!("{name}.then must have the same scope: one of them is the fleet's")));
            }
            config.plan.then_elsewhere = *scope != config.scope;
        }
        if let Some(name) = all.keys().find(|name| is_circular(name, &all)) {
            return Err(SpecError(format!("{name}.then leads back to it: a ladder must end with a person")));
        }
        let triggers = [false, true].map(|of_fleet| {
            let those = all.values().filter(|config| (config.scope == ActionScope::Fleet) == of_fleet);
            those.filter_map(|config| config.plan.trigger.clone()).collect()
        });
        Ok(Self { application: application.to_owned(), all, triggers })
    }

    pub fn get(&self, name: &str) -> Option<&ActionConfig> {
        self.all.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &ActionConfig> {
        self.all.values()
    }

    /// After how long the first of the actions that end a wedged worker does so.
    pub fn wedged_after(&self) -> Option<Duration> {
        let after = |config: &ActionConfig| match config.kind {
            ActionKind::RestartWedgedWorker { after, .. } => Some(after),
            _ => None,
        };
        self.iter().filter_map(after).min()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all.keys().map(String::as_str)
    }

    /// The plans of a scope, by name.
    pub fn plans(&self, scope: ActionScope) -> BTreeMap<String, ActionPlan> {
        let own = self.all.iter().filter(|(_, config)| config.scope == scope);
        own.map(|(name, config)| (name.clone(), config.plan.clone())).collect_ordered()
    }

    /// The triggers of a scope; of process and host those of both: a rung follows in one what failed in the other.
    pub fn triggers(&self, scope: ActionScope) -> &[Trigger] {
        let [of_host, of_fleet] = &self.triggers;
        if scope == ActionScope::Fleet { of_fleet } else { of_host }
    }
}

fn is_circular(name: &str, all: &BTreeMap<String, ActionConfig>) -> bool {
    let mut seen = BTreeSet::from([name]);
    let mut current = name;
    while let Some(next) = all.get(current).and_then(|config| config.plan.then.as_deref()) {
        if !seen.insert(next) {
            return true;
        }
        current = next;
    }
    false
}
