//! `_core.Circuit`: a circuit breaker around calls that Python code makes.

use std::sync::{Arc, Mutex};

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyType;
use tokio::time::Instant;

use super::not_negative;
use super::parse::parse;
use crate::model::BreakerOptions;
use crate::policy::breaker::{self, Breaker, CallResult};
use crate::runtime::{PerProcess, lock};

/// A circuit breaker that stands alone. A forked child starts with a closed one: the parent's lock may be held for ever.
#[pyclass(frozen, name = "Circuit", module = "lifesigns._core")]
pub struct PyCircuit {
    spec: BreakerOptions,
    trial_lease: std::time::Duration,
    cell: PerProcess<Mutex<CircuitCell>>,
}

struct CircuitCell {
    breaker: Breaker,
    failures: u32,
}

impl PyCircuit {
    fn cell(&self) -> Arc<Mutex<CircuitCell>> {
        self.cell.get_or_init(|| {
            let seed = uuid::Uuid::new_v4().as_u64_pair().0;
            Mutex::new(CircuitCell { breaker: Breaker::new(self.spec.clone(), self.trial_lease, seed), failures: 0 })
        })
    }
}

#[pymethods]
impl PyCircuit {
    #[new]
    fn new(spec: &Bound<'_, PyAny>, trial_lease: f64) -> PyResult<Self> {
        let spec: BreakerOptions = parse("circuit", spec)?;
        spec.validate()?;
        Ok(Self { spec, trial_lease: not_negative("trial_lease", trial_lease)?, cell: PerProcess::new() })
    }

    #[getter]
    fn state(&self) -> &'static str {
        lock(&self.cell()).breaker.state(Instant::now()).as_str()
    }

    #[getter]
    fn retry_after(&self) -> Option<f64> {
        lock(&self.cell()).breaker.retry_after(Instant::now()).map(|wait| wait.as_secs_f64())
    }

    #[getter]
    fn failures(&self) -> u32 {
        lock(&self.cell()).failures
    }

    fn acquire(&self) -> Option<PyPermit> {
        let cell = self.cell();
        let started = Instant::now();
        let permit = lock(&cell).breaker.acquire(started).ok()?;
        Some(PyPermit { cell, started, permit: Mutex::new(Some(permit)) })
    }

    fn reset(&self) {
        let cell = self.cell();
        let mut state = lock(&cell);
        state.breaker.reset();
        state.failures = 0;
    }
}

/// The right to make one call, returned at the end of a `with` block.
#[pyclass(frozen, name = "Permit", module = "lifesigns._core")]
pub struct PyPermit {
    cell: Arc<Mutex<CircuitCell>>,
    started: Instant,
    permit: Mutex<Option<breaker::Permit>>,
}

impl PyPermit {
    fn settle(&self, call_result: CallResult) {
        let Some(permit) = lock(&self.permit).take() else { return };
        let mut state = lock(&self.cell);
        state.failures = match call_result {
            CallResult::Success => 0,
            CallResult::Failure => state.failures.saturating_add(1),
            CallResult::Ignored => state.failures,
        };
        let now = Instant::now();
        state.breaker.record(permit, call_result, now.saturating_duration_since(self.started), now);
    }
}

#[pymethods]
impl PyPermit {
    fn __enter__(this: Py<Self>) -> Py<Self> {
        this
    }

    #[pyo3(signature = (kind, _value, _traceback))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: Option<&Bound<'_, PyType>>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.settle(match kind {
            None => CallResult::Success,
            Some(kind) if kind.is_subclass(&py.get_type::<PyException>())? => CallResult::Failure,
            // The process is about to stop: that is no outcome of the call.
            Some(_) => CallResult::Ignored,
        });
        Ok(())
    }
}

impl Drop for PyPermit {
    fn drop(&mut self) {
        self.settle(CallResult::Ignored);
    }
}
