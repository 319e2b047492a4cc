//! `_core.Sweep`: waits for a sweep and shows what is known of it.

use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tokio::time::Instant;

use super::dicts::dict;
use super::not_negative;
use crate::engine::sweep;
use crate::policy::report::{Report, ReportOf, Shown, fields};
use crate::runtime::lock;

/// How long a wait lasts before signals are checked: Ctrl-C works within this time.
const SLICE: Duration = Duration::from_millis(50);

/// A flag that a thread can wait for.
#[derive(Default)]
pub(super) struct Done {
    state: Mutex<SweepState>,
    changed: Condvar,
}

#[derive(Default)]
struct SweepState {
    is_set: bool,
    /// A notification takes a system call, also where no thread waits.
    is_awaited: bool,
}

impl Done {
    pub(super) fn set(&self) {
        let is_awaited = {
            let mut state = lock(&self.state);
            state.is_set = true;
            state.is_awaited
        };
        if is_awaited {
            self.changed.notify_all();
        }
    }

    fn wait(&self, at_most: Duration) {
        let mut state = lock(&self.state);
        state.is_awaited = true;
        let waiting = self.changed.wait_timeout_while(state, at_most, |state| !state.is_set);
        drop(waiting.unwrap_or_else(PoisonError::into_inner));
    }
}

/// A sweep under way.
#[pyclass(frozen, name = "Sweep", module = "lifesigns._core")]
pub struct PySweep {
    inner: sweep::Sweep,
    done: Arc<Done>,
    /// What was known when it was first read: all views of a sweep show the same.
    report: OnceLock<Report>,
}

impl PySweep {
    pub(super) fn new(inner: sweep::Sweep, done: Arc<Done>) -> Self {
        Self { inner, done, report: OnceLock::new() }
    }

    /// When to stop waiting: at the sweep's own deadline, or after `budget`; with a budget no later than the answer is
    /// decided, since the caller wants to know it in time.
    pub(super) fn end(&self, budget: Option<Duration>) -> Instant {
        let Some(budget) = budget else { return self.inner.deadline };
        let ends = [Instant::now().checked_add(budget), self.inner.decided_at(), Some(self.inner.deadline)];
        ends.into_iter().flatten().min().unwrap_or(self.inner.deadline)
    }

    /// Waits until every answer is there, at most until `end`.
    pub(super) fn finish(&self, py: Python<'_>, end: Instant) -> PyResult<()> {
        while !self.inner.is_done() {
            let remaining = end.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                break;
            }
            py.detach(|| self.done.wait(remaining.min(SLICE)));
            py.check_signals()?;
        }
        Ok(())
    }

    fn known(&self) -> &Report {
        self.report.get_or_init(|| self.inner.report())
    }
}

#[pymethods]
impl PySweep {
    /// Whether every answer is there.
    #[getter]
    fn done(&self) -> bool {
        self.inner.is_done()
    }

    /// Seconds from now for which to wait at most, as `wait` does.
    #[pyo3(signature = (deadline=None))]
    fn remaining(&self, deadline: Option<f64>) -> PyResult<f64> {
        let end = self.end(budget(deadline)?);
        Ok(end.saturating_duration_since(Instant::now()).as_secs_f64())
    }

    /// Waits until every answer is there, at most until the sweep's own deadline or for `deadline` seconds.
    #[pyo3(signature = (deadline=None))]
    fn wait(&self, py: Python<'_>, deadline: Option<f64>) -> PyResult<()> {
        self.finish(py, self.end(budget(deadline)?))
    }

    /// The state of the whole.
    #[getter]
    fn status(&self) -> &'static str {
        self.known().health().name()
    }

    /// What stands in the report and in every log line of this sweep.
    #[getter]
    fn correlation_id(&self) -> &str {
        self.known().correlation_id()
    }

    /// The report as a dict; without `details` only how it is, not why.
    #[pyo3(signature = (details=true))]
    fn report<'py>(&self, py: Python<'py>, details: bool) -> PyResult<Bound<'py, PyDict>> {
        dict(py, fields::of_report(self.known(), shown(details)))
    }

    /// The same as JSON.
    #[pyo3(signature = (details=true))]
    fn json(&self, details: bool) -> PyResult<String> {
        serde_json::to_string(&ReportOf(self.known(), shown(details)))
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// The result of the first check, as a dict; without `details` only how it is, not why.
    #[pyo3(signature = (details=true))]
    fn result<'py>(&self, py: Python<'py>, details: bool) -> PyResult<Option<Bound<'py, PyDict>>> {
        let rows = self.inner.rows();
        rows.first().map(|row| dict(py, fields::of_result(row, shown(details)))).transpose()
    }
}

/// How long a caller waits, if not until the sweep's own deadline.
pub(super) fn budget(deadline: Option<f64>) -> PyResult<Option<Duration>> {
    deadline.map(|seconds| not_negative("deadline", seconds)).transpose()
}

fn shown(details: bool) -> Shown {
    if details { Shown::Everything } else { Shown::Statuses }
}
