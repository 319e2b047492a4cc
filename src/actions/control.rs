//! The actions of one engine, for callers in any process of the scope.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::config::ActionConfig;
use super::fleet_runs::FleetRuns;
use super::scope::ActionScope;
use super::settings::ActionSettings;
use crate::delivery::Alerts;
use crate::engine::Engine;
use crate::model::clock::Moment;
use crate::model::{CollectOrdered, SpecError, nearest};
use crate::monitor::acquire_to_notice;
use crate::policy::action::{ActionEntry, ActionTable, Switch};
use crate::policy::incident::truncated;
use crate::runtime::PerProcess;
use crate::state::Scope;
use crate::state::actions::ActionStore;
use crate::state::backend::Busy;
use crate::state::fleet_actions::{ActionDesk, ActionRequest, FleetActionStore};

/// How long a thread may wait for another process to unlock the table.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_millis(5);
/// How long a caller waits for a change that must not be lost.
const GIVE_UP_AFTER: Duration = Duration::from_secs(1);
/// How long a process has to take what a person wants to run.
pub(super) const TAKEN_WITHIN: Duration = Duration::from_secs(10);
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
    /// What this process runs for the fleet.
    pub(super) fleet_runs: PerProcess<FleetRuns>,
}

/// Where one process finds what each scope has in common.
pub struct ActionStores {
    process: ActionStore,
    host: ActionStore,
    /// Where the host is one of a fleet.
    pub(super) fleet: Option<FleetActionStore>,
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
    /// The store of a table that the host has for itself.
    pub fn of(&self, scope: ActionScope) -> &ActionStore {
        if scope == ActionScope::Process { &self.process } else { &self.host }
    }
}

impl Actions {
    pub fn new(engine: &Arc<Engine>, settings: ActionSettings, guards: Guards, alerts: Option<Arc<Alerts>>) -> Self {
        if let Some(after) = settings.wedged_after() {
            acquire_to_notice(after);
        }
        Self {
            engine: Arc::downgrade(engine),
            settings,
            guards,
            alerts,
            stores: PerProcess::new(),
            fleet_runs: PerProcess::new(),
        }
    }

    /// The engine, unless it is gone.
    pub fn engine(&self) -> Option<Arc<Engine>> {
        self.engine.upgrade()
    }

