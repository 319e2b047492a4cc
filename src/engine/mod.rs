//! A set of checks: registers, selects and requests them.

pub mod claims;
pub mod events;
pub mod fleet;
pub mod hand_over;
pub mod objectives;
mod on_drop;
pub mod readiness;
pub mod recording;
pub mod refresh;
pub mod registry;
pub mod runner;
mod started;
pub mod sweep;
pub mod watched_results;
pub mod work;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::checks::Check;
use crate::model::{CheckOptions, SpecError};
use crate::policy::group::Group;
use crate::policy::limits::Limits;
use crate::policy::report::{EMPTY_GROUP, NO_CHECKS, NO_CRITICAL_CHECKS};
use crate::runtime::wake::wake;
use crate::runtime::{Process, diagnostics, lock, uptime};
use crate::state::objectives::{KnownObjective, Objective, Objectives};
use crate::state::{Fleet, Scope, TableSnapshot};

use claims::WatchedClaims;
use events::Events;
use readiness::ReadinessState;
use recording::Recording;
use refresh::followed::Followed;
use registry::{CheckRequest, Registered, Shared};
use started::StartState;
use sweep::Sweep;
use watched_results::WatchedResult;
use work::Work;

/// A set of checks that are run together.
pub struct Engine {
    checks: ArcSwap<Vec<Arc<Registered>>>,
    groups: ArcSwap<Vec<Arc<Group>>>,
    shared: Shared,
    events: Events,
    readiness: ReadinessState,
    start: StartState,
    objectives: Objectives,
    watched: ArcSwapOption<WatchedClaims>,
    watched_result: ArcSwapOption<WatchedResult>,
    recording: Recording,
    /// What other processes do for this one.
    pub followed: Followed,
    max_stale: Duration,
}

/// A check, or a group, that is not registered.
#[derive(Debug, thiserror::Error)]
#[error("unknown {what} {unknown:?}; known are: {}", .known.join(", "))]
pub struct UnknownCheck {
    /// `check` or `group`.
    pub what: &'static str,
    pub unknown: String,
    pub known: Vec<String>,
}

/// What a caller requests of a sweep.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// All checks, or those of the group, if `None`.
    pub names: Option<Vec<String>>,
    /// Which checks are critical, in place of how they are registered.
    pub group: Option<Arc<Group>>,
    pub critical_only: bool,
    /// Accept nothing that was known before.
    pub refresh: bool,
    /// Accept nothing older, even if the check's own time to live would allow it. Of a group this is for those that are
    /// critical there: the others may cost money.
    pub max_age: Option<Duration>,
    /// Wait for nothing that the interpreter has to do: what is known of callables stands, and none is started.
    pub without_python: bool,
}

impl Selection {
    /// Whether a check is critical for this caller.
    fn is_critical(&self, options: &CheckOptions) -> bool {
        self.group.as_ref().map_or(options.critical, |group| group.is_critical(&options.name, options.critical))
    }

    /// How old the outcome of a check may be, if less than its own time to live.
    fn max_age_of(&self, options: &CheckOptions) -> Option<Duration> {
        self.max_age.filter(|_| self.group.is_none() || self.is_critical(options))
    }
}

impl Engine {
    /// An outcome older than `max_stale`, and than twice the check's time to live, is shown no more.
    pub fn new(max_stale: Duration) -> Self {
        let (queued, unrecorded, limits) = Default::default();
        let shared = Shared { events: queued, unrecorded, limits, scope: Scope::Process, fleet: None };
        let (checks, groups) = (ArcSwap::default(), ArcSwap::default());
        let (events, readiness, start, objectives) = Default::default();
        let (watched, watched_result, recording, followed) = Default::default();
        Self {
            checks,
            groups,
            shared,
            events,
            readiness,
            start,
            objectives,
            watched,
            watched_result,
            recording,
            followed,
            max_stale,
        }
    }

    /// The same engine in another scope; before checks are registered.
    #[must_use]
    pub fn shared(mut self, scope: Scope) -> Self {
        scope.announce();
        self.shared.scope = scope;
        self
    }

