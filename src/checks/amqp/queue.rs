//! What a broker says of a queue, and of a message that is published to be returned.

use serde_json::{Value, json};

use super::errors::{ACCESS_REFUSED, NOT_FOUND, RESOURCE_LOCKED};

/// A queue as the broker knows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AmqpQueue {
    /// Messages that are ready, and consumers.
    Found {
        messages: u32,
        consumers: u32,
    },
    Missing,
    /// It belongs to another connection alone, and shows nothing to this one.
    Exclusive,
    NotPermitted,
}

impl AmqpQueue {
    /// What the code means with which the broker closes the channel of a passive declaration.
    pub fn of_code(code: u16) -> Option<Self> {
        match code {
            NOT_FOUND => Some(Self::Missing),
            RESOURCE_LOCKED => Some(Self::Exclusive),
            ACCESS_REFUSED => Some(Self::NotPermitted),
            _ => None,
        }
    }

    pub fn details(self) -> Value {
        match self {
            Self::Found { messages, consumers } => json!({"messages": messages, "consumers": consumers}),
            Self::Missing => json!({"state": "missing"}),
            Self::Exclusive => json!({"state": "exclusive to another connection"}),
            Self::NotPermitted => json!({"state": "not permitted"}),
        }
    }
}

/// What became of a message that was published to be returned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Published {
    Returned,
    NotPermitted,
}
