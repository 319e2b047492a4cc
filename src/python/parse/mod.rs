//! Data from Python as Rust values; what is wrong is a `ValueError` in Python's words.
//!
//! Every error names the field, what was given and what would be right: the name of a type where the type is wrong, a
//! number where it is out of range, never a string, since that may be a secret in the wrong place.

mod alerts;
mod error;
mod fields;
mod input;

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde::de::DeserializeOwned;

use crate::checks::{self, Check, KINDS};
pub(super) use alerts::parse_alerts;
use error::{Error, nearest};
use input::Input;

/// Data from Python as a Rust value. `what` starts the message of an error.
pub(super) fn parse<T: DeserializeOwned>(what: &str, data: &Bound<'_, PyAny>) -> PyResult<T> {
    T::deserialize(&Input::read(data, what)?).map_err(|error| wrong(what, &error))
}

/// The check of a specification, `{"kind": ..., ...}`.
pub(super) fn parse_check(what: &str, data: &Bound<'_, PyAny>) -> PyResult<Arc<dyn Check>> {
    let fields = match Input::read(data, what)? {
        Input::Map(fields) => fields,
        other => return Err(wrong(what, &format!("a spec must be a dict, not {}", other.type_name()))),
    };
    let (kind, fields): (Vec<_>, Vec<_>) = fields.into_iter().partition(|(name, _)| name == "kind");
    let kind = match kind.into_iter().next() {
        Some((_, Input::Text(kind))) => kind,
        Some((_, other)) => return Err(wrong(what, &format!("kind must be a str, not {}", other.type_name()))),
        None => return Err(wrong(what, &format!("kind is required, one of {}", KINDS.join(", ")))),
    };
    match checks::build::<_, Error>(&kind, &Input::Map(fields)) {
        Some(check) => check.map_err(|error| wrong(what, &error)),
        None => {
            let hint = match nearest(&kind, KINDS) {
                Some(name) => format!("did you mean '{name}'?"),
                None => format!("known are {}", KINDS.join(", ")),
            };
            Err(wrong(what, &format!("unknown kind '{kind}': {hint}")))
        }
    }
}

fn wrong(what: &str, error: &impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(format!("{what}: {error}"))
}
