//! The settings of alerts from Python: the channels by their types, and the rest.

use std::collections::HashMap;
use std::sync::Arc;

use pyo3::prelude::*;

use super::error::{Error, PathStep, nearest};
use super::input::Input;
use super::wrong;
use crate::delivery::Channel;
use crate::delivery::callable::CallableChannel;
use crate::delivery::config::{self, TYPES};
use crate::delivery::settings::AlertSettings;
use crate::model::valid_name;

/// What starts the message of an error.
const WHAT: &str = "alerts";
/// The type of a channel that is written in Python.
const PYTHON: &str = "python";

/// The settings of alerts. `callables` are the numbers of the channels that are written in Python, by name.
pub fn parse_alerts(
    data: &Bound<'_, PyAny>,
    application: &str,
    callables: &HashMap<String, u64>,
) -> PyResult<AlertSettings> {
    let fields = match Input::read(data, WHAT)? {
        Input::Map(fields) => fields,
        other => return Err(wrong(WHAT, &format!("must be a dict, not {}", other.type_name()))),
    };
    let (channels, fields): (Vec<_>, Vec<_>) = fields.into_iter().partition(|(name, _)| name == "CHANNELS");
    let channels = match channels.into_iter().next() {
        None => Vec::new(),
        Some((_, Input::Map(channels))) => channels,
        Some((_, other)) => {
            let text = format!("CHANNELS must be a dict of channels by name, not {}", other.type_name());
            return Err(wrong(WHAT, &text));
        }
    };
    let channels = channels.into_iter().map(|(name, fields)| channel(&name, fields, callables));
    let channels = channels.collect::<PyResult<_>>()?;
    AlertSettings::parse::<&Input>(application, &Input::Map(fields), channels).map_err(|error| wrong(WHAT, &error))
}

fn channel(name: &str, fields: Input, callables: &HashMap<String, u64>) -> PyResult<Arc<dyn Channel>> {
    let wrong_channel = |text: &str| wrong(WHAT, &format!("CHANNELS.{name}{text}"));
    valid_name(name).map_err(|error| wrong(WHAT, &format!("CHANNELS: {error}")))?;
    let fields = match fields {
        Input::Map(fields) => fields,
        other => return Err(wrong_channel(&format!(" must be a dict, not {}", other.type_name()))),
    };
    let (kind, fields): (Vec<_>, Vec<_>) = fields.into_iter().partition(|(name, _)| name == "type");
    let known = || TYPES.join(", ");
    let kind = match kind.into_iter().next() {
        Some((_, Input::Text(kind))) => kind,
        Some((_, other)) => return Err(wrong_channel(&format!(".type must be a str, not {}", other.type_name()))),
        None => return Err(wrong_channel(&format!(".type is required, one of {}", known()))),
    };
    if let Some(id) = callables.get(name).filter(|_| kind == PYTHON) {
        return Ok(Arc::new(CallableChannel::new(name, *id)));
    }
    match config::build::<_, Error>(&kind, name, &Input::Map(fields)) {
        Some(built) => built.map(Arc::from).map_err(|error| {
            let error = error.below(PathStep::Field(name.to_owned())).below(PathStep::Field("CHANNELS".to_owned()));
            wrong(WHAT, &error)
        }),
        None => {
            let hint = match nearest(&kind, TYPES) {
                Some(right) => format!("did you mean '{right}'?"),
                None => format!("known are {}", known()),
            };
            Err(wrong_channel(&format!(".type has no channel '{kind}': {hint}")))
        }
    }
}
