//! The actions of one engine, for callers in any process of the scope.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::config::ActionConfig;
use super::scope::ActionScope;
use super::settings::ActionSettings;
use crate::delivery::Alerts;
use crate::engine::Engine;
use crate::model::clock::Moment;
use crate::model::{SpecError, nearest};
use crate::policy::action::{ActionEntry, ActionTable, Switch};
use crate::policy::incident::truncated;
use crate::runtime::PerProcess;
use crate::state::Scope;
use crate::state::actions::ActionStore;
use crate::state::backend::Busy;

/// How long a thread may wait for another process to unlock the table.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_millis(5);
/// How long a caller waits for a change that must not be lost.
const GIVE_UP_AFTER: Duration = Duration::from_secs(1);
/// How long a process has to take what a person wants to run.
const TAKEN_WITHIN: Duration = Duration::from_secs(10);
const MAX_AUTHOR: usize = 100;

/// What keeps all actions of this process from running, whatever the table says.
#[derive(Clone, Debug, Default)]
pub struct Guards {
    /// What has switched them off, such as a variable of the environment.
    pub off: Option<String>,
}

/// The actions of one engine, in every process that uses it.
pub struct Actions {
    engine: Weak<Engine>,
    pub settings: ActionSettings,
    pub(super) guards: Guards,
    /// The alerts whose incidents say what was done about them.
    pub(super) alerts: Option<Arc<Alerts>>,
    stores: PerProcess<ActionStores>,
}

/// Where one process finds what each scope has in common.
pub struct ActionStores {
    process: ActionStore,
    host: ActionStore,
}

/// Why an action was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    #[error("The store is in use by another process; try again")]
    Busy,
    #[error("unknown action {name:?}{hint}")]
    Unknown { name: String, hint: String },
    #[error(transparent)]
    Refused(#[from] SpecError),
}

impl ActionStores {
    pub fn of(&self, scope: ActionScope) -> &ActionStore {
        match scope {
            ActionScope::Process => &self.process,
            ActionScope::Host => &self.host,
        }
    }
}

impl Actions {
    pub fn new(engine: &Arc<Engine>, settings: ActionSettings, guards: Guards, alerts: Option<Arc<Alerts>>) -> Self {
        Self { engine: Arc::downgrade(engine), settings, guards, alerts, stores: PerProcess::new() }
    }

    /// The engine, unless it is gone.
    pub fn engine(&self) -> Option<Arc<Engine>> {
        self.engine.upgrade()
    }

    pub fn stores(&self) -> Option<Arc<ActionStores>> {
        let engine = self.engine()?;
        Some(self.stores.get_or_init(|| {
            let store = |scope: &Scope| ActionStore::new(scope, &self.settings.application);
            ActionStores { process: store(&Scope::Process), host: store(engine.scope()) }
        }))
    }

    /// What keeps all actions of this process from running, beside the switch of a person.
    pub fn off(&self) -> Option<String> {
        self.guards.off.clone()
    }

    pub(super) fn named(&self, name: &str) -> Result<&ActionConfig, ActionError> {
        self.settings.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.settings.names().collect();
            let hint = match nearest(name, &known) {
                Some(near) => format!(": did you mean {near:?}?"),
                None => format!("; known are: {}", known.join(", ")),
            };
            ActionError::Unknown { name: name.to_owned(), hint }
        })
    }

    /// Changes the table of a scope, and waits for that if another process holds it.
    pub(super) fn change<R>(
        &self,
        scope: ActionScope,
        mut change: impl FnMut(&mut ActionTable) -> R,
    ) -> Result<R, ActionError> {
        let stores = self.stores().ok_or(ActionError::Busy)?;
        let started = Instant::now();
        loop {
            let mut changed = None;
            let updated = stores.of(scope).update(LOCK_TIMEOUT, |table| {
                changed = Some(change(table));
                true
            });
            match (updated, changed) {
                (Ok(()), Some(changed)) => return Ok(changed),
                (Err(Busy), _) if started.elapsed() < GIVE_UP_AFTER => {}
                _ => return Err(ActionError::Busy),
            }
        }
    }

    /// What has run, and what was stopped, the oldest first.
    pub fn entries(&self) -> Vec<ActionEntry> {
        let Some(stores) = self.stores() else { return Vec::new() };
        let each = [ActionScope::Process, ActionScope::Host];
        let entries = |scope| stores.of(scope).read(|table| table.entries.clone());
        let mut entries: Vec<ActionEntry> = each.into_iter().flat_map(entries).collect();
        entries.sort_by_key(|entry| entry.at);
        entries
    }

    /// Who has switched all actions off, and what has disabled each of them.
    pub fn switches(&self) -> (Option<Switch>, BTreeMap<String, Switch>) {
        let Some(stores) = self.stores() else { return Default::default() };
        stores.host.read(|table| {
            let disabled = |name: &str| Some((name.to_owned(), table.disabled(name)?.clone()));
            (table.off.clone(), self.settings.names().filter_map(disabled).collect())
        })
    }

    /// Has an action run once whatever its trigger and its limits say, in the first process that can.
    pub fn request(&self, name: &str, author: &str) -> Result<(), ActionError> {
        let config = self.named(name)?;
        let refused = match config.scope {
            _ if config.plan.ends_process => Some("acts by itself, in a worker that is wedged"),
            ActionScope::Process => Some("acts in each process for itself, when its trigger says so"),
            ActionScope::Host => None,
        };
        if let Some(why) = refused {
            return Err(SpecError(format!("{name} {why}")).into());
        }
        let (author, until) = (truncated(author, MAX_AUTHOR), Moment::now().after(TAKEN_WITHIN));
        self.change(ActionScope::Host, |table| table.request(name, &author, until))
    }

    /// Switches an action off or on, or all of them; false if that has changed nothing.
    pub fn switch(&self, name: Option<&str>, is_on: bool, author: &str) -> Result<bool, ActionError> {
        let switch = Switch { by: truncated(author, MAX_AUTHOR), at: Moment::now().wall };
        let switch = (!is_on).then_some(switch);
        match name {
            Some(name) => {
                self.named(name)?;
                self.change(ActionScope::Host, |table| table.set_disabled(name, switch.clone()))
            }
            None => self.change(ActionScope::Host, |table| {
                let is_changed = table.off.is_some() == is_on;
                if is_changed {
                    table.off.clone_from(&switch);
                }
                is_changed
            }),
        }
    }

    /// Notes which revisions of entries the tables have.
    pub fn confirm(&self, revisions: &BTreeMap<String, u64>) -> Result<(), ActionError> {
        let Some(stores) = self.stores() else { return Ok(()) };
        let is_new = |entry: &ActionEntry| revisions.get(&entry.id).is_some_and(|revision| *revision > entry.confirmed);
        for scope in [ActionScope::Process, ActionScope::Host] {
            if stores.of(scope).read(|table| table.entries.iter().any(is_new)) {
                self.change(scope, |table| {
                    for entry in table.entries.iter_mut().filter(|entry| is_new(entry)) {
                        entry.confirmed = revisions.get(&entry.id).copied().unwrap_or_default();
                    }
                })?;
            }
        }
        Ok(())
    }
}
