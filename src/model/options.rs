//! How a check is run, whatever it does: validated, immutable values.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::breaker_options::BreakerOptions;

/// A wrong specification: its text says what was wrong and what would be right, and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SpecError(pub String);

impl SpecError {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
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
    pub timeout: Duration,
    pub ttl: Duration,
    /// How old a result may be on which readiness rests, where that is more than what the caller accepts.
    pub ready_max_age: Option<Duration>,
    pub breaker: Option<BreakerOptions>,
    pub depends_on: Vec<String>,
    /// Errors in a row before one is shown, and other results in a row before it is shown no more.
    pub failures_before_error: u32,
    pub successes_before_healthy: u32,
}

impl CheckOptions {
    /// A critical check with nothing special about it.
    pub fn new(name: impl Into<String>, timeout: Duration, ttl: Duration) -> Self {
        Self {
            name: name.into(),
            identity: String::new(),
            critical: true,
            timeout,
            ttl,
            ready_max_age: None,
            breaker: None,
            depends_on: Vec::new(),
            failures_before_error: 1,
            successes_before_healthy: 1,
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

/// Check a name that stands in URLs and metrics.
pub fn valid_name(name: &str) -> Result<(), SpecError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.';
    if name.is_empty() || name.len() > 100 || !name.chars().all(plain) {
        return Err(SpecError(format!(
            "the name {name:?} must be 1 to 100 letters, digits, '_', '-' or '.': it stands in URLs and metrics"
        )));
    }
    Ok(())
}

/// A number of seconds as a duration: finite and above 0 (`what` names it in the error).
pub fn positive_seconds(what: &str, value: f64) -> Result<Duration, SpecError> {
    let duration = Duration::try_from_secs_f64(value).ok().filter(|d| !d.is_zero() && *d < Duration::from_secs(86_400));
    duration.ok_or_else(|| {
        let text = format!("{what} must be a number of seconds above 0 and below 86400, not {}", in_python(value));
        SpecError(text.trim_start().to_owned())
    })
}

/// A field that is a number of seconds above 0.
pub fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    // The deserializer puts the name of the field before it.
    positive_seconds("", f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// A number as Python writes it: `nan`, where Rust writes `NaN`.
pub fn in_python(value: f64) -> String {
    value.to_string().to_lowercase()
}