    pub fn stores(&self) -> Option<Arc<ActionStores>> {
        let engine = self.engine()?;
        Some(self.stores.get_or_init(|| {
            let store = |scope: &Scope| ActionStore::new(scope, &self.settings.application);
            let of_fleet = || FleetActionStore::new(engine.scope(), &self.settings.application);
            let fleet = engine.fleet().map(|_| of_fleet());
            ActionStores { process: store(&Scope::Process), host: store(engine.scope()), fleet }
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
        let entries = |scope| stores.of(scope).read(|table| table.entries.clone());
        let mut entries: Vec<ActionEntry> = ActionScope::ON_HOST.into_iter().flat_map(entries).collect();
        entries.extend(stores.fleet.iter().flat_map(entries_of_fleet));
        entries.sort_by_cached_key(|entry| entry.at);
        entries
    }

    /// Who has switched all actions off, and what has disabled each of them.
    pub fn switches(&self) -> (Option<Switch>, BTreeMap<String, Switch>) {
        let Some(stores) = self.stores() else { return Default::default() };
        if let Some(fleet) = &stores.fleet {
            return fleet.switches(self.settings.names());
        }
        stores.host.read(|table| {
            let disabled = |name: &str| Some((name.to_owned(), table.disabled(name)?.clone()));
            (table.off.clone(), self.settings.names().filter_map(disabled).collect_ordered())
        })
    }

    /// Has an action run once whatever its trigger and its limits say, in the first process that can.
    pub fn request(&self, name: &str, author: &str) -> Result<(), ActionError> {
        let config = self.named(name)?;
        let refused = match config.scope {
            _ if config.plan.ends_process => Some("acts by itself, in a worker that is wedged"),
            ActionScope::Process => Some("acts in each process for itself, when its trigger says so"),
            ActionScope::Host | ActionScope::Fleet => None,
        };
        if let Some(why) = refused {
            return Err(SpecError(format!("{name} {why}")).into());
        }
        let (author, now) = (truncated(author, MAX_AUTHOR), Moment::now());
        if config.scope == ActionScope::Fleet {
            return self.request_of_fleet(ActionRequest::Run { name: name.to_owned(), author, at: now.boot });
        }
        let until = now.after(TAKEN_WITHIN);
        self.change(ActionScope::Host, |table| table.request(name, &author, until))
    }

    /// Switches an action off or on, or all of them; false if that has changed nothing.
    pub fn switch(&self, name: Option<&str>, is_on: bool, author: &str) -> Result<bool, ActionError> {
        let switch = Switch { by: truncated(author, MAX_AUTHOR), at: Moment::now().wall };
        let switch = (!is_on).then_some(switch);
        if let Some(name) = name {
            self.named(name)?;
        }
        if self.stores().is_some_and(|stores| stores.fleet.is_some()) {
            let (off, disabled) = self.switches();
            let was_on = name.map_or(off.is_none(), |name| !disabled.contains_key(name));
            if was_on != is_on {
                self.request_of_fleet(ActionRequest::Switch { name: name.map(str::to_owned), switch })?;
            }
            return Ok(was_on != is_on);
        }
        match name {
            Some(name) => self.change(ActionScope::Host, |table| table.set_disabled(name, switch.clone())),
            None => self.change(ActionScope::Host, |table| {
                let is_changed = table.off.is_some() == is_on;
                if is_changed {
                    table.off.clone_from(&switch);
                }
                is_changed
            }),
        }
    }

    /// Has whichever host judges the fleet's table apply a change of it: at once, or when the fleet can be asked again.
    fn request_of_fleet(&self, request: ActionRequest) -> Result<(), ActionError> {
        let stores = self.stores().ok_or(ActionError::Busy)?;
        let fleet = stores.fleet.as_ref().ok_or(ActionError::Busy)?;
        let started = Instant::now();
        let mut is_added = false;
        let mut add = |desk: &mut ActionDesk| {
            is_added = desk.add(request.clone());
            is_added
        };
        while fleet.update_desk(LOCK_TIMEOUT, &mut add).is_err() {
            if started.elapsed() >= GIVE_UP_AFTER {
                return Err(ActionError::Busy);
            }
        }
        let full = || SpecError("too many changes wait until the fleet can be asked again".to_owned());
        if is_added { Ok(()) } else { Err(full().into()) }
    }

    /// Notes which revisions of entries the tables have.
    pub fn confirm(&self, revisions: &BTreeMap<String, u64>) -> Result<(), ActionError> {
        let Some(stores) = self.stores() else { return Ok(()) };
        let is_new = |entry: &ActionEntry| revisions.get(&entry.id).is_some_and(|revision| *revision > entry.confirmed);
        for scope in ActionScope::ON_HOST {
            if stores.of(scope).read(|table| table.entries.iter().any(is_new)) {
                self.change(scope, |table| table.confirm(revisions))?;
            }
        }
        let mut of_fleet = stores.fleet.iter().flat_map(entries_of_fleet);
        if of_fleet.any(|entry| is_new(&entry)) {
            self.request_of_fleet(ActionRequest::Confirm(revisions.clone()))?;
        }
        Ok(())
    }
}

/// The entries of the fleet's table. The host that judges it confirms them; for all others they are confirmed.
fn entries_of_fleet(store: &FleetActionStore) -> Vec<ActionEntry> {
    let mut table = store.read(|copy| copy.table.clone());
    store.desk(|desk| {
        for (_, request) in &desk.pending {
            if let ActionRequest::Confirm(revisions) = request {
                table.confirm(revisions);
            }
        }
        if !desk.leads(Moment::now()) {
            table.entries.iter_mut().for_each(|entry| entry.confirmed = entry.revision);
        }
    });
    table.entries
}
