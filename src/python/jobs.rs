//! How the threads that Python owns get the calls to make, and hand in the answers.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;
use pyo3::types::PyString;
use pythonize::depythonize;
use serde_json::Map;

use crate::outcome::{CheckError, Finding, Status};
use crate::process::Process;

/// A number for a callable, unique in this process and its children.
#[pyfunction]
pub fn new_callable_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// How many more threads have to run `next_job` so that these callables can run at once.
#[pyfunction]
pub fn reserve_threads(callables: Vec<u64>) -> PyResult<usize> {
    Ok(Process::current()?.lanes.reserve_threads(&callables))
}

/// Waits for the next call to make: (token, callable, timeout in seconds).
#[pyfunction]
pub fn next_job(py: Python<'_>) -> PyResult<(u64, u64, f64)> {
    let process = Process::current()?;
    // While jobs wait, the next one is taken without letting go of the interpreter.
    let mut job = process.lanes.take();
    loop {
        if let Some(job) = job {
            return Ok((job.token, job.callable, job.timeout.as_secs_f64()));
        }
        py.detach(|| process.lanes.wait());
        job = process.lanes.arrive();
    }
}

/// Hands in what a callable found.
#[pyfunction]
pub fn job_done(
    token: u64,
    callable: u64,
    status: &Bound<'_, PyString>,
    message: &Bound<'_, PyString>,
    details: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let status = text(status);
    let status = Status::ALL.into_iter().find(|known| known.as_str() == status);
    let details = details.map_or_else(|| Ok(Map::new()), depythonize);
    let answer = match (status, details) {
        (Some(status), Ok(details)) => Ok(Finding { status, message: text(message), details }),
        // Whatever happens, the call must end: nobody else would ever end it.
        _ => Err(CheckError::Returned("what cannot be shown as JSON".to_owned())),
    };
    Process::current()?.lanes.done(token, callable, answer);
    Ok(())
}

/// Hands in that a callable raised an exception of that class, and where.
#[pyfunction]
pub fn job_raised(
    token: u64,
    callable: u64,
    class_: &Bound<'_, PyString>,
    location: Option<&Bound<'_, PyString>>,
) -> PyResult<()> {
    let raised = CheckError::Raised { class: text(class_), location: location.map(text) };
    Process::current()?.lanes.done(token, callable, Err(raised));
    Ok(())
}

/// Hands in that a callable returned what means nothing.
#[pyfunction]
pub fn job_returned(token: u64, callable: u64, what: &Bound<'_, PyString>) -> PyResult<()> {
    Process::current()?.lanes.done(token, callable, Err(CheckError::Returned(text(what))));
    Ok(())
}

/// Ends a call that cannot be made, since its engine is gone.
#[pyfunction]
pub fn job_withdrawn(token: u64, callable: u64) -> PyResult<()> {
    Process::current()?.lanes.withdrawn(token, callable);
    Ok(())
}

/// Lone surrogates, which come from undecodable file names, must not keep a call from ending.
fn text(text: &Bound<'_, PyString>) -> String {
    text.to_string_lossy().into_owned()
}
