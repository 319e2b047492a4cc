//! When a circuit breaker opens, and for how long.

use std::time::Duration;

use serde::Deserialize;

use super::spec::{SpecError, in_python, seconds};

/// The largest window: its calls are part of the check's record, which processes share. Each takes 12 bytes of 128 K.
pub const MAX_WINDOW_CALLS: usize = 5_000;

/// A circuit breaker. It opens after `failures` in a row (3), or when `failure_rate` or `slow_call_rate` (0 to 1) of
/// the last `window_calls` (20) calls within `window` (600 s) failed or took longer than `slow_call` (1 s), but not
/// before `minimum_calls` (10). It stays open for `wait` (30 s), doubled with each failed trial up to `max_wait` (600
/// s).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerOptions {
    /// Opens after this many failures in a row.
    pub failures: Option<u32>,
    /// Opens when this share (0 to 1) of the calls in the window failed.
    pub failure_rate: Option<f64>,
    /// Opens when this share (0 to 1) of the calls in the window took longer than `slow_call`.
    pub slow_call_rate: Option<f64>,
    #[serde(deserialize_with = "seconds")]
    pub slow_call: Duration,
    /// The rates are those of the last `window_calls` calls, not older than `window`; at most 5000.
    pub window_calls: usize,
    #[serde(deserialize_with = "seconds")]
    pub window: Duration,
    /// The rates say nothing before this many calls.
    pub minimum_calls: usize,
    /// How long it stays open the first time; doubled with each failed trial.
    #[serde(deserialize_with = "seconds")]
    pub wait: Duration,
    #[serde(deserialize_with = "seconds")]
    pub max_wait: Duration,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self {
            failures: Some(3),
            failure_rate: None,
            slow_call_rate: None,
            slow_call: Duration::from_secs(1),
            window_calls: 20,
            window: Duration::from_secs(600),
            minimum_calls: 10,
            wait: Duration::from_secs(30),
            max_wait: Duration::from_secs(600),
        }
    }
}

impl BreakerOptions {
    pub fn validate(&self) -> Result<(), SpecError> {
        let rate = |name: &str, value: Option<f64>| match value {
            Some(rate) if !(rate > 0.0 && rate <= 1.0) => {
                Err(SpecError(format!("breaker: {name} must be above 0 and at most 1, not {}", in_python(rate))))
            }
            _ => Ok(()),
        };
        rate("failure_rate", self.failure_rate)?;
        rate("slow_call_rate", self.slow_call_rate)?;
        if self.failures.is_none() && self.failure_rate.is_none() && self.slow_call_rate.is_none() {
            return Err(SpecError::new("breaker: one of failures, failure_rate, slow_call_rate must be set"));
        }
        if self.failures == Some(0) || self.minimum_calls == 0 || self.window_calls < self.minimum_calls {
            return Err(SpecError::new(
                "breaker: failures and minimum_calls must be at least 1, window_calls at least minimum_calls",
            ));
        }
        if self.window_calls > MAX_WINDOW_CALLS {
            return Err(SpecError(format!(
                "breaker: window_calls must be at most {MAX_WINDOW_CALLS}, not {}",
                self.window_calls
            )));
        }
        if self.wait.is_zero() || self.max_wait < self.wait {
            return Err(SpecError::new("breaker: wait must be above 0 s and at most max_wait"));
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn validate_window_beyond_what_a_record_holds_is_refused() {
        let options = |window_calls| BreakerOptions { window_calls, ..BreakerOptions::default() };
        assert!(options(MAX_WINDOW_CALLS).validate().is_ok());
        let error = options(MAX_WINDOW_CALLS + 1).validate().unwrap_err();
        assert_eq!(error.to_string(), "breaker: window_calls must be at most 5000, not 5001");
    }
}
