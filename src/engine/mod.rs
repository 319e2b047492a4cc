//! A set of checks: registers, selects and asks them.

pub mod refresh;
pub mod registry;
pub mod sweep;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::checks::Check;
use crate::engine::registry::Slot;
use crate::engine::sweep::{Sweep, Work};
use crate::model::Event;
use crate::model::{CheckOptions, SpecError};
use crate::policy::limits::Limits;
use crate::runtime::{PerProcess, Process};
use crate::runtime::{diagnostics, queue::Queue};
use crate::state::{Ask, Scope};

/// A set of checks that are run together.
pub struct Engine {
    slots: ArcSwap<Vec<Arc<Slot>>>,
    events: Arc<PerProcess<Queue<Event>>>,
    limits: Arc<ArcSwap<Limits>>,
    max_stale: Duration,
    started: Instant,
    share: Scope,
}

/// Why a sweep could not begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    #[error("unknown check {unknown:?}; known are: {}", .known.join(", "))]
    UnknownCheck { unknown: String, known: Vec<String> },
    #[error("the engine's threads cannot be started: {0}")]
    Runtime(#[from] io::Error),
}

/// What is asked of a sweep.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// All checks, if `None`.
    pub names: Option<Vec<String>>,
    pub critical_only: bool,
    /// Accept nothing that was known before.
    pub refresh: bool,
    /// Accept nothing older, even if the check's own time to live would allow it.
    pub max_age: Option<Duration>,
    /// Wait for nothing that the interpreter has to do: what is known of callables stands, and none is begun.
    pub without_python: bool,
}

impl Engine {
    /// An outcome older than `max_stale` is never shown in place of one that is not there yet.
    pub fn new(max_stale: Duration) -> Self {
        let (slots, events, limits) = (ArcSwap::default(), Arc::default(), Arc::default());
        Self { slots, events, limits, max_stale, started: Instant::now(), share: Scope::Process }
    }

    /// The same engine, sharing what it knows; before checks are registered.
    #[must_use]
    pub fn shared(self, share: Scope) -> Self {
        share.announce();
        Self { share, ..self }
    }

    /// Adds a check. Those it depends on must be there already, so that no circle can arise.
    pub fn register(&self, spec: CheckOptions, check: Arc<dyn Check>) -> Result<(), SpecError> {
        spec.validate()?;
        if spec.ttl > self.max_stale {
            let (ttl, max_stale) = (spec.ttl.as_secs_f64(), self.max_stale.as_secs_f64());
            return Err(SpecError(format!("{}: ttl ({ttl}) must not exceed max_stale ({max_stale})", spec.name)));
        }
        let slots = self.slots.load_full();
        if slots.iter().any(|slot| slot.spec.name == spec.name) {
            return Err(SpecError(format!("a check named {:?} is registered already", spec.name)));
        }
        let parent = |name: &String| {
            slots.iter().find(|slot| slot.spec.name == *name).cloned().ok_or_else(|| {
                SpecError(format!(
                    "{}: depends_on names {name:?}, which is not registered (register it first)",
                    spec.name
                ))
            })
        };
        let parents = spec.depends_on.iter().map(parent).collect::<Result<_, _>>()?;
        let (events, limits, share) = (self.events.clone(), self.limits.clone(), self.share.clone());
        let slot = Arc::new(Slot::new(spec, parents, check, events, limits, share));
        self.slots.rcu(|slots| {
            let mut slots = Vec::clone(slots);
            slots.push(slot.clone());
            slots
        });
        Ok(())
    }

    /// Runs another check under a name that is registered: what is known of it stays, how it is run too.
    pub fn replace(&self, name: &str, check: Arc<dyn Check>) -> Result<(), BeginError> {
        self.slot(name).map(|slot| slot.replace(check))
    }

    /// Sets what degrades any check, from the next run on.
    pub fn limit(&self, limits: Limits) {
        self.limits.store(Arc::new(limits));
    }

    /// The names of all checks, in the order of registration.
    pub fn names(&self) -> Vec<String> {
        self.slots.load().iter().map(|slot| slot.spec.name.clone()).collect()
    }

    /// All checks, in the order of registration.
    pub fn checks(&self) -> Arc<Vec<Arc<Slot>>> {
        self.slots.load_full()
    }

    /// With whom it shares what it knows.
    pub fn share(&self) -> &Scope {
        &self.share
    }

    /// How old an outcome may be to say anything.
    pub fn max_stale(&self) -> Duration {
        self.max_stale
    }

    /// How long ago it was made.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether there is something to tell the log and subscribers.
    pub fn has_news(&self) -> bool {
        self.events.get().is_some_and(|events| !events.is_empty()) || diagnostics::are_pending()
    }

    /// The state changes of circuit breakers since the last call.
    pub fn take_events(&self) -> Vec<Event> {
        self.events.get().map(|events| events.take()).unwrap_or_default()
    }

    /// The check of that name.
    pub fn slot(&self, name: &str) -> Result<Arc<Slot>, BeginError> {
        let slots = self.slots.load();
        slots
            .iter()
            .find(|slot| slot.spec.name == *name)
            .cloned()
            .ok_or_else(|| BeginError::UnknownCheck { unknown: name.to_owned(), known: self.names() })
    }

    fn select(&self, selection: &Selection) -> Result<Vec<Arc<Slot>>, BeginError> {
        let mut selected = match &selection.names {
            None => Vec::clone(&self.slots.load()),
            Some(names) => names.iter().map(|name| self.slot(name)).collect::<Result<_, _>>()?,
        };
        selected.retain(|slot| slot.spec.critical || !selection.critical_only);
        Ok(selected)
    }

    /// Asks for whatever of the selection is not fresh. The work has to be begun; that begins all of it at once.
    pub fn sweep(&self, selection: &Selection) -> Result<(Sweep, Work), BeginError> {
        let mut work = Work::new(Process::current()?);
        let selected = self.select(selection)?;
        let mut sweep = Sweep::new(selected.len(), self.uptime(), self.max_stale);
        let snapshot = selected.first().and_then(|slot| slot.cell().snapshot());
        let ask = Ask {
            max_age: selection.max_age.unwrap_or(Duration::MAX),
            refresh: selection.refresh,
            now: sweep.started,
            snapshot: snapshot.as_ref(),
        };
        for slot in selected {
            if selection.without_python && slot.current().needs_python() {
                sweep.ask_latest(slot);
            } else {
                sweep.ask(slot, ask, &mut work);
            }
        }
        Ok((sweep, work))
    }
}
