//! A set of checks: registers, selects and requests them.

pub mod events;
pub mod readiness;
pub mod refresh;
pub mod registry;
pub mod runner;
pub mod sweep;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::checks::Check;
use crate::model::{CheckOptions, SpecError, clock};
use crate::policy::limits::Limits;
use crate::runtime::{Process, diagnostics, forked_at, lock};
use crate::state::Scope;

use events::Events;
use readiness::ReadinessState;
use registry::{CheckRequest, Registered, Shared};
use sweep::{Sweep, Work};

/// A set of checks that are run together.
pub struct Engine {
    checks: ArcSwap<Vec<Arc<Registered>>>,
    shared: Shared,
    events: Events,
    readiness: ReadinessState,
    max_stale: Duration,
    /// In nanoseconds since boot.
    started: u64,
}

/// A check that is not registered.
#[derive(Debug, thiserror::Error)]
#[error("unknown check {unknown:?}; known are: {}", .known.join(", "))]
pub struct UnknownCheck {
    pub unknown: String,
    pub known: Vec<String>,
}

/// What a caller requests of a sweep.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// All checks, if `None`.
    pub names: Option<Vec<String>>,
    pub critical_only: bool,
    /// Accept nothing that was known before.
    pub refresh: bool,
    /// Accept nothing older, even if the check's own time to live would allow it.
    pub max_age: Option<Duration>,
    /// Wait for nothing that the interpreter has to do: what is known of callables stands, and none is started.
    pub without_python: bool,
}

impl Engine {
    /// An outcome older than `max_stale`, and than twice the check's time to live, is shown no more.
    pub fn new(max_stale: Duration) -> Self {
        let shared = Shared { events: Arc::default(), limits: Arc::default(), scope: Scope::Process };
        let (checks, events, readiness) = (ArcSwap::default(), Events::default(), ReadinessState::default());
        Self { checks, shared, events, readiness, max_stale, started: clock::now() }
    }

    /// The same engine in another scope; before checks are registered.
    #[must_use]
    pub fn shared(mut self, scope: Scope) -> Self {
        scope.announce();
        self.shared.scope = scope;
        self
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
        let registered = Arc::new(Registered::new(options, parents, check, self.max_stale, self.shared.clone()));
        self.checks.rcu(|checks| {
            let mut checks = Vec::clone(checks);
            checks.push(registered.clone());
            checks
        });
        Ok(())
    }

    /// Runs another check under a name that is registered: what is known of it stays, how it is run too.
    pub fn replace(&self, name: &str, check: Arc<dyn Check>) -> Result<(), UnknownCheck> {
        self.check(name).map(|registered| registered.replace(check))
    }

    /// Sets what degrades any check, from the next run on.
    pub fn limit(&self, limits: Limits) {
        self.shared.limits.store(Arc::new(limits));
    }

    /// The names of all checks, in the order of registration.
    pub fn names(&self) -> Vec<String> {
        self.checks.load().iter().map(|check| check.options.name.clone()).collect()
    }

    /// All checks, in the order of registration: parents before children.
    pub fn checks(&self) -> Arc<Vec<Arc<Registered>>> {
        self.checks.load_full()
    }

    /// With whom it shares what it knows.
    pub fn scope(&self) -> &Scope {
        &self.shared.scope
    }

    /// How long ago it was made, or this process was forked.
    pub fn uptime(&self) -> Duration {
        Duration::from_nanos(clock::now().saturating_sub(self.started.max(forked_at())))
    }

    /// The check of that name.
    pub fn check(&self, name: &str) -> Result<Arc<Registered>, UnknownCheck> {
        let checks = self.checks.load();
        checks
            .iter()
            .find(|check| check.options.name == *name)
            .cloned()
            .ok_or_else(|| UnknownCheck { unknown: name.to_owned(), known: self.names() })
    }

    fn select(&self, selection: &Selection) -> Result<Vec<Arc<Registered>>, UnknownCheck> {
        let mut selected = match &selection.names {
            None => Vec::clone(&self.checks.load()),
            Some(names) => names.iter().map(|name| self.check(name)).collect::<Result<_, _>>()?,
        };
        selected.retain(|check| check.options.critical || !selection.critical_only);
        Ok(selected)
    }

    /// Requests an outcome of each selected check. The work has to be started; that starts all runs at once.
    pub fn sweep(&self, selection: &Selection) -> Result<(Sweep, Work), UnknownCheck> {
        let mut selected = self.select(selection)?;
        let mut work = Work::new(self.process());
        let mut sweep = Sweep::new(selected.len(), self.uptime(), selection.max_age, self.checks.load().is_empty());
        let snapshot = selected.first().and_then(|check| check.state().snapshot());
        let request = CheckRequest {
            max_age: selection.max_age,
            refresh: selection.refresh,
            without_python: selection.without_python,
            now: sweep.started(),
            snapshot: snapshot.as_ref(),
        };
        if selection.names.is_none() {
            for check in selected {
                sweep.request(check, request, &mut work);
            }
            return Ok((sweep, work));
        }
        // Parents first: what they are about to find counts for their children.
        let order = std::mem::take(&mut selected);
        let all = self.checks.load();
        let place = |check: &Arc<Registered>| all.iter().position(|other| Arc::ptr_eq(other, check));
        let mut parents_first = order.clone();
        parents_first.sort_by_key(place);
        for check in parents_first {
            sweep.request(check, request, &mut work);
        }
        sweep.sort_as(&order);
        Ok((sweep, work))
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
