//! What `python -m lifesigns probe` asks, of a probe server or of a store.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use pyo3::prelude::*;

use crate::model::positive_seconds;
use crate::monitor::{self, Lag, Requires};
use crate::probe_server::{Address, ask};
use crate::runtime::diagnostics;

/// Whether a probe server says yes, and one line of why.
#[pyfunction]
pub fn ask_server(py: Python<'_>, address: &str, path: &str, timeout: f64) -> PyResult<(bool, String)> {
    let target: Address = address.parse()?;
    let patience = positive_seconds("timeout", timeout)?;
    Ok(match py.detach(|| ask(&target, path, patience)) {
        Ok(said) => (said.code == 200, said.message),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            (false, format!("{address} does not answer within {timeout} s"))
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => (false, format!("{address} is no probe server")),
        Err(error) => (false, format!("{address} cannot be asked: {}", error.kind())),
    })
}

/// Whether any process that uses a store is alive, or ready, and one line of why.
#[pyfunction]
pub fn ask_store(py: Python<'_>, path: PathBuf, ready: bool, wedged_after: f64) -> PyResult<(bool, String)> {
    let after = positive_seconds("wedged_after", wedged_after)?;
    if !path.is_file() {
        return Ok((false, format!("there is no store {}", path.display())));
    }
    let signs = py.detach(|| monitor::signs(&path));
    let lags: Vec<Lag> = signs.iter().map(|sign| sign.lag.clone()).collect();
    let count = signs.iter().filter(|sign| sign.ready).count();
    Ok(match monitor::wedged(&lags, after, Requires::Any) {
        _ if signs.is_empty() => {
            let why = diagnostics::take().pop().map_or_else(String::new, |diagnostic| format!(": {}", diagnostic.text));
            (false, format!("no process has given a sign of life{why}"))
        }
        Some(wedged) => {
            let longest = wedged.iter().map(|(_, lag)| lag.as_secs()).max().unwrap_or_default();
            (false, format!("no process runs: the interpreter has not for {longest} s"))
        }
        None if !ready => (true, format!("{} of {} processes are alive", alive(&lags, after), lags.len())),
        None => (count > 0, format!("{count} of {} processes are ready", signs.len())),
    })
}

fn alive(lags: &[Lag], after: Duration) -> usize {
    lags.len() - monitor::wedged(lags, after, Requires::All).map_or(0, |wedged| wedged.len())
}
