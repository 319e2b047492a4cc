//! How the threads that Python owns take the calls to make, and complete them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyString;
use pythonize::depythonize;
use serde_json::{Map, Value};

use crate::model::{CheckError, Finding, Status};
use crate::runtime::Process;
use crate::runtime::callables::CallableQueue;

/// A number for a callable, unique in this process and its children.
#[pyfunction]
pub fn new_callable_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// How many more threads have to run `next_job` so that these callables can run at once.
#[pyfunction]
pub fn reserve_threads(py: Python<'_>, callables: Vec<u64>) -> PyResult<usize> {
    // The first use in a process starts threads.
    Ok(py.detach(Process::current)?.callables.reserve_threads(&callables))
}

/// Gives back threads that were reserved and could not be started, or that end.
#[pyfunction]
pub fn release_threads(count: usize) -> PyResult<()> {
    Process::current()?.callables.release_threads(count);
    Ok(())
}

/// A call to make: token, callable, timeout in seconds.
type Call = (u64, u64, f64);
type PyText<'py> = Bound<'py, PyString>;
type Details<'py> = Option<Bound<'py, PyAny>>;
/// The class of an exception, and where it was raised.
type Cause<'py> = (PyText<'py>, Option<PyText<'py>>);

/// Waits for the next call to make.
#[pyfunction]
pub fn next_job(py: Python<'_>) -> PyResult<Call> {
    complete_and_take(py, &Process::current()?.callables, || ())
}

/// Completes a call with what its callable found, and waits for the next call to make. So do all that follow.
#[pyfunction]
pub fn job_done(
    py: Python<'_>,
    token: u64,
    callable: u64,
    found: (PyText<'_>, PyText<'_>, Details<'_>),
) -> PyResult<Call> {
    let (status, message, details) = found;
    let status = status.to_string_lossy();
    let status = Status::ALL.into_iter().find(|known| known.as_str() == status);
    let reply = match (status, json(details)) {
        (Some(status), Some(details)) => Ok(Finding { status, message: text(&message), details }),
        _ => Err(not_json()),
    };
    complete(py, token, callable, reply)
}

/// Completes a call with an error whose text is meant to be shown: its class, the text, details.
#[pyfunction]
pub fn job_failed(
    py: Python<'_>,
    token: u64,
    callable: u64,
    failure: (PyText<'_>, PyText<'_>, Details<'_>),
) -> PyResult<Call> {
    let (class, message, details) = failure;
    let error = CheckError::Failed { class: text(&class), message: text(&message) };
    let error = match json(details) {
        Some(details) if details.is_empty() => error,
        Some(details) => CheckError::Detailed { error: Box::new(error), details },
        None => not_json(),
    };
    complete(py, token, callable, Err(error))
}

/// Completes a call whose callable raised an exception of that class, and where.
#[pyfunction]
pub fn job_raised(py: Python<'_>, token: u64, callable: u64, cause: Cause<'_>) -> PyResult<Call> {
    complete(py, token, callable, Err(raised(&cause)))
}

/// Completes a call whose callable returned what means nothing.
#[pyfunction]
pub fn job_returned(py: Python<'_>, token: u64, callable: u64, what: &PyText<'_>) -> PyResult<Call> {
    complete(py, token, callable, Err(CheckError::Returned(text(what))))
}

/// Completes a call that cannot be made, since its engine is gone.
#[pyfunction]
pub fn job_withdrawn(py: Python<'_>, token: u64, callable: u64, _nothing: &Bound<'_, PyAny>) -> PyResult<Call> {
    complete(py, token, callable, Err(CheckError::Withdrawn))
}

/// Completes a call of which nothing was found out, by a fault of this process: it is about to end.
#[pyfunction]
pub fn job_unobserved(py: Python<'_>, token: u64, callable: u64, _nothing: &Bound<'_, PyAny>) -> PyResult<Call> {
    complete(py, token, callable, Err(CheckError::NotStarted { after: Duration::ZERO }))
}

/// Completes a call whose callable raised what ends the thread, which makes no more calls.
#[pyfunction]
pub fn thread_ends(token: u64, callable: u64, cause: Cause<'_>) -> PyResult<()> {
    Process::current()?.callables.done(token, callable, Err(raised(&cause)));
    Ok(())
}

fn complete(py: Python<'_>, token: u64, callable: u64, reply: Result<Finding, CheckError>) -> PyResult<Call> {
    let callables = &Process::current()?.callables;
    complete_and_take(py, callables, || callables.done(token, callable, reply))
}

/// Completes one call, and waits for the next. While calls are queued, they are made without releasing the interpreter;
/// after the last it is released before the call is completed, since the caller would only have to wait for it.
fn complete_and_take(py: Python<'_>, callables: &CallableQueue, complete: impl FnOnce() + Send) -> PyResult<Call> {
    let mut job = callables.take();
    if job.is_some() {
        complete();
    } else {
        py.detach(|| {
            complete();
            callables.wait();
        });
        job = callables.arrive();
    }
    loop {
        if let Some(job) = job {
            return Ok((job.token, job.callable, job.timeout.as_secs_f64()));
        }
        py.detach(|| callables.wait());
        job = callables.arrive();
    }
}

/// Details as JSON; none if they cannot be shown so. Whatever happens, the call must be completed: nothing else would.
fn json(details: Details<'_>) -> Option<Map<String, Value>> {
    details.map_or_else(|| Some(Map::new()), |details| depythonize(&details).ok())
}

fn not_json() -> CheckError {
    CheckError::Returned("what cannot be shown as JSON".to_owned())
}

fn raised((class, location): &Cause<'_>) -> CheckError {
    CheckError::Raised { class: text(class), location: location.as_ref().map(text) }
}

/// Lone surrogates, which come from undecodable file names, must not keep a call from ending.
fn text(text: &PyText<'_>) -> String {
    text.to_string_lossy().into_owned()
}
