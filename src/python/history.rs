//! What the history in time is made of, and what it knows of objectives.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use pyo3::prelude::*;
use pythonize::pythonize;
use serde::Serialize;

use super::engine::PyEngine;
use super::parse::parse;
use crate::engine::registry::Registered;
use crate::model::Status;
use crate::state::counters::{Counters, Epoch};
use crate::state::objectives::Objective;

/// What was counted of one check: totals since its first run.
#[derive(Serialize)]
struct CheckCounters {
    /// Another one once they start again from zero.
    epoch: Option<String>,
    /// Times in seconds since 1970.
    since: Option<f64>,
    at: f64,
    depends_on: Vec<String>,
    /// For how many seconds a result holds.
    stale_after: f64,
    healthy: f64,
    degraded: f64,
    error: f64,
    unknown: f64,
    healthy_runs: u64,
    degraded_runs: u64,
    error_runs: u64,
    error_stretches: u64,
    unhealthy_stretches: u64,
    duration_seconds: f64,
    /// Runs by duration, as the metrics' histogram has them: not cumulative.
    durations: Vec<u64>,
}

impl CheckCounters {
    fn of(check: &Registered) -> Self {
        let Counters { runs, durations, seconds, stretches, epoch, .. } = check.state().view().counters;
        let at = SystemTime::now();
        let runs = |status| runs.get(&status).copied().unwrap_or_default();
        Self {
            epoch: epoch.map(|Epoch { id, .. }| format!("{id:016x}")),
            since: epoch.map(|Epoch { since, .. }| unix(since)),
            at: unix(at),
            depends_on: check.options.depends_on.clone(),
            stale_after: check.stale_after.as_secs_f64(),
            healthy: seconds.healthy,
            degraded: seconds.degraded,
            error: seconds.error,
            unknown: seconds.unknown,
            healthy_runs: runs(Status::Healthy),
            degraded_runs: runs(Status::Degraded),
            error_runs: runs(Status::Error),
            error_stretches: stretches.error,
            unhealthy_stretches: stretches.unhealthy,
            duration_seconds: durations.seconds,
            durations: durations.buckets.to_vec(),
        }
    }
}

fn unix(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// What was counted of each check of the engine, by name, parents first. Runs nothing.
#[pyfunction]
pub fn check_counters<'py>(py: Python<'py>, engine: &Bound<'py, PyEngine>) -> PyResult<Bound<'py, PyAny>> {
    let engine = engine.get().inner();
    let counters = py.detach(|| -> Vec<_> {
        engine.checks().iter().map(|check| (check.name.clone(), CheckCounters::of(check))).collect()
    });
    let dict = pyo3::types::PyDict::new(py);
    for (name, counters) in counters {
        dict.set_item(&*name, pythonize(py, &counters)?)?;
    }
    Ok(dict.into_any())
}

/// Replaces what the metrics say of objectives, in all processes that share with this one, for the next 5 minutes.
#[pyfunction]
pub fn set_objectives(py: Python<'_>, engine: &Bound<'_, PyEngine>, objectives: &Bound<'_, PyAny>) -> PyResult<()> {
    let objectives: BTreeMap<String, Objective> = parse("objectives", objectives)?;
    let engine = engine.get().inner();
    py.detach(|| engine.set_objectives(objectives));
    Ok(())
}