    /// The same engine as part of a fleet, whose hosts are what its scope is; before checks are registered.
    #[must_use]
    pub fn in_fleet(mut self, fleet: Fleet) -> Self {
        self.shared.fleet = Some(Arc::new(fleet));
        self
    }

    /// The fleet that it is part of.
    pub fn fleet(&self) -> Option<&Arc<Fleet>> {
        self.shared.fleet.as_ref()
    }

    /// Adds a check. Those it depends on must be registered before, so that no circle can arise.
    pub fn register(&self, options: CheckOptions, check: Arc<dyn Check>) -> Result<(), SpecError> {
        options.validate()?;
        let checks = self.checks.load_full();
        if checks.iter().any(|check| check.options.name == options.name) {
            return Err(SpecError(format!("a check named {:?} is registered already", options.name)));
        }
        let parent = |name: &String| {
            checks.iter().find(|check| check.options.name == *name).cloned().ok_or_else(|| {
                SpecError(format!(
                    "{}: depends_on names {name:?}, which is not registered (register it first)",
                    options.name
                ))
            })
        };
        let parents = options.depends_on.iter().map(parent).collect::<Result<_, _>>()?;
        check.prepare();
        let registered = Arc::new(Registered::new(options, parents, check, self.max_stale, self.shared.clone()));
        self.checks.rcu(|checks| {
            let mut checks = Vec::clone(checks);
            checks.push(registered.clone());
            checks
        });
        wake();
        Ok(())
    }

    /// Runs another check under a name that is registered: what is known of it stays, how it is run too.
    pub fn replace(&self, name: &str, check: Arc<dyn Check>) -> Result<(), UnknownCheck> {
        let registered = self.check(name)?;
        check.prepare();
        registered.replace(check);
        wake();
        Ok(())
    }

    /// Adds a group, in place of one of the same name.
    pub fn add_group(&self, group: Group) {
        let group = Arc::new(group);
        self.groups.rcu(|groups| {
            let mut groups = Vec::clone(groups);
            match groups.iter_mut().find(|other| other.name == group.name) {
                Some(other) => *other = group.clone(),
                None => groups.push(group.clone()),
            }
            groups
        });
        wake();
    }

    /// The group of that name.
    pub fn group(&self, name: &str) -> Result<Arc<Group>, UnknownCheck> {
        let groups = self.groups.load();
        groups.iter().find(|group| group.name == name).cloned().ok_or_else(|| UnknownCheck {
            what: "group",
            unknown: name.to_owned(),
            known: groups.iter().map(|group| group.name.clone()).collect(),
        })
    }

    /// The checks of a group, in the order of registration.
    pub fn checks_of(&self, group: &Group) -> Vec<Arc<Registered>> {
        self.checks.load().iter().filter(|check| group.includes(&check.name)).cloned().collect()
    }

    /// The names of all groups.
    pub fn groups(&self) -> Vec<String> {
        self.groups.load().iter().map(|group| group.name.clone()).collect()
    }

    /// Whether a check decides on the answer about the whole or about any group.
    fn is_critical_anywhere(&self, options: &CheckOptions) -> bool {
        let in_a_group = || self.groups.load().iter().any(|group| group.is_critical(&options.name, options.critical));
        options.critical || in_a_group()
    }

    /// Sets what degrades any check, from the next run on.
    pub fn limit(&self, limits: Limits) {
        self.shared.limits.store(Arc::new(limits));
    }

    /// Replaces what is known of the objectives of checks, for all that share.
    pub fn set_objectives(&self, objectives: BTreeMap<String, Objective>) {
        self.objectives.set(self.scope(), objectives, Duration::ZERO);
    }

    /// What is known of the objectives of checks, by name.
    pub fn objectives(&self) -> BTreeMap<String, Objective> {
        self.objectives.recent(self.scope())
    }

    /// What was known of them when they were last worked out.
    pub fn known_objectives(&self, snapshot: Option<&TableSnapshot>) -> BTreeMap<String, KnownObjective> {
        self.objectives.known(self.scope(), snapshot)
    }

    /// The names of all checks, in the order of registration.
    pub fn names(&self) -> Vec<String> {
        self.checks.load().iter().map(|check| check.options.name.clone()).collect()
    }

