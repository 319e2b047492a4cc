//! What every specification has: names, times, and the error that says what is wrong with one.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// A wrong specification: its text says what was wrong and what would be right, and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SpecError(pub String);

impl SpecError {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Check a name that stands in URLs and metrics.
pub fn valid_name(name: &str) -> Result<(), SpecError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.';
    // Clients of HTTP take away a part of a path that is `.` or `..`.
    if matches!(name, "" | "." | "..") || name.len() > 100 || !name.chars().all(plain) {
        return Err(SpecError(format!(
            "the name {name:?} must be 1 to 100 letters, digits, '_', '-' or '.', but not '.' or '..': it stands in URLs"
        )));
    }
    Ok(())
}

/// The name that was probably meant.
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let distances = known.iter().map(|candidate| (strsim::osa_distance(&lower, &candidate.to_lowercase()), *candidate));
    let (distance, candidate) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= (candidate.len() / 3).max(1)).then_some(candidate)
}

const DAY: Duration = Duration::from_secs(86_400);

/// A number of seconds as a duration: finite and above 0 (`what` names it in the error).
pub fn positive_seconds(what: &str, value: f64) -> Result<Duration, SpecError> {
    seconds_below(DAY, what, value)
}

fn seconds_below(limit: Duration, what: &str, value: f64) -> Result<Duration, SpecError> {
    let duration = Duration::try_from_secs_f64(value).ok().filter(|duration| !duration.is_zero() && *duration < limit);
    duration.ok_or_else(|| {
        let (limit, given) = (limit.as_secs(), in_python(value));
        let text = format!("{what} must be a number of seconds above 0 and below {limit}, not {given}");
        SpecError(text.trim_start().to_owned())
    })
}

/// A field that is a number of seconds above 0.
pub fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    // The deserializer puts the name of the field before it.
    positive_seconds("", f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// A field that is a number of seconds above 0, up to the interval of a yearly job.
pub fn long_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    seconds_below(400 * DAY, "", f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// A number as Python writes it: `nan`, where Rust writes `NaN`.
pub fn in_python(value: f64) -> String {
    value.to_string().to_lowercase()
}
