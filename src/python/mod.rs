//! The boundary to Python: the only folder that knows pyo3.
//!
//! Every call here came from Python. No thread of the engine's attaches to the interpreter, since that aborts the
//! process when it happens during interpreter exit; `interpreter.rs` has the one exception and says why it is safe.

mod actions;
mod alerts;
mod breaker;
mod circuit;
mod dicts;
mod engine;
mod events;
mod fleet;
mod history;
mod interpreter;
mod jobs;
mod known;
mod parse;
mod probe;
mod recording;
mod register_options;
mod serve;
mod sweep;
mod waker;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use pyo3::create_exception;
use pyo3::exceptions::{PyLookupError, PyValueError};
use pyo3::prelude::*;
use pythonize::pythonize;

use crate::checks::postgres::parse_url;
use crate::engine::UnknownCheck;
use crate::metrics::Format;
use crate::model::{Secret, SpecError, in_python, valid_name};
use crate::runtime::{self, process};
use crate::state::heartbeats;

create_exception!(_core, UnknownCheckError, PyLookupError, "A name of a check, or of a group, that is not registered.");

impl From<SpecError> for PyErr {
    fn from(error: SpecError) -> Self {
        PyValueError::new_err(error.to_string())
    }
}

impl From<UnknownCheck> for PyErr {
    fn from(error: UnknownCheck) -> Self {
        UnknownCheckError::new_err(error.to_string())
    }
}

fn not_negative(what: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        PyValueError::new_err(format!("{what} must be a number of seconds from 0, not {}", in_python(seconds)))
    })
}

/// Closes the connections that this process keeps between runs.
#[pyfunction]
fn close_connections(py: Python<'_>) {
    py.detach(process::close_connections);
}

/// Marks this process as about to end: it is not ready any more, though alive.
#[pyfunction]
fn drain() {
    process::drain();
}

/// Takes `drain` back, for tests.
#[pyfunction]
fn undrain() {
    process::undrain();
}

/// Whether `drain` was called in this process.
#[pyfunction]
fn draining() -> bool {
    process::draining()
}

/// How long ago this process loaded the library, or was forked from one that had, in seconds.
#[pyfunction]
fn uptime() -> f64 {
    runtime::uptime().as_secs_f64()
}

/// The format of metrics that an `Accept` header prefers: whether OpenMetrics, and the content type.
#[pyfunction]
fn metrics_format(accept: &str) -> (bool, &'static str) {
    let format = Format::accepted(accept);
    (format == Format::OpenMetrics, format.content_type())
}

/// Replaces the secrets, as a program would write them, that are hidden in what other programs wrote.
#[pyfunction]
fn hide(py: Python<'_>, secrets: Vec<Vec<u8>>) {
    py.detach(|| {
        // As the output of a program is read, too.
        let secrets = secrets.iter().map(|secret| Secret::new(String::from_utf8_lossy(secret)));
        runtime::hidden::hide(secrets.collect());
    });
}

/// Notes that `name` is alive.
#[pyfunction]
fn beat(py: Python<'_>, name: &str) -> PyResult<()> {
    valid_name(name)?;
    py.detach(|| heartbeats::beat(name));
    Ok(())
}

/// The age in seconds of the last heartbeat of each name that starts with `prefix`.
#[pyfunction]
fn heartbeats_of(py: Python<'_>, prefix: &str) -> HashMap<String, f64> {
    let ages = py.detach(|| heartbeats::ages(prefix));
    ages.into_iter().map(|(name, age)| (name, age.as_secs_f64())).collect()
}

/// Where the processes of this user's application find each other by default.
#[pyfunction]
fn default_store() -> PathBuf {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    return crate::state::backend::host::default_directory();
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    return std::env::temp_dir();
}

/// The fields of the server that a `postgresql://` URL names.
#[pyfunction]
fn parse_postgres_url<'py>(py: Python<'py>, url: &str) -> PyResult<Bound<'py, PyAny>> {
    Ok(pythonize(py, &parse_url(url)?)?)
}

/// How the names of store files end: two versions of Lifesigns with different formats have a file each.
fn store_suffix() -> String {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    let format = crate::state::backend::host::FORMAT;
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    let format = 0;
    format!(".{format}.lifesigns")
}

/// Whether the calling interpreter is the one that loaded this module first. A second one of the same process would be
/// given the calls of the first, and would give it its own.
#[pyfunction]
fn owns_engine() -> bool {
    static OWNER: AtomicI64 = AtomicI64::new(-1);
    // SAFETY: the calling thread is attached to an interpreter, which therefore exists.
    #[allow(unsafe_code, reason = "pyo3 has no safe name for the number of the current interpreter")]
    let current = unsafe { pyo3::ffi::PyInterpreterState_GetID(pyo3::ffi::PyInterpreterState_Get()) };
    match OWNER.compare_exchange(-1, current, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => true,
        Err(owner) => owner == current,
    }
}

#[pymodule(gil_used = false)]
mod _core {
    use super::*;

    #[pymodule_export]
    use super::actions::PyActions;
    #[pymodule_export]
    use super::alerts::{PyAlerts, notice_for, validate_alerts};
    #[pymodule_export]
    use super::breaker::PyBreaker;
    #[pymodule_export]
    use super::circuit::{PyCircuit, PyPermit};
    #[pymodule_export]
    use super::engine::{PyEngine, default_scope_of};
    #[pymodule_export]
    use super::history::{check_counters, maintenance_windows, objectives_turn, set_objectives};
    #[pymodule_export]
    use super::interpreter::{loop_ended, loop_runs, stop_interpreter_monitor};
    #[pymodule_export]
    use super::jobs::{
        job_done, job_failed, job_raised, job_returned, job_unobserved, job_withdrawn, new_callable_id, next_job,
        release_threads, reserve_threads, thread_ends,
    };
    #[pymodule_export]
    use super::known::{check_infos, fleet_view, known, processes};
    #[pymodule_export]
    use super::probe::{read_store, request_server};
    #[pymodule_export]
    use super::recording::{is_recording, start_recording, take_results};
    #[pymodule_export]
    use super::serve::{PyServer, hold_address, notify_systemd};
    #[pymodule_export]
    use super::sweep::PySweep;
    #[pymodule_export]
    use super::waker::PyWaker;
    #[pymodule_export]
    use super::{
        UnknownCheckError, beat, close_connections, default_store, drain, draining, heartbeats_of, hide,
        metrics_format, owns_engine, parse_postgres_url, undrain, uptime,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        runtime::watch_forks();
        runtime::loaded_at();
        dicts::make_keys(module.py());
        module.add("STORE_SUFFIX", store_suffix())?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