    /// All checks, in the order of registration: parents before children.
    pub fn checks(&self) -> Arc<Vec<Arc<Registered>>> {
        self.checks.load_full()
    }

    /// A snapshot of the records of all checks, for a caller that reads several.
    pub fn snapshot(&self) -> Option<TableSnapshot> {
        self.checks.load().first().and_then(|check| check.state().snapshot())
    }

    /// With whom it shares what it knows.
    pub fn scope(&self) -> &Scope {
        &self.shared.scope
    }

    /// The check of that name.
    pub fn check(&self, name: &str) -> Result<Arc<Registered>, UnknownCheck> {
        let checks = self.checks.load();
        checks.iter().find(|check| check.options.name == *name).cloned().ok_or_else(|| UnknownCheck {
            what: "check",
            unknown: name.to_owned(),
            known: self.names(),
        })
    }

    fn select(&self, selection: &Selection) -> Result<Vec<Arc<Registered>>, UnknownCheck> {
        let mut selected = match (&selection.names, &selection.group) {
            (Some(names), _) => names.iter().map(|name| self.check(name)).collect::<Result<_, _>>()?,
            (None, Some(group)) => self.checks_of(group),
            (None, None) => Vec::clone(&self.checks.load()),
        };
        selected.retain(|check| !selection.critical_only || selection.is_critical(&check.options));
        Ok(selected)
    }

    /// Requests an outcome of each selected check. The work has to be started; that starts all runs at once.
    pub fn sweep(&self, selection: &Selection) -> Result<(Sweep, Work), UnknownCheck> {
        let mut selected = self.select(selection)?;
        let mut work = Work::new(self.process());
        let void = match &selection.group {
            Some(group) => {
                let checks = self.checks_of(group);
                let lacks_critical = || group.lacks_critical(checks.iter().map(|check| &*check.name));
                match checks.is_empty() {
                    true => Some(EMPTY_GROUP),
                    false => lacks_critical().then_some(NO_CRITICAL_CHECKS),
                }
            }
            None => {
                let names_none = selection.names.as_ref().is_some_and(Vec::is_empty);
                (names_none || self.checks.load().is_empty()).then_some(NO_CHECKS)
            }
        };
        let mut sweep = Sweep::new(selected.len(), uptime(), selection, void);
        let snapshot = selected.first().and_then(|check| check.state().snapshot());
        let request = CheckRequest {
            max_age: selection.max_age,
            refresh: selection.refresh,
            without_python: selection.without_python,
            now: sweep.started(),
            snapshot: snapshot.as_ref(),
        };
        // Parents first, as they are registered: what they are about to find counts for their children.
        let order = selection.names.is_some().then(|| selected.clone());
        if order.is_some() {
            let all = self.checks.load();
            let place = |check: &Arc<Registered>| all.iter().position(|other| Arc::ptr_eq(other, check));
            selected.sort_by_cached_key(place);
        }
        for check in selected {
            sweep.request(check, request, &mut work);
        }
        if let Some(order) = order {
            sweep.sort_as(&order);
        }
        sweep.settle(snapshot.as_ref());
        Ok((sweep, work))
    }

    /// What is known of all checks now. Requests nothing.
    pub fn known(&self) -> Sweep {
        let checks = self.checks.load();
        let void = checks.is_empty().then_some(NO_CHECKS);
        let mut sweep = Sweep::new(checks.len(), uptime(), &Selection::default(), void);
        let snapshot = checks.first().and_then(|check| check.state().snapshot());
        for check in checks.iter() {
            sweep.add_known(check.clone(), snapshot.as_ref());
        }
        sweep.settle(snapshot.as_ref());
        sweep
    }

    /// What runs checks in this process; `None`, and a diagnostic, where its threads cannot be started: what is known
    /// stands until it is stale.
    fn process(&self) -> Option<Arc<Process>> {
        match Process::current() {
            Ok(process) => Some(process),
            Err(error) => {
                let mut reported = lock(&self.events.start_failed);
                if !std::mem::replace(&mut *reported, true) {
                    diagnostics::publish(true, error.to_string());
                }
                None
            }
        }
    }
}
