//! Where a measured value stops being healthy.

use serde::{Deserialize, Deserializer};

use crate::model::{Status, in_python};

/// Where a measured value turns a result degraded, and where it turns it into an error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    pub degraded_above: f64,
    pub error_above: f64,
}

impl Thresholds {
    pub const fn new(degraded_above: f64, error_above: f64) -> Self {
        Self { degraded_above, error_above }
    }

    pub fn judge(&self, value: f64) -> Status {
        if value > self.error_above {
            Status::Error
        } else if value > self.degraded_above {
            Status::Degraded
        } else {
            Status::Healthy
        }
    }

    /// The limit that a status shows to be crossed, for the end of a message; nothing where none is.
    pub fn crossed(&self, status: Status, unit: &str) -> String {
        match status {
            Status::Error => format!(" (above {}{unit})", self.error_above),
            Status::Degraded => format!(" (above {}{unit})", self.degraded_above),
            Status::Healthy | Status::Skipped => String::new(),
        }
    }
}

impl<'de> Deserialize<'de> for Thresholds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Raw {
            degraded_above: f64,
            error_above: f64,
        }
        let Raw { degraded_above, error_above } = Raw::deserialize(deserializer)?;
        if !(degraded_above >= 0.0 && degraded_above <= error_above && error_above.is_finite()) {
            return Err(serde::de::Error::custom(format!(
                "degraded_above ({}) must be a number from 0 to error_above ({})",
                in_python(degraded_above),
                in_python(error_above)
            )));
        }
        Ok(Self { degraded_above, error_above })
    }
}
