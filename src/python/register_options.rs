//! The options of `Engine.register`: how a check is run.

use std::time::Duration;

use serde::Deserialize;

use crate::model::{AlertOptions, BreakerOptions, CheckOptions, CheckScope, SpecError, positive_seconds};

/// How a check is run: the options of `register` beside the name and what it does.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterOptions {
    critical: bool,
    #[serde(default)]
    scope: Option<CheckScope>,
    timeout: Option<f64>,
    ttl: Option<f64>,
    #[serde(default)]
    ready_max_age: Option<f64>,
    breaker: Option<BreakerOptions>,
    depends_on: Vec<String>,
    failures_before_error: u32,
    successes_before_healthy: u32,
    #[serde(default)]
    alert: Option<AlertOptions>,
    #[serde(default)]
    runbook: Option<String>,
    #[serde(default)]
    server: Option<String>,
}

impl RegisterOptions {
    /// The same as the engine takes them, with the engine's own timeout and time to live where none is given, and this
    /// scope.
    pub fn check_options(
        self,
        name: &str,
        identity: String,
        default_timeout: Duration,
        default_ttl: Duration,
        default_scope: CheckScope,
    ) -> Result<CheckOptions, SpecError> {
        let seconds =
            |what: &str, value: Option<f64>| value.map(|value| positive_seconds(&format!("{name}: {what}"), value));
        let timeout = seconds("timeout", self.timeout).transpose()?.unwrap_or(default_timeout);
        let ttl = seconds("ttl", self.ttl).transpose()?.unwrap_or(default_ttl);
        Ok(CheckOptions {
            identity,
            critical: self.critical,
            scope: self.scope.unwrap_or(default_scope),
            ready_max_age: seconds("ready_max_age", self.ready_max_age).transpose()?,
            breaker: self.breaker,
            depends_on: self.depends_on,
            failures_before_error: self.failures_before_error,
            successes_before_healthy: self.successes_before_healthy,
            alert: self.alert.unwrap_or_default(),
            runbook: self.runbook,
            server: self.server,
            ..CheckOptions::new(name, timeout, ttl)
        })
    }
}
