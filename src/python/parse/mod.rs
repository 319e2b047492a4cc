//! Data from Python as Rust values; what is wrong is a `ValueError` in Python's words.
//!
//! Every error names the field, what was given and what would be right: the name of a type where the type is wrong, a
//! number where it is out of range, never a string, since that may be a secret in the wrong place.

mod actions;
mod alerts;
mod error;
mod fields;
mod input;
mod words;

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde::de::DeserializeOwned;

use crate::checks::{self, Check, KINDS};
use crate::delivery::Channel;
use crate::delivery::config::{self, TYPES};
pub(super) use actions::parse_actions;
pub(super) use alerts::parse_alerts;
use error::{Error, nearest};
use input::Input;

/// The types of channels that are callables, and come by their numbers.
const TYPES_IN_PYTHON: [&str; 2] = ["apprise", "python"];

/// Data from Python as a Rust value. `what` starts the message of an error.
pub(super) fn parse<T: DeserializeOwned>(what: &str, data: &Bound<'_, PyAny>) -> PyResult<T> {
    T::deserialize(&Input::read(data, what)?).map_err(|error| wrong(what, &error))
}

/// The check of a specification, `{"kind": ..., ...}`.
pub(super) fn parse_check(what: &str, data: &Bound<'_, PyAny>) -> PyResult<Arc<dyn Check>> {
    let (kind, fields) = tagged(what, "a spec", "kind", KINDS, Input::read(data, what)?)?;
    let check = checks::build::<_, Error>(&kind, &fields);
    check.ok_or_else(|| unknown(what, "kind", &kind, KINDS))?.map_err(|error| wrong(what, &error))
}

/// The channel `name` of alerts, `{"type": ..., ...}`.
fn channel(what: &str, name: &str, data: Input) -> PyResult<Box<dyn Channel>> {
    let known = [TYPES, &TYPES_IN_PYTHON].concat();
    let (kind, fields) = tagged(what, "a channel", "type", &known, data)?;
    let channel = config::build::<_, Error>(&kind, name, &fields);
    channel.ok_or_else(|| unknown(what, "type", &kind, &known))?.map_err(|error| wrong(what, &error))
}

/// The word that a dict has under `tag`, and its other fields.
fn tagged(what: &str, thing: &str, tag: &str, known: &[&str], data: Input) -> PyResult<(String, Input)> {
    let fields = match data {
        Input::Map(fields) => fields,
        other => return Err(wrong(what, &format!("{thing} must be a dict, not {}", other.type_name()))),
    };
    let (word, fields): (Vec<_>, Vec<_>) = fields.into_iter().partition(|(name, _)| name == tag);
    match word.into_iter().next() {
        Some((_, Input::Text(word))) => Ok((word, Input::Map(fields))),
        Some((_, other)) => Err(wrong(what, &format!("{tag} must be a str, not {}", other.type_name()))),
        None => Err(wrong(what, &format!("{tag} is required, one of {}", known.join(", ")))),
    }
}

fn unknown(what: &str, tag: &str, word: &str, known: &[&str]) -> PyErr {
    let hint = match nearest(word, known) {
        Some(name) => format!("did you mean '{name}'?"),
        None => format!("known are {}", known.join(", ")),
    };
    wrong(what, &format!("unknown {tag} '{word}': {hint}"))
}

fn wrong(what: &str, error: &impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(format!("{what}: {error}"))
}
