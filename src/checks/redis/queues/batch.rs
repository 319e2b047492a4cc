//! The commands of one round trip, and their replies by what each was sent for.

use std::collections::BTreeSet;

use redis::{Cmd, Value, cmd};

use crate::checks::redis::errors::refusal;
use crate::checks::redis::link::Link;
use crate::model::CheckError;

/// A command of a batch, by which its reply is read.
#[derive(Clone, Copy)]
pub struct Sent(usize);

/// Commands to be sent at once.
#[derive(Default)]
pub struct Batch {
    commands: Vec<Cmd>,
    names: Vec<&'static str>,
}

impl Batch {
    /// Add `name key arguments ...`.
    pub fn add(&mut self, name: &'static str, arguments: &[&str]) -> Sent {
        let mut command = cmd(name);
        for argument in arguments {
            command.arg(*argument);
        }
        self.commands.push(command);
        self.names.push(name);
        Sent(self.names.len() - 1)
    }

    pub async fn send(self, link: &Link<'_>) -> Result<Replies, CheckError> {
        let values = link.send(&self.commands).await?;
        Ok(Replies { target: link.target.clone(), names: self.names, values })
    }
}

/// Stands in a text before each byte, in hexadecimal, that is not UTF-8.
pub const NOT_UTF8: char = '\u{fffd}';

/// The replies to a batch.
pub struct Replies {
    target: String,
    names: Vec<&'static str>,
    values: Vec<Value>,
}

impl Replies {
    /// A number; what does not exist is 0.
    pub fn count(&self, sent: Sent) -> Result<u64, CheckError> {
        match self.value(sent)? {
            Value::Nil => Ok(0),
            value => number(value).ok_or_else(|| self.wrong()),
        }
    }

    /// A text; `None` where there is none, or none that is UTF-8.
    pub fn text(&self, sent: Sent) -> Result<Option<&str>, CheckError> {
        self.value(sent).map(text)
    }

    /// The texts of a list; what is not UTF-8 is left out.
    pub fn texts(&self, sent: Sent) -> Result<Vec<&str>, CheckError> {
        Ok(self.list(sent)?.iter().filter_map(text).collect())
    }

    /// The parts of a list as they are.
    pub fn list(&self, sent: Sent) -> Result<&[Value], CheckError> {
        match self.value(sent)? {
            Value::Array(parts) | Value::Set(parts) => Ok(parts),
            Value::Nil => Ok(&[]),
            _ => Err(self.wrong()),
        }
    }

    /// Whether a command was allowed and did not fail; else its name is noted as forbidden where an ACL forbids it. For
    /// commands that say something beside what the check is about: what they fail to say is left out.
    pub fn is_known(&self, sent: Sent, forbidden: &mut BTreeSet<&'static str>) -> Result<bool, CheckError> {
        let Some(Value::ServerError(error)) = self.values.get(sent.0) else { return Ok(true) };
        match self.value(sent) {
            Err(CheckError::Rejected { .. }) => {
                if error.code() == "NOPERM" {
                    forbidden.extend(self.names.get(sent.0));
                }
                Ok(false)
            }
            other => other.map(|_| true),
        }
    }

    fn value(&self, sent: Sent) -> Result<&Value, CheckError> {
        match (self.values.get(sent.0), self.names.get(sent.0)) {
            (Some(Value::ServerError(error)), Some(name)) => Err(refusal(&self.target, name, error)),
            (Some(value), _) => Ok(value),
            (None, _) => Err(self.wrong()),
        }
    }

    fn wrong(&self) -> CheckError {
        CheckError::Protocol { target: self.target.clone(), expected: "Redis".into() }
    }
}

/// The text of a reply.
pub fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        _ => None,
    }
}

/// The text of a reply, with a mark before each byte that is not UTF-8.
pub fn lossy(value: &Value) -> Option<String> {
    let Value::BulkString(bytes) = value else { return text(value).map(str::to_owned) };
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("{NOT_UTF8}{byte:02x}"));
        }
    }
    Some(text)
}

/// A whole number from 0.
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        other => text(other)?.parse().ok(),
    }
}

/// A score of a sorted set, or a time in seconds.
pub fn seconds(value: &Value) -> Option<f64> {
    match value {
        Value::Double(number) => Some(*number),
        Value::Int(number) => Some(*number as f64),
        other => text(other)?.parse().ok(),
    }
    .filter(|number: &f64| number.is_finite())
}
