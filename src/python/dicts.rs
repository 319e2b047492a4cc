//! Results and reports as Python's dicts.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString};
use pythonize::pythonize;

use crate::report::ResultsOf;
use crate::report::fields::{self, Field, Key};

/// The fields as a dict.
pub(super) fn dict<'py, 'a>(
    py: Python<'py>,
    fields: impl IntoIterator<Item = (Key, Field<'a>)>,
) -> PyResult<Bound<'py, PyDict>> {
    // Each key is one object for all dicts, as in dicts that Python code makes: its hash is known already.
    static KEYS: PyOnceLock<Vec<Py<PyString>>> = PyOnceLock::new();
    let keys = KEYS.get_or_init(py, || Key::NAMES.iter().map(|name| PyString::intern(py, name).unbind()).collect());
    let dict = PyDict::new(py);
    for (key, field) in fields {
        dict.set_item(keys.get(key as usize), object(py, field)?)?;
    }
    Ok(dict)
}

fn object<'py>(py: Python<'py>, field: Field<'_>) -> PyResult<Bound<'py, PyAny>> {
    Ok(match field {
        Field::Text(text) => PyString::new(py, &text).into_any(),
        Field::Number(number) => PyFloat::new(py, number).into_any(),
        Field::Count(count) => PyInt::new(py, count).into_any(),
        Field::Flag(flag) => PyBool::new(py, flag).to_owned().into_any(),
        Field::Details(details) => pythonize(py, details)?,
        Field::Summary(rows) => dict(py, fields::of_summary(rows))?.into_any(),
        Field::Results(ResultsOf(rows, shown)) => {
            let results = PyDict::new(py);
            for row in rows {
                results.set_item(&*row.name, dict(py, fields::of_result(row, shown))?)?;
            }
            results.into_any()
        }
    })
}
