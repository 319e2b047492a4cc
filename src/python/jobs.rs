//! How the threads that Python owns get the calls to make, and hand in the answers.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;
use pyo3::types::PyString;
use pythonize::depythonize;
use serde_json::Map;

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
pub fn reserve_threads(callables: Vec<u64>) -> PyResult<usize> {
    Ok(Process::current()?.callables.reserve_threads(&callables))
}

/// A call to make: token, callable, timeout in seconds.
type Call = (u64, u64, f64);
type Text<'py> = Bound<'py, PyString>;
/// The class of an exception, and where it was raised.
type Cause<'py> = (Text<'py>, Option<Text<'py>>);

/// Waits for the next call to make.
#[pyfunction]
pub fn next_job(py: Python<'_>) -> PyResult<Call> {
    go_on(py, &Process::current()?.callables, || ())
}

/// Hands in what a callable found, and waits for the next call to make, as all that follow do.
#[pyfunction]
pub fn job_done(
    py: Python<'_>,
    token: u64,
    callable: u64,
    found: (Text<'_>, Text<'_>, Option<Bound<'_, PyAny>>),
) -> PyResult<Call> {
    let (status, message, details) = found;
    let status = status.to_string_lossy();
    let status = Status::ALL.into_iter().find(|known| known.as_str() == status);
    let details = details.map_or_else(|| Ok(Map::new()), |details| depythonize(&details));
    let answer = match (status, details) {
        (Some(status), Ok(details)) => Ok(Finding { status, message: text(&message), details }),
        // Whatever happens, the call must end: nobody else would ever end it.
        _ => Err(CheckError::Returned("what cannot be shown as JSON".to_owned())),
    };
    hand_in(py, token, callable, answer)
}

/// Hands in that a callable raised an exception of that class, and where.
#[pyfunction]
pub fn job_raised(py: Python<'_>, token: u64, callable: u64, cause: Cause<'_>) -> PyResult<Call> {
    hand_in(py, token, callable, Err(raised(&cause)))
}

/// Hands in the same of an exception that ends the thread, which makes no more calls.
#[pyfunction]
pub fn thread_ends(token: u64, callable: u64, cause: Cause<'_>) -> PyResult<()> {
    Process::current()?.callables.done(token, callable, Err(raised(&cause)));
    Ok(())
}

/// Hands in that a callable returned what means nothing.
#[pyfunction]
pub fn job_returned(py: Python<'_>, token: u64, callable: u64, what: &Text<'_>) -> PyResult<Call> {
    hand_in(py, token, callable, Err(CheckError::Returned(text(what))))
}

/// Ends a call that cannot be made, since its engine is gone.
#[pyfunction]
pub fn job_withdrawn(py: Python<'_>, token: u64, callable: u64, _nothing: &Bound<'_, PyAny>) -> PyResult<Call> {
    hand_in(py, token, callable, Err(CheckError::Withdrawn))
}

fn hand_in(py: Python<'_>, token: u64, callable: u64, answer: Result<Finding, CheckError>) -> PyResult<Call> {
    let callables = &Process::current()?.callables;
    go_on(py, callables, || callables.done(token, callable, answer))
}

/// Ends the call before, and waits for the next. While calls wait, they are made without letting go of the interpreter;
/// after the last it is let go of before anybody hears of the answer, who would only have to wait for it.
fn go_on(py: Python<'_>, callables: &CallableQueue, end: impl FnOnce() + Send) -> PyResult<Call> {
    let mut job = callables.take();
    if job.is_some() {
        end();
    } else {
        py.detach(|| {
            end();
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

fn raised((class, location): &Cause<'_>) -> CheckError {
    CheckError::Raised { class: text(class), location: location.as_ref().map(text) }
}

/// Lone surrogates, which come from undecodable file names, must not keep a call from ending.
fn text(text: &Text<'_>) -> String {
    text.to_string_lossy().into_owned()
}
