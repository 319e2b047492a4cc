//! Results on their way to a history that Python writes.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::dicts::dict;
use super::engine::PyEngine;
use super::not_negative;
use crate::engine::recording::RecordingTurns;
use crate::policy::report::{Row, Shown, fields};
use crate::state::UnrecordedResult;

/// The name of a check, its result, and whether no other process that shares will record it.
type Unrecorded<'py> = (String, Bound<'py, PyDict>, bool);

/// Gathers the results of all processes that share, until another one claims `name`; the callable is to fetch them.
#[pyfunction]
pub fn start_recording(
    py: Python<'_>,
    engine: &Bound<'_, PyEngine>,
    name: String,
    callable: u64,
    pause: f64,
    every: f64,
) -> PyResult<()> {
    let (pause, every) = (not_negative("pause", pause)?, not_negative("every", every)?);
    let engine = engine.get().inner();
    Ok(py.detach(|| engine.start_recording(RecordingTurns { name, pause, every, callable }))?)
}

/// Whether this process gathers results.
#[pyfunction]
pub fn is_recording(engine: &Bound<'_, PyEngine>) -> bool {
    engine.get().inner().is_recording()
}

/// The results that were gathered since the last call, oldest first; with `reads` also what is known of each check and was not
/// returned before.
#[pyfunction]
pub fn take_results<'py>(
    py: Python<'py>,
    engine: &Bound<'py, PyEngine>,
    reads: bool,
) -> PyResult<Vec<Unrecorded<'py>>> {
    let engine = engine.get().inner();
    let results = py.detach(|| engine.take_unrecorded(reads));
    let results = results.into_iter().map(|UnrecordedResult { name, outcome, since, is_claimed }| {
        let row = Row { since, ..Row::new(name, false, outcome) };
        Ok((row.name.to_string(), dict(py, fields::of_result(&row, Shown::Everything))?, is_claimed))
    });
    results.collect()
}
