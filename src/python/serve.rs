//! `_core.Server`, the probe server, and the notifications to systemd.

use std::sync::Arc;

use pyo3::prelude::*;
use serde::Deserialize;

use super::engine::PyEngine;
use super::interpreter::Interpreter;
use super::parse::parse;
use crate::model::{Secret, positive_seconds};
use crate::monitor::Requires;
#[cfg(unix)]
use crate::monitor::systemd::Systemd;
use crate::probe_server::{self, Access, ProbeAddress, ShowDetails, Sources};
#[cfg(unix)]
use crate::runtime::Process;
use crate::runtime::background::BackgroundService;

/// A probe server, in every process that uses its engine.
#[pyclass(frozen, name = "Server", module = "lifesigns._core")]
pub struct PyServer {
    server: Arc<probe_server::Server>,
    /// Why it could not listen when it was made.
    #[pyo3(get)]
    refused: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServeOptions {
    tokens: Vec<Secret>,
    networks: Vec<String>,
    show_details: ShowDetails,
    ready_budget: f64,
    ready_max_age: f64,
    wedged_after: f64,
    alive_requires: Requires,
    signal_when_wedged: Option<i32>,
    application: String,
    retries: bool,
}

#[pymethods]
impl PyServer {
    #[new]
    fn new(
        py: Python<'_>,
        engine: &Bound<'_, PyEngine>,
        startup: Option<&Bound<'_, PyEngine>>,
        address: &str,
        options: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let options: ServeOptions = parse("serve", options)?;
        let address: ProbeAddress = address.parse()?;
        let access = Access::new(options.show_details, options.tokens, &options.networks)?;
        let sources = Sources {
            engine: engine.get().inner(),
            startup: startup.map(|engine| engine.get().inner()),
            alerts: engine.get().alerts(),
            budget: positive_seconds("ready_budget", options.ready_budget)?,
            ready_max_age: positive_seconds("ready_max_age", options.ready_max_age)?,
            wedged_after: positive_seconds("wedged_after", options.wedged_after)?,
            alive_requires: options.alive_requires,
            signal_when_wedged: options.signal_when_wedged,
            application: options.application,
        };
        let server = Arc::new(probe_server::Server::new(address, access, sources));
        let refused = match py.detach(|| server.start()) {
            Ok(()) => None,
            Err(error) if options.retries => {
                server.keep_trying()?;
                Some(error.to_string())
            }
            Err(error) => return Err(error.into()),
        };
        engine.get().services().add(server.clone())?;
        Ok(Self { server, refused })
    }

    /// Where it listens: with the port that the kernel chose for port 0.
    #[getter]
    fn address(&self) -> String {
        self.server.address().to_string()
    }

    /// Stops listening in this process.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.server.close());
    }
}

/// Notifies systemd that this process is ready and alive; false if systemd expects no notifications.
#[pyfunction]
#[cfg_attr(not(unix), allow(unused_variables, reason = "there is no systemd"))]
pub fn notify_systemd(
    engine: &Bound<'_, PyEngine>,
    wedged_after: f64,
    alive_requires: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    let wedged_after = positive_seconds("wedged_after", wedged_after)?;
    let requires: Requires = parse("alive_requires", alive_requires)?;
    Interpreter.resume()?;
    #[cfg(unix)]
    if let Some(systemd) = Systemd::from_environment()? {
        let scope = engine.get().inner().scope().clone();
        Process::current()?.spawn(systemd.notify(scope, wedged_after, requires));
        return Ok(true);
    }
    Ok(false)
}

/// Binds the address of probe servers for the processes that are forked from this one; returns it with its port.
#[pyfunction]
#[cfg_attr(not(unix), allow(unused_variables, reason = "nothing is inherited there"))]
pub fn hold_address(py: Python<'_>, address: &str, application: &str) -> PyResult<String> {
    let address: ProbeAddress = address.parse()?;
    #[cfg(unix)]
    return Ok(py.detach(|| probe_server::hold(&address, application))?.to_string());
    #[cfg(not(unix))]
    return Ok(address.to_string());
}
