//! `_core.Breaker`: an operator's hand on the circuit breaker of one check.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::engine::hand_over::{operate, operate_here};
use crate::engine::registry::Registered;
use crate::model::CircuitMode;
use crate::model::CircuitStatus;
use crate::runtime::Process;
use crate::state::Operation;

/// The circuit breaker of one check, as far as its engine shares what it knows.
#[pyclass(frozen, name = "Breaker", module = "lifesigns._core")]
pub struct PyBreaker(Arc<Registered>);

impl PyBreaker {
    pub(super) fn of(check: Arc<Registered>) -> PyResult<Self> {
        match check.options.breaker {
            Some(_) => Ok(Self(check)),
            None => Err(PyValueError::new_err(format!("the check {:?} has no circuit breaker", check.options.name))),
        }
    }

    fn operate(&self, py: Python<'_>, operation: Operation) {
        py.detach(|| match Process::current() {
            Ok(process) => process.runtime.block_on(operate(&self.0, operation, &process)),
            // Without the engine's threads no other host can be reached.
            Err(_) => operate_here(&self.0, operation),
        });
    }

    fn now(&self, py: Python<'_>) -> PyResult<(CircuitStatus, CircuitMode)> {
        py.detach(|| self.0.state().breaker()).ok_or_else(|| PyValueError::new_err("no circuit breaker"))
    }
}

#[pymethods]
impl PyBreaker {
    #[getter]
    fn state(&self, py: Python<'_>) -> PyResult<&'static str> {
        Ok(self.now(py)?.0.state.as_str())
    }

    #[getter]
    fn mode(&self, py: Python<'_>) -> PyResult<&'static str> {
        Ok(match self.now(py)?.1 {
            CircuitMode::Automatic => "automatic",
            CircuitMode::ForcedOpen => "forced-open",
            CircuitMode::ForcedClosed => "forced-closed",
            CircuitMode::Disabled => "disabled",
        })
    }

    #[getter]
    fn retry_after(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        Ok(self.now(py)?.0.retry_after.map(|wait| wait.as_secs_f64()))
    }

    fn force_open(&self, py: Python<'_>) {
        self.operate(py, Operation::ForceOpen);
    }

    fn force_closed(&self, py: Python<'_>) {
        self.operate(py, Operation::ForceClosed);
    }

    fn disable(&self, py: Python<'_>) {
        self.operate(py, Operation::Disable);
    }

    fn reset(&self, py: Python<'_>) {
        self.operate(py, Operation::Reset);
    }
}
