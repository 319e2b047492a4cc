//! The fleet of an engine, as it is configured.

use std::sync::Arc;

use pyo3::prelude::*;
use serde::Deserialize;

use super::parse::parse;
use crate::checks::FleetServer;
use crate::state::backend::fleet::FleetStore;
use crate::state::{Fleet, Scope};

/// What `Engine(fleet=...)` hands over.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetOptions {
    /// What the hosts of the fleet have in common.
    application: String,
    /// Of this host.
    name: Option<String>,
    zone: Option<String>,
}

/// The fleet of an engine whose host has that scope.
pub fn fleet(options: &Bound<'_, PyAny>, server: &Bound<'_, PyAny>, scope: Scope) -> PyResult<Fleet> {
    let FleetOptions { application, name, zone } = parse("fleet", options)?;
    let server: FleetServer = parse("fleet", server)?;
    let name = name.unwrap_or_else(|| whoami::hostname().unwrap_or_default());
    Ok(Fleet::new(FleetStore::new(application, Arc::new(server)), name, zone, scope))
}
