//! `_core.Breaker`: an operator's hand on the circuit breaker of one check.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::breaker::Mode;
use crate::outcome::Circuit;
use crate::slot::Slot;
use crate::store::Operation;

/// The circuit breaker of one check, in this process.
#[pyclass(frozen, module = "lifesigns._core")]
pub struct Breaker(Arc<Slot>);

impl Breaker {
    pub(super) fn of(slot: Arc<Slot>) -> PyResult<Self> {
        match slot.spec.breaker {
            Some(_) => Ok(Self(slot)),
            None => Err(PyValueError::new_err(format!("the check {:?} has no circuit breaker", slot.spec.name))),
        }
    }

    fn now(&self) -> PyResult<(Circuit, Mode)> {
        self.0.cell().breaker().ok_or_else(|| PyValueError::new_err("no circuit breaker"))
    }
}

#[pymethods]
impl Breaker {
    #[getter]
    fn state(&self) -> PyResult<&'static str> {
        Ok(self.now()?.0.state)
    }

    #[getter]
    fn mode(&self) -> PyResult<&'static str> {
        Ok(match self.now()?.1 {
            Mode::Automatic => "automatic",
            Mode::ForcedOpen => "forced-open",
            Mode::ForcedClosed => "forced-closed",
            Mode::Disabled => "disabled",
        })
    }

    #[getter]
    fn retry_after(&self) -> PyResult<Option<f64>> {
        Ok(self.now()?.0.retry_after.map(|wait| wait.as_secs_f64()))
    }

    fn force_open(&self) {
        self.0.cell().operate(Operation::ForceOpen);
    }

    fn force_closed(&self) {
        self.0.cell().operate(Operation::ForceClosed);
    }

    fn disable(&self) {
        self.0.cell().operate(Operation::Disable);
    }

    fn reset(&self) {
        self.0.cell().operate(Operation::Reset);
    }
}
