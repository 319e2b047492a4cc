//! How a check is run, whatever it does: validated, immutable values.

use std::time::Duration;

use serde::Deserialize;

use super::alert_options::AlertOptions;
use super::breaker_options::BreakerOptions;
use super::spec::{SpecError, valid_name};

/// How far the result of a check is shared, where its engine shares as far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckScope {
    /// Each process checks for itself.
    Process,
    /// One process checks for all of its host.
    #[default]
    Host,
    /// One process checks for all hosts.
    Fleet,
}

impl CheckScope {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Host => "host",
            Self::Fleet => "fleet",
        }
    }
}

/// How a check is run, whatever it does.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckOptions {
    pub name: String,
    /// What is checked, so that processes which check something else under this name do not share a result with this
    /// one. Never shown; may hold secrets.
    pub identity: String,
    pub critical: bool,
    pub scope: CheckScope,
    pub timeout: Duration,
    pub ttl: Duration,
    /// How old a result may be on which readiness rests, where that is more than what the caller accepts.
    pub ready_max_age: Option<Duration>,
    pub breaker: Option<BreakerOptions>,
    pub depends_on: Vec<String>,
    /// Errors in a row before one is shown, and other results in a row before it is shown no more.
    pub failures_before_error: u32,
    pub successes_before_healthy: u32,
    pub alert: AlertOptions,
    /// Where a person finds what to do about it: part of every alert.
    pub runbook: Option<String>,
    /// Where it looks, for the details of its errors: `host:port`, without credentials.
    pub server: Option<String>,
}

impl CheckOptions {
    /// A critical check with nothing special about it.
    pub fn new(name: impl Into<String>, timeout: Duration, ttl: Duration) -> Self {
        Self {
            name: name.into(),
            identity: String::new(),
            critical: true,
            scope: CheckScope::default(),
            timeout,
            ttl,
            ready_max_age: None,
            breaker: None,
            depends_on: Vec::new(),
            failures_before_error: 1,
            successes_before_healthy: 1,
            alert: AlertOptions::default(),
            runbook: None,
            server: None,
        }
    }

    /// Check what can be wrong about a specification by itself.
    pub fn validate(&self) -> Result<(), SpecError> {
        let name = &self.name;
        valid_name(name)?;
        if self.failures_before_error == 0 || self.successes_before_healthy == 0 {
            return Err(SpecError(format!(
                "{name}: failures_before_error and successes_before_healthy must be at least 1"
            )));
        }
        let breaker = self.breaker.as_ref().map_or(Ok(()), BreakerOptions::validate);
        breaker.map_err(|error| SpecError(format!("{name}: {error}")))
    }
}
