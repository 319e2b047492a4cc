//! Why the store of a host cannot be used.

use std::io;

/// Why a store cannot be used, without any text of the system's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable(pub String);

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        // The kind is one of a fixed list of texts.
        Self(error.kind().to_string())
    }
}
