//! How a measured usage is formatted in messages and details.

use crate::model::Status;

/// Rounds to two decimals.
pub fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Converts bytes to GB (of 1024 to the power of three), two decimals.
pub fn gigabytes(bytes: u64) -> f64 {
    round(bytes as f64 / f64::from(1 << 30))
}

/// The word for a status in messages about usage.
pub fn level(status: Status) -> &'static str {
    match status {
        Status::Error => "critical",
        Status::Degraded => "high",
        Status::Healthy | Status::Skipped => "normal",
    }
}
