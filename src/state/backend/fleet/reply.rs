//! What Redis replies, as our values.

use redis::Value;

use crate::model::CheckError;

pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::SimpleString(text) => Some(text.clone()),
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    }
}

pub fn bytes(value: &Value) -> Option<Vec<u8>> {
    if let Value::BulkString(bytes) = value { Some(bytes.clone()) } else { None }
}

/// A number, also as the text that a script makes of it. Negative: none.
pub fn integer(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        value => text(value)?.parse().ok(),
    }
}

/// The error of a server whose replies are not those of Redis.
pub fn unexpected(target: &str) -> CheckError {
    CheckError::Protocol { target: target.to_owned(), expected: "Redis with scripts".into() }
}
