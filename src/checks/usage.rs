//! How a measured usage stands in messages and details.

use crate::model::Status;

/// Two decimals.
pub fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Bytes as GB (of 1024 to the power of three), two decimals.
pub fn gigabytes(bytes: u64) -> f64 {
    round(bytes as f64 / f64::from(1 << 30))
}

/// What a message calls it.
pub fn level(status: Status) -> &'static str {
    match status {
        Status::Error => "critical",
        Status::Degraded => "high",
        Status::Healthy | Status::Skipped => "normal",
    }
}
