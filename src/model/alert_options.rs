//! When a check alerts, where it differs from all checks.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::incident::Severity;
use super::spec::{SpecError, in_python};

/// The most failures or successes in a row that may be required.
const MAX_IN_A_ROW: u32 = 1_000;
/// The longest time that may be required, in seconds.
const MAX_SECONDS: f64 = 30.0 * 86_400.0;

/// When a check alerts; `None`: as all checks do.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertOptions {
    /// False: it opens no incident.
    pub enabled: Option<bool>,
    /// Failures in a row after which an incident opens.
    #[serde(deserialize_with = "optional_in_a_row")]
    pub failures: Option<u32>,
    /// Successes in a row after which it is resolved.
    #[serde(deserialize_with = "optional_in_a_row")]
    pub successes: Option<u32>,
    /// Seconds of failure after which an incident opens, however few the failures; 0: only their number counts.
    #[serde(deserialize_with = "optional_seconds_from_0")]
    pub seconds: Option<Duration>,
    /// Seconds between two reminders; 0: none.
    #[serde(deserialize_with = "optional_seconds_from_0")]
    pub reminder: Option<Duration>,
    /// Instead of the one that follows from the status and from whether the check is critical.
    pub severity: Option<Severity>,
}

fn optional_in_a_row<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    Option::<i64>::deserialize(deserializer)?.map(in_a_row).transpose().map_err(serde::de::Error::custom)
}

fn optional_seconds_from_0<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    Option::<f64>::deserialize(deserializer)?.map(seconds_from_0).transpose().map_err(serde::de::Error::custom)
}

/// A number of results in a row.
pub fn in_a_row(number: impl Into<i64>) -> Result<u32, SpecError> {
    let number = number.into();
    match u32::try_from(number) {
        Ok(number @ 1..=MAX_IN_A_ROW) => Ok(number),
        _ => Err(SpecError(format!("must be an int from 1 to {MAX_IN_A_ROW}, not {number}"))),
    }
}

/// A number of seconds that may be 0.
pub fn seconds_from_0(seconds: f64) -> Result<Duration, SpecError> {
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if seconds <= MAX_SECONDS => Ok(duration),
        _ => Err(SpecError(format!("must be a number of seconds from 0 to {MAX_SECONDS}, not {}", in_python(seconds)))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn alert_options_each_limit() {
        let parsed: AlertOptions =
            serde_json::from_str(r#"{"failures": 1, "seconds": 0, "reminder": 2592000, "severity": "warning"}"#)
                .unwrap();
        assert_eq!((parsed.failures, parsed.seconds), (Some(1), Some(Duration::ZERO)));
        assert_eq!((parsed.severity, parsed.enabled), (Some(Severity::Warning), None));
        for wrong in [
            r#"{"failures": 0}"#,
            r#"{"successes": 1001}"#,
            r#"{"seconds": -1}"#,
            r#"{"reminder": 2592001}"#,
            r#"{"x": 1}"#,
        ] {
            assert!(serde_json::from_str::<AlertOptions>(wrong).is_err(), "{wrong}");
        }
    }
}
