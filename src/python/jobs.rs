//! How the threads that Python owns get the calls to make, and hand in the answers.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;
use pythonize::depythonize;
use serde::Deserialize;
use serde_json::{Map, Value};

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
    let job = match process.lanes.try_next() {
        Some(job) => job,
        None => py.detach(|| process.lanes.next()),
    };
    Ok((job.token, job.callable, job.timeout.as_secs_f64()))
}

/// What a callable answered, as `callables.py` puts it.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Answer {
    Result { status: Status, message: String, details: Map<String, Value> },
    Raised { class: String, location: Option<String> },
    Returned(String),
}

/// Hands in the answer to a call.
#[pyfunction]
pub fn job_done(token: u64, callable: u64, answer: &Bound<'_, PyAny>) -> PyResult<()> {
    let answer = match depythonize(answer) {
        Ok(Answer::Result { status, message, details }) => Ok(Finding { status, message, details }),
        Ok(Answer::Raised { class, location }) => Err(CheckError::Raised { class, location }),
        Ok(Answer::Returned(what)) => Err(CheckError::Returned(what)),
        // Whatever happens, the call must end: nobody else would ever end it.
        Err(_) => Err(CheckError::Returned("what cannot be shown as JSON".to_owned())),
    };
    Process::current()?.lanes.done(token, callable, answer);
    Ok(())
}
