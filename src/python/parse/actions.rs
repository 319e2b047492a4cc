//! The settings of actions from Python, each by its name.

use std::collections::{BTreeMap, HashMap};

use pyo3::prelude::*;
use serde::Deserialize;

use super::input::Input;
use super::wrong;
use crate::actions::{ActionConfig, ActionFields, ActionSettings, build};

/// What starts the message of an error.
const WHAT: &str = "actions";

/// The settings of actions. `callables` are the numbers of those that are written in Python, by name.
pub fn parse_actions(
    data: &Bound<'_, PyAny>,
    application: &str,
    callables: &HashMap<String, u64>,
) -> PyResult<ActionSettings> {
    let entries = match Input::read(data, WHAT)? {
        Input::Map(entries) => entries,
        other => return Err(wrong(WHAT, &format!("it must be a dict, not {}", other.type_name()))),
    };
    let action = |(name, fields): (String, Input)| -> PyResult<(String, ActionConfig)> {
        let fields = ActionFields::deserialize(&fields).map_err(|error| wrong(WHAT, &format!("{name}.{error}")))?;
        let config = build(&name, fields, callables.get(&name).copied());
        Ok((name.clone(), config.map_err(|error| wrong(WHAT, &format!("{name}.{error}")))?))
    };
    let mut all = BTreeMap::new();
    for entry in entries {
        let (name, config) = action(entry)?;
        all.insert(name, config);
    }
    ActionSettings::new(application, all).map_err(|error| wrong(WHAT, &error))
}
