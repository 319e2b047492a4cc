//! What the metrics are made of: all that is known, read without running anything.

mod expose;
mod findings;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub use expose::{Format, expose};

use crate::delivery::{AlertSummary, Alerts};
use crate::engine::Engine;
use crate::engine::registry::Registered;
use crate::model::{CircuitStatus, Status};
use crate::monitor::{self, Lag};
use crate::policy::report::Health;
use crate::runtime::process;
use crate::state::backend::fleet::instances::InstanceCounts;
use crate::state::objectives::Objective;
use crate::state::{TableSnapshot, View};

/// After this time it is not known how many instances there are.
const INSTANCES_MAX_AGE: Duration = Duration::from_secs(60);

/// What is known of one check.
#[derive(Clone, Debug)]
pub struct CheckMetrics {
    pub name: Arc<str>,
    pub critical: bool,
    pub timeout: Duration,
    pub ttl: Duration,
    pub depends_on: String,
    /// `None`: it has not run yet, or its last result is stale.
    pub status: Option<Status>,
    pub view: View,
}

impl CheckMetrics {
    fn of(check: &Registered, now: Instant, snapshot: Option<&TableSnapshot>) -> Self {
        let options = &check.options;
        Self {
            name: check.name.clone(),
            critical: options.critical,
            timeout: options.timeout,
            ttl: options.ttl,
            depends_on: options.depends_on.join(","),
            status: check.known_status(now, snapshot),
            view: check.state().view(snapshot),
        }
    }

    fn circuit(&self) -> Option<CircuitStatus> {
        self.view.breaker.as_ref().map(|(circuit, _)| *circuit)
    }

    fn is_skipped(&self) -> bool {
        self.status == Some(Status::Skipped)
    }
}

/// What is known of all checks of an engine.
#[derive(Clone, Debug, Default)]
pub struct MetricsSnapshot {
    pub checks: Vec<CheckMetrics>,
    pub lags: Vec<Lag>,
    /// By check.
    pub objectives: BTreeMap<String, Objective>,
    /// Where the engine alerts.
    pub alerts: Option<AlertSummary>,
    pub draining: bool,
    /// How many instances of the fleet were seen within the last minute or so; `None` without a fleet.
    pub instances: Option<InstanceCounts>,
}

impl MetricsSnapshot {
    pub fn of(engine: &Engine, alerts: Option<&Alerts>) -> Self {
        let (now, snapshot) = (Instant::now(), engine.snapshot());
        let checks = engine.checks();
        let checks = checks.iter().map(|check| CheckMetrics::of(check, now, snapshot.as_ref())).collect();
        let (lags, objectives) = (monitor::lags(engine.scope()), engine.objectives());
        let alerts = alerts.map(Alerts::summary);
        let instances = engine.fleet().and_then(|fleet| fleet.counts(INSTANCES_MAX_AGE));
        Self { checks, lags, objectives, alerts, draining: process::draining(), instances }
    }

    /// Whether every critical check passes, and this process is not about to end.
    fn is_ready(&self) -> bool {
        let passes = |check: &CheckMetrics| check.status.is_some_and(|status| status != Status::Error);
        !self.draining && self.checks.iter().filter(|check| check.critical).all(passes)
    }

    /// The overall status as far as checks have run; `None` before any has.
    fn health(&self) -> Option<Health> {
        let known: Vec<_> = self.checks.iter().filter_map(|check| Some((check.status?, check.critical))).collect();
        (!known.is_empty()).then(|| Health::of_statuses(known))
    }
}
