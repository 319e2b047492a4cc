//! Results and reports as Python's dicts.

use std::sync::OnceLock;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString};
use pythonize::pythonize;

use crate::policy::report::ResultsOf;
use crate::policy::report::fields::{self, Field, Key};

/// Each key is one object for all dicts, as in dicts that Python code makes: its hash is known already.
///
/// Made when the module is loaded, not on first use: the child of a fork at that moment would wait for ever for the
/// thread that is making them (in 3 of 3,500 processes that forked while others first ran checks, one did).
static KEYS: OnceLock<Vec<Py<PyString>>> = OnceLock::new();

/// Makes the keys. To be called before anything else here.
pub(super) fn make_keys(py: Python<'_>) {
    // A second interpreter of this process finds those of the first.
    let _ = KEYS.set(Key::NAMES.iter().map(|name| PyString::intern(py, name).unbind()).collect());
}

/// The fields as a dict.
pub(super) fn dict<'py, 'a>(
    py: Python<'py>,
    fields: impl IntoIterator<Item = (Key, Field<'a>)>,
) -> PyResult<Bound<'py, PyDict>> {
    let keys = KEYS.get().map_or(&[][..], Vec::as_slice);
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
        Field::LastError(error) => dict(py, fields::of_last_error(error))?.into_any(),
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
