//! The settings of alerts from Python: the channels by their types, and the rest.

use std::collections::HashMap;
use std::sync::Arc;

use pyo3::prelude::*;

use super::input::Input;
use super::{channel, wrong};
use crate::delivery::Channel;
use crate::delivery::callable::CallableChannel;
use crate::delivery::settings::AlertSettings;
use crate::model::valid_name;

/// What starts the message of an error.
const WHAT: &str = "alerts";

/// The settings of alerts. `application` is that of settings which name none, and `callables` are the numbers of the
/// channels that are written in Python, by name.
pub fn parse_alerts(
    data: &Bound<'_, PyAny>,
    application: &str,
    callables: &HashMap<String, u64>,
) -> PyResult<AlertSettings> {
    let fields = match Input::read(data, WHAT)? {
        Input::Map(fields) => fields,
        other => return Err(must_be("it", "a dict", &other)),
    };
    let (channels, fields): (Vec<_>, Vec<_>) = fields.into_iter().partition(|(name, _)| name == "CHANNELS");
    let channels = match channels.into_iter().next() {
        None => Vec::new(),
        Some((_, Input::Map(channels))) => channels,
        Some((_, other)) => return Err(must_be("CHANNELS", "a dict of channels by name", &other)),
    };
    let build = |(name, fields): (String, Input)| -> PyResult<Arc<dyn Channel>> {
        valid_name(&name).map_err(|error| wrong(WHAT, &format!("CHANNELS: {error}")))?;
        match callables.get(&name) {
            Some(id) => Ok(Arc::new(CallableChannel::new(&name, *id))),
            None => Ok(Arc::from(channel(&format!("{WHAT}: CHANNELS.{name}"), &name, fields)?)),
        }
    };
    let channels = channels.into_iter().map(build).collect::<PyResult<_>>()?;
    AlertSettings::parse::<&Input>(application, &Input::Map(fields), channels).map_err(|error| wrong(WHAT, &error))
}

fn must_be(field: &str, expected: &str, given: &Input) -> PyErr {
    wrong(WHAT, &format!("{field} must be {expected}, not {}", given.type_name()))
}
