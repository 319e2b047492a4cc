//! Values that are used and never shown.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Deserializer};

/// A value that can be used but not shown: it implements neither `Display` nor `Serialize`, and its `Debug` is fixed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the moment in which it goes on the wire.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(...)")
    }
}

impl Hash for Secret {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde quotes the offending value in "invalid type" errors; a secret must not end up there. That it is missing
        // altogether is said by serde, too.
        String::deserialize(deserializer).map(Self).map_err(|error: D::Error| {
            let missing = error.to_string().starts_with("missing field");
            if missing { error } else { serde::de::Error::custom("a secret must be a string") }
        })
    }
}
