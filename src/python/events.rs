//! Events as Python's dicts.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::model::{Event, EventKind};

/// `kind` (``status``, ``breaker``, ``readiness``, ``incident``, ``draining``), `sequence`, `at` (seconds since 1970), and what the
/// kind has beside them.
pub(super) fn dict<'py>(py: Python<'py>, event: &Event) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("sequence", event.sequence)?;
    dict.set_item("at", seconds(event.at))?;
    match &event.kind {
        EventKind::Status { check, from, to, raw, since, message, error_type } => {
            dict.set_item("kind", "status")?;
            dict.set_item("check", &**check)?;
            dict.set_item("from", from.map(|status| status.as_str()))?;
            dict.set_item("to", to.as_str())?;
            dict.set_item("raw", raw.as_str())?;
            dict.set_item("since", since.map(seconds))?;
            dict.set_item("message", message)?;
            dict.set_item("error_type", error_type.as_deref())?;
        }
        EventKind::Breaker { check, transition } => {
            dict.set_item("kind", "breaker")?;
            dict.set_item("check", &**check)?;
            dict.set_item("from", transition.from.as_str())?;
            dict.set_item("to", transition.to.as_str())?;
        }
        EventKind::Readiness { ready, failing, since } => {
            dict.set_item("kind", "readiness")?;
            dict.set_item("ready", ready)?;
            dict.set_item("failing", failing.iter().map(Arc::as_ref).collect::<Vec<&str>>())?;
            dict.set_item("since", since.map(seconds))?;
        }
        EventKind::Incident(incident) => {
            dict.set_item("kind", "incident")?;
            dict.set_item("check", &incident.check)?;
            dict.set_item("incident", &incident.incident)?;
            dict.set_item("change", incident.change)?;
            dict.set_item("state", incident.state)?;
            dict.set_item("severity", incident.severity.as_str())?;
            dict.set_item("message", &incident.message)?;
            dict.set_item("since", seconds(incident.since))?;
            dict.set_item("channel", incident.channel.as_deref())?;
        }
        EventKind::Draining => dict.set_item("kind", "draining")?,
    }
    Ok(dict)
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
