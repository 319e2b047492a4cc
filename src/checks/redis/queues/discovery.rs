//! Queues that are found in Redis, and remembered by this process: one bounded step of a scan in each run.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use redis::Value;

use super::batch::{Batch, Replies, Sent, text};
use super::{QUEUES, Queues};
use crate::checks::redis::RedisServerOptions;
use crate::checks::redis::link::Link;
use crate::model::CheckError;
use crate::runtime::{Context, lock};

/// How many keys one step looks at: it takes a server less than 1 ms.
const STEP: &str = "2000";
/// How many members are read of a set that may have any number.
pub const MEMBERS: &str = "500";
/// How many keys that lead to queues are remembered.
const KEYS: usize = 100;

#[derive(Default)]
struct Known {
    names: BTreeSet<String>,
    /// Sets whose members name queues.
    keys: BTreeSet<String>,
    cursor: String,
}

/// What this process has found of one server.
pub struct Discovery {
    known: Arc<Mutex<Known>>,
    is_on: bool,
    has_scan: bool,
}

impl Discovery {
    pub fn new(context: &Context, server: &RedisServerOptions, queues: &Queues<'_>, link: &Link<'_>) -> Self {
        let key = format!("queues {server:?} {:?} {:?}", queues.layout, queues.prefix);
        // A scan is of one node.
        Self { known: context.process.shared(&key), is_on: queues.discover, has_scan: !link.is_cluster() }
    }

    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// The names that are configured, then those that were found.
    pub fn names(&self, queues: &Queues<'_>) -> Vec<String> {
        let mut names: Vec<String> = queues.names.to_vec();
        if self.is_on {
            names.extend(lock(&self.known).names.iter().filter(|name| !queues.names.contains(name)).cloned());
        }
        names.truncate(QUEUES);
        names
    }

    /// Remembers names, and returns those that are not among `measured`.
    pub fn add(&self, found: impl IntoIterator<Item = String>, measured: &[String]) -> Vec<String> {
        let mut known = lock(&self.known);
        let room = QUEUES.saturating_sub(measured.len());
        let plain = |name: &String| !name.is_empty() && name.len() <= 200;
        let new: BTreeSet<String> = found.into_iter().filter(|name| plain(name) && !measured.contains(name)).collect();
        let new: Vec<String> = new.into_iter().take(room).collect();
        known.names.extend(new.iter().cloned());
        new
    }

    /// The sets whose members name queues, as far as they were found.
    pub fn keys(&self) -> Vec<String> {
        lock(&self.known).keys.iter().cloned().collect()
    }

    /// Add the next step of the scan for keys `prefix* suffix`.
    pub fn scan(&self, batch: &mut Batch, prefix: &str, suffix: &str) -> Option<Sent> {
        if !self.is_on || !self.has_scan {
            return None;
        }
        let cursor = Some(lock(&self.known).cursor.clone()).filter(|cursor| !cursor.is_empty());
        let pattern = format!("{}*{}", escaped(prefix), escaped(suffix));
        Some(batch.add("SCAN", &[cursor.as_deref().unwrap_or("0"), "MATCH", &pattern, "COUNT", STEP]))
    }

    /// The keys that the step found; the next run takes the next one.
    pub fn scanned(
        &self,
        replies: &Replies,
        sent: Option<Sent>,
        forbidden: &mut BTreeSet<&'static str>,
    ) -> Result<Vec<String>, CheckError> {
        let Some(sent) = sent else { return Ok(Vec::new()) };
        if !replies.is_known(sent, forbidden)? {
            return Ok(Vec::new());
        }
        let [cursor, Value::Array(keys)] = replies.list(sent)? else { return Ok(Vec::new()) };
        let number = |cursor: &&str| cursor.len() <= 20 && cursor.bytes().all(|byte| byte.is_ascii_digit());
        lock(&self.known).cursor = text(cursor).filter(number).unwrap_or_default().to_owned();
        Ok(keys.iter().filter_map(text).map(str::to_owned).collect())
    }

    /// Remembers sets whose members name queues, and returns the new ones.
    pub fn add_keys(&self, found: Vec<String>) -> Vec<String> {
        let mut known = lock(&self.known);
        let room = KEYS.saturating_sub(known.keys.len());
        let new: Vec<String> = found.into_iter().filter(|key| !known.keys.contains(key)).take(room).collect();
        known.keys.extend(new.iter().cloned());
        new
    }
}

/// A text that a glob pattern of Redis matches as it stands.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_prefix_is_no_pattern() {
        assert_eq!(escaped("shop:{1}_kombu.binding."), "shop:{1}_kombu.binding.");
        assert_eq!(escaped(r"a*b?[c]\"), r"a\*b\?\[c\]\\");
    }
}
