//! Values that are used and never shown.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// A value that can be used but not shown: it implements neither `Display` nor `Serialize`, and its `Debug` is fixed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the moment in which it is sent.
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
        deserializer.deserialize_any(SecretVisitor)
    }
}

/// Takes a string. serde's own errors quote the offending value, and that may be the secret: none of them is used.
struct SecretVisitor;

impl SecretVisitor {
    fn wrong<E: Error>(self, given: &str) -> Result<Secret, E> {
        Err(E::invalid_type(Unexpected::Other(given), &self))
    }
}

impl Visitor<'_> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Secret, E> {
        Ok(Secret(text))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Secret, E> {
        self.wrong("bool")
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Secret, E> {
        self.wrong("int")
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Secret, E> {
        self.wrong("int")
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Secret, E> {
        self.wrong("float")
    }

    fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<Secret, E> {
        self.wrong("bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn secret_of_the_wrong_type_is_not_quoted() {
        for json in ["4711", "-4711", "4711.5", "[4711]", "{\"a\": 4711}", "true", "null"] {
            let error = serde_json::from_str::<Secret>(json).map(|_| ()).map_err(|error| error.to_string());
            assert!(matches!(&error, Err(text) if !text.contains("4711")), "{json}: {error:?}");
        }
    }
}
