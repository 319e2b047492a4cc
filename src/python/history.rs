//! What the history in time is made of, and what it knows of objectives.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pyo3::prelude::*;
use pythonize::pythonize;
use serde::Serialize;

use super::engine::PyEngine;
use super::not_negative;
use super::parse::parse;
use crate::delivery::settings::parse_maintenance;
use crate::engine::objectives::{self, ObjectivesTurn};
use crate::engine::registry::Registered;
use crate::model::{CollectOrdered, Severity, Status};
use crate::policy::suppression::merged;
use crate::runtime::Process;
use crate::state::TableSnapshot;
use crate::state::counters::{Counters, Epoch};
use crate::state::objectives::Objective;

/// Beyond what any calendar has.
const LATEST: Duration = Duration::from_secs(1 << 36);

/// What was counted of one check: totals since its first run.
#[derive(Serialize)]
struct CheckCounters {
    /// Another one once they start again from zero.
    epoch: Option<String>,
    /// Times in seconds since 1970.
    since: Option<f64>,
    at: f64,
    depends_on: Vec<String>,
    /// For how many seconds a result holds, and for how many the latest one does: while its circuit is open, it does.
    stale_after: f64,
    holds_for: f64,
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
    fn of(check: &Registered, snapshot: Option<&TableSnapshot>) -> Self {
        let Counters { runs, durations, seconds, stretches, epoch, .. } = check.state().view(snapshot).counters;
        let at = SystemTime::now();
        let runs = |status| runs.get(&status).copied().unwrap_or_default();
        Self {
            epoch: epoch.map(|Epoch { id, .. }| format!("{id:016x}")),
            since: epoch.map(|Epoch { since, .. }| unix(since)),
            at: unix(at),
            depends_on: check.options.depends_on.clone(),
            stale_after: check.stale_after.as_secs_f64(),
            holds_for: check.state().holds_for().as_secs_f64(),
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
        let snapshot = engine.snapshot();
        engine.checks().iter().map(|check| (check.name.clone(), CheckCounters::of(check, snapshot.as_ref()))).collect()
    });
    let dict = pyo3::types::PyDict::new(py);
    for (name, counters) in counters {
        dict.set_item(&*name, pythonize(py, &counters)?)?;
    }
    Ok(dict.into_any())
}

/// When each of the checks is in planned maintenance between two times, in seconds since 1970: whole windows, in order and
/// without overlaps. `maintenance` is as the settings of alerts have it.
#[pyfunction]
pub fn maintenance_windows(
    py: Python<'_>,
    maintenance: &Bound<'_, PyAny>,
    checks: Vec<String>,
    since: f64,
    until: f64,
) -> PyResult<BTreeMap<String, Vec<(f64, f64)>>> {
    let entries = parse_maintenance(parse("maintenance", maintenance)?)?;
    let time = |what, seconds| Ok::<_, PyErr>(UNIX_EPOCH + not_negative(what, seconds)?.min(LATEST));
    let (since, until) = (time("since", since)?, time("until", until)?);
    Ok(py.detach(|| {
        let entries: Vec<_> = entries.iter().map(|entry| (&entry.matcher, entry.windows(since, until))).collect();
        let windows_of = |check: &str| {
            // An entry names checks alone.
            let own = entries.iter().filter(|(matcher, _)| matcher.matches(check, Severity::Critical, &[]));
            let windows = merged(own.flat_map(|(_, windows)| windows).copied());
            windows.into_iter().map(|(start, end)| (unix(start), unix(end))).collect()
        };
        checks.into_iter().map(|check| (check.clone(), windows_of(&check))).collect_ordered()
    }))
}

/// Replaces what is known of objectives, in all processes that share with this one, for the next 5 minutes; in all hosts of the
/// fleet with the `fence` of [`objectives_turn`].
#[pyfunction]
#[pyo3(signature = (engine, objectives, fence=0))]
pub fn set_objectives(
    py: Python<'_>,
    engine: &Bound<'_, PyEngine>,
    objectives: &Bound<'_, PyAny>,
    fence: u64,
) -> PyResult<()> {
    let objectives: BTreeMap<String, Objective> = parse("objectives", objectives)?;
    let engine = engine.get().inner();
    py.detach(|| {
        if let Some(fleet) = engine.fleet().filter(|_| fence > 0) {
            let process = Process::current()?;
            process.runtime.block_on(objectives::hand_out(fleet, &process, fence, &objectives));
        }
        engine.set_objectives(objectives);
        Ok(())
    })
}

/// The fence with which this process is to work out the objectives now for all hosts of its fleet, 0: for those that share
/// with it; `None` where another host has, or does.
#[pyfunction]
pub fn objectives_turn(py: Python<'_>, engine: &Bound<'_, PyEngine>) -> PyResult<Option<u64>> {
    let engine = engine.get().inner();
    py.detach(|| {
        let process = Process::current()?;
        Ok(match process.runtime.block_on(objectives::turn(&engine, &process)) {
            ObjectivesTurn::Alone => Some(0),
            ObjectivesTurn::Fleet(fence) => Some(fence),
            ObjectivesTurn::Other => None,
        })
    })
}
