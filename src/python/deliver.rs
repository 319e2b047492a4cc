//! One attempt to deliver one notice over a channel that is described by its settings.

use std::io;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::parse::{parse, parse_channel};
use crate::delivery::Attempt;
use crate::model::{Notice, positive_seconds};
use crate::runtime::{Context, Process};

/// Attempts to deliver a notice once over the channel that a dict describes.
#[pyfunction]
#[pyo3(signature = (channel, notice, timeout, reference = None))]
pub fn deliver<'py>(
    py: Python<'py>,
    channel: &Bound<'py, PyAny>,
    notice: &Bound<'py, PyAny>,
    timeout: f64,
    reference: Option<String>,
) -> PyResult<Bound<'py, PyDict>> {
    let channel = parse_channel("channel", "channel", channel)?;
    let notice: Notice = parse("notice", notice)?;
    let timeout = positive_seconds("timeout", timeout)?;
    let attempt = py.detach(|| {
        let process = Process::current()?;
        let context = Context::new(process.clone(), timeout);
        Ok::<_, io::Error>(process.runtime.block_on(channel.send(&context, &notice, reference.as_deref())))
    })?;
    attempt_dict(py, &attempt)
}

/// What came of an attempt, as a dict.
fn attempt_dict<'py>(py: Python<'py>, attempt: &Attempt) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let (outcome, answer) = match attempt {
        Attempt::Delivered { answer, reference } => {
            dict.set_item("reference", reference)?;
            ("delivered", answer)
        }
        Attempt::Refused { answer } => ("refused", answer),
        Attempt::Failed { answer, retry_after, may_have_arrived } => {
            dict.set_item("retry_after", retry_after.map(|pause| pause.as_secs_f64()))?;
            dict.set_item("may_have_arrived", may_have_arrived)?;
            ("failed", answer)
        }
    };
    dict.set_item("outcome", outcome)?;
    dict.set_item("answer", answer)?;
    Ok(dict)
}
