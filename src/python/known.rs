//! What is known, for pages that show it: read without running anything.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use pythonize::pythonize;
use serde::Serialize;

use super::dicts::dict;
use super::engine::PyEngine;
use crate::engine::registry::Registered;
use crate::model::{BreakerOptions, CircuitMode, CircuitState};
use crate::monitor::{self, ProcessStatus};
use crate::policy::report::{Shown, fields};
use crate::runtime::Process;

/// How a check is registered, and the state of its circuit breaker. Times in seconds.
#[derive(Serialize)]
struct CheckInfo {
    critical: bool,
    timeout: f64,
    ttl: f64,
    stale_after: f64,
    depends_on: Vec<String>,
    failures_before_error: u32,
    successes_before_healthy: u32,
    runbook: Option<String>,
    server: Option<String>,
    breaker: Option<BreakerInfo>,
}

#[derive(Serialize)]
struct BreakerInfo {
    state: CircuitState,
    mode: CircuitMode,
    failures: Option<u32>,
    failure_rate: Option<f64>,
    slow_call_rate: Option<f64>,
    slow_call: f64,
    window_calls: usize,
    window: f64,
    minimum_calls: usize,
    wait: f64,
    max_wait: f64,
}

impl CheckInfo {
    fn of(check: &Registered) -> Self {
        let options = &check.options;
        let circuit = check.state().breaker();
        let breaker = options.breaker.as_ref().zip(circuit);
        Self {
            critical: options.critical,
            timeout: options.timeout.as_secs_f64(),
            ttl: options.ttl.as_secs_f64(),
            stale_after: check.stale_after.as_secs_f64(),
            depends_on: options.depends_on.clone(),
            failures_before_error: options.failures_before_error,
            successes_before_healthy: options.successes_before_healthy,
            runbook: options.runbook.clone(),
            server: options.server.clone(),
            breaker: breaker.map(|(options, (circuit, mode))| BreakerInfo::of(options, circuit.state, mode)),
        }
    }
}

impl BreakerInfo {
    fn of(options: &BreakerOptions, state: CircuitState, mode: CircuitMode) -> Self {
        Self {
            state,
            mode,
            failures: options.failures,
            failure_rate: options.failure_rate,
            slow_call_rate: options.slow_call_rate,
            slow_call: options.slow_call.as_secs_f64(),
            window_calls: options.window_calls,
            window: options.window.as_secs_f64(),
            minimum_calls: options.minimum_calls,
            wait: options.wait.as_secs_f64(),
            max_wait: options.max_wait.as_secs_f64(),
        }
    }
}

/// One process that runs the checks. Times in seconds.
#[derive(Serialize)]
struct ProcessInfo {
    pid: u32,
    interpreter_lag: f64,
    event_loop_lag: Option<f64>,
    ready: bool,
    draining: bool,
    served: Vec<String>,
}

impl From<ProcessStatus> for ProcessInfo {
    fn from(status: ProcessStatus) -> Self {
        let ProcessStatus { lag, ready, draining, served, .. } = status;
        Self {
            pid: lag.pid,
            interpreter_lag: lag.interpreter.as_secs_f64(),
            event_loop_lag: lag.event_loop.map(|lag| lag.as_secs_f64()),
            ready,
            draining,
            served,
        }
    }
}

/// The report on what is known of all checks now.
#[pyfunction]
pub fn known<'py>(py: Python<'py>, engine: &Bound<'py, PyEngine>) -> PyResult<Bound<'py, PyDict>> {
    let engine = engine.get().inner();
    let report = py.detach(|| engine.known().report());
    dict(py, fields::of_report(&report, Shown::Everything))
}

/// How each check is registered, by name, parents first, and the state of its circuit breaker.
#[pyfunction]
pub fn check_infos<'py>(py: Python<'py>, engine: &Bound<'py, PyEngine>) -> PyResult<Bound<'py, PyDict>> {
    let engine = engine.get().inner();
    let infos = py.detach(|| -> Vec<_> {
        engine.checks().iter().map(|check| (check.name.clone(), CheckInfo::of(check))).collect()
    });
    let dict = PyDict::new(py);
    for (name, info) in infos {
        dict.set_item(&*name, pythonize(py, &info)?)?;
    }
    Ok(dict)
}

/// The processes that share what they know with this one, itself first.
#[pyfunction]
pub fn processes<'py>(py: Python<'py>, engine: &Bound<'py, PyEngine>) -> PyResult<Bound<'py, PyAny>> {
    let engine = engine.get().inner();
    let infos = py.detach(|| -> Vec<_> { monitor::statuses(&engine).into_iter().map(ProcessInfo::from).collect() });
    Ok(pythonize(py, &infos)?)
}

/// What all instances of an engine's fleet say of themselves and of their checks; None without a fleet.
#[pyfunction]
pub fn fleet_view<'py>(py: Python<'py>, engine: &Bound<'py, PyEngine>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let engine = engine.get().inner();
    let Some(fleet) = engine.fleet().cloned() else { return Ok(None) };
    let view = py.detach(|| {
        let process = Process::current()?;
        Ok::<_, PyErr>(process.runtime.block_on(monitor::fleet_view(&engine, &fleet, &process)))
    })?;
    Ok(Some(pythonize(py, &view)?))
}
