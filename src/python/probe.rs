//! What `python -m lifesigns probe` needs: one probe of a probe server, or the processes of a store.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use pyo3::prelude::*;

use crate::model::positive_seconds;
use crate::monitor::{self, Lag, Requires};
use crate::probe_server::{self, ProbeAddress};
use crate::runtime::diagnostics;

/// Whether a probe succeeds, and one line of why.
#[pyfunction]
pub fn request_server(py: Python<'_>, address: &str, path: &str, timeout: f64) -> PyResult<(bool, String)> {
    let target: ProbeAddress = address.parse()?;
    let limit = positive_seconds("timeout", timeout)?;
    Ok(match py.detach(|| probe_server::request(&target, path, limit)) {
        Ok(reply) => (reply.code == 200, reply.message),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            (false, format!("{address} did not respond within {timeout} s"))
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => (false, format!("{address} is not a probe server")),
        Err(error) => (false, format!("{address} cannot be reached: {}", error.kind())),
    })
}

/// Whether any process of this container that uses a store is alive, or ready, and one line of why.
#[pyfunction]
pub fn read_store(py: Python<'_>, path: PathBuf, ready: bool, wedged_after: f64) -> PyResult<(bool, String)> {
    let after = positive_seconds("wedged_after", wedged_after)?;
    if !path.is_file() {
        return Ok((false, format!("there is no store {}", path.display())));
    }
    let statuses = py.detach(|| monitor::read_statuses(&path));
    let lags: Vec<Lag> = statuses.iter().map(|status| status.lag.clone()).collect();
    let count = statuses.iter().filter(|status| status.ready).count();
    Ok(match monitor::wedged(&lags, after, Requires::Any) {
        _ if statuses.is_empty() => {
            let why = diagnostics::take().pop().map_or_else(String::new, |diagnostic| format!(": {}", diagnostic.text));
            (false, format!("no process of this container has sent a heartbeat{why}"))
        }
        Some(wedged) => {
            let longest = wedged.iter().map(|(_, lag)| lag.as_secs()).max().unwrap_or_default();
            (false, format!("no process is alive: the interpreter has not run for {longest} s"))
        }
        None if !ready => (true, format!("{} of {} processes are alive", alive(&lags, after), lags.len())),
        None => (count > 0, format!("{count} of {} processes are ready", statuses.len())),
    })
}

fn alive(lags: &[Lag], after: Duration) -> usize {
    lags.len() - monitor::wedged(lags, after, Requires::All).map_or(0, |wedged| wedged.len())
}
