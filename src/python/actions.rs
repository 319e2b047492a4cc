//! `_core.Actions`: the actions of an engine, for Python and the tables.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use pyo3::exceptions::{PyLookupError, PyTimeoutError};
use pyo3::prelude::*;
use pythonize::pythonize;
use serde_json::Value;

use super::alerts::PyAlerts;
use super::engine::PyEngine;
use super::interpreter::Interpreter;
use super::parse::parse_actions;
use crate::actions::service::ActionService;
use crate::actions::{ActionError, Actions, Guards, shown};
use crate::monitor::Membership;
use crate::state::Scope;

impl From<ActionError> for PyErr {
    fn from(error: ActionError) -> Self {
        match error {
            ActionError::Busy => PyTimeoutError::new_err(error.to_string()),
            ActionError::Unknown { .. } => PyLookupError::new_err(error.to_string()),
            ActionError::Refused(error) => error.into(),
        }
    }
}

/// The actions of one engine. Safe to use from any thread and after a fork.
#[pyclass(frozen, name = "Actions", module = "lifesigns._core")]
pub struct PyActions(Arc<Actions>);

#[pymethods]
impl PyActions {
    /// Actions of `engine` by `settings`, from its first run on. `callables` are the numbers of those that are written in
    /// Python, by name; `off` is what has switched all of them off in this process.
    #[new]
    fn new(
        engine: &Bound<'_, PyEngine>,
        application: &str,
        settings: &Bound<'_, PyAny>,
        callables: HashMap<String, u64>,
        alerts: Option<&Bound<'_, PyAlerts>>,
        off: Option<String>,
    ) -> PyResult<Self> {
        let settings = parse_actions(settings, application, &callables)?;
        let watches_workers = settings.iter().any(|config| config.plan.ends_process);
        let (engine, alerts) = (engine.get(), alerts.map(|alerts| alerts.get().inner()));
        let inner = engine.inner();
        let actions = Arc::new(Actions::new(&inner, settings, Guards { off }, alerts));
        if watches_workers {
            engine.services().add_later(Arc::new(Interpreter));
            if *inner.scope() != Scope::Process {
                engine.services().add_later(Arc::new(Membership::of(&inner)));
            }
        }
        engine.services().add_later(Arc::new(ActionService::of(actions.clone())));
        Ok(Self(actions))
    }

    /// All actions, and what has switched them off.
    fn configured<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let shown = py.detach(|| shown::actions(&self.0));
        Ok(pythonize(py, &shown)?)
    }

    /// What has run, and what was stopped, the oldest first.
    fn entries<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let shown = py.detach(|| self.0.entries().iter().map(shown::entry).collect::<Vec<Value>>());
        Ok(pythonize(py, &shown)?)
    }

    /// Has an action run once, in the first process that can.
    fn request(&self, py: Python<'_>, name: &str, author: &str) -> PyResult<()> {
        Ok(py.detach(|| self.0.request(name, author))?)
    }

    /// Switches an action off or on, or all of them; false if that has changed nothing.
    #[pyo3(signature = (name, is_on, author))]
    fn switch(&self, py: Python<'_>, name: Option<&str>, is_on: bool, author: &str) -> PyResult<bool> {
        Ok(py.detach(|| self.0.switch(name, is_on, author))?)
    }

    /// Notes which revisions of entries the tables have.
    fn confirm(&self, py: Python<'_>, revisions: BTreeMap<String, u64>) -> PyResult<()> {
        Ok(py.detach(|| self.0.confirm(&revisions))?)
    }
}
