//! What the metrics are made of: everything that is known, read without running anything.

mod expose;
mod findings;

use std::sync::Arc;
use std::time::Duration;

pub use expose::{Format, expose};

use crate::engine::Engine;
use crate::engine::registry::Slot;
use crate::model::CircuitState;
use crate::model::{CircuitStatus, Status};
use crate::monitor::{self, Lag};
use crate::policy::report::Health;
use crate::state::View;

/// What is known of one check.
#[derive(Clone, Debug)]
pub struct Check {
    pub name: Arc<str>,
    pub critical: bool,
    pub timeout: Duration,
    pub view: View,
}

impl Check {
    fn circuit(&self) -> Option<CircuitStatus> {
        self.view.breaker.as_ref().map(|(circuit, _)| *circuit)
    }
}

/// What is known of all.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub checks: Vec<Check>,
    /// An outcome older than this says nothing about now.
    pub max_stale: Duration,
    pub lags: Vec<Lag>,
}

impl Snapshot {
    pub fn of(engine: &Engine) -> Self {
        let check = |slot: &Arc<Slot>| Check {
            name: slot.name.clone(),
            critical: slot.spec.critical,
            timeout: slot.spec.timeout,
            view: slot.cell().view(),
        };
        let checks = engine.checks().iter().map(check).collect();
        Self { checks, max_stale: engine.max_stale(), lags: monitor::lags(engine.share()) }
    }

    /// How a check is: none before its first run, an error where its last outcome is too old or its circuit is open.
    fn status(&self, check: &Check) -> Option<Status> {
        if check.circuit().is_some_and(|circuit| circuit.state == CircuitState::Open) {
            return Some(Status::Error);
        }
        let latest = check.view.latest.as_ref()?;
        let is_stale = latest.finished.elapsed() >= self.max_stale;
        Some(if is_stale { Status::Error } else { latest.status })
    }

    /// Whether every critical check has passed, and not too long ago.
    pub fn is_ready(&self) -> bool {
        let passes = |check: &Check| self.status(check).is_some_and(|status| status != Status::Error);
        self.checks.iter().filter(|check| check.critical).all(passes)
    }

    /// How the whole is, as far as checks have run; none before any has.
    fn health(&self) -> Option<Health> {
        let statuses: Vec<_> =
            self.checks.iter().filter_map(|check| Some((self.status(check)?, check.critical))).collect();
        (!statuses.is_empty()).then(|| Health::of_statuses(statuses))
    }
}
