//! Fields that specifications of several checks have.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::model::positive_seconds;

/// A number of seconds above 0.
pub fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    positive_seconds("a time", f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// The default of a flag that is on.
pub fn yes() -> bool {
    true
}
