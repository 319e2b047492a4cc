//! Queues that are found in Redis: a bounded step of a scan, and of the sets whose members name queues, in each run.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use redis::Value;

use super::batch::{Batch, NOT_UTF8, Replies, Sent, lossy, text};
use super::known::Known;
use super::{QUEUES, QueueLayout, Queues};
use crate::checks::redis::RedisServerOptions;
use crate::checks::redis::link::Link;
use crate::model::CheckError;
use crate::runtime::{Context, lock};

/// How many keys one step looks at: it takes a server less than 1 ms.
const STEP: &str = "2000";
/// How many members one step reads of a set that may have any number.
pub const MEMBERS: &str = "500";
/// How many sets are read in one step.
const SETS: usize = 100;

/// What this process has found of one server.
pub struct Discovery {
    known: Arc<Mutex<Known>>,
    /// The last of the queues that have had their turn to be measured by checks of this kind.
    last: Arc<Mutex<String>>,
    is_on: bool,
    has_scan: bool,
}

/// A step that was sent, and the cursor with which it was.
pub struct ScanStep {
    sent: Sent,
    cursor: String,
}

/// A step of a set.
pub struct SetStep {
    key: String,
    step: ScanStep,
}

impl SetStep {
    pub fn sent(&self) -> Sent {
        self.step.sent
    }
}

impl Discovery {
    /// `purpose` names the kind of check: the kinds share what they find, and each takes the queues in turn by itself.
    pub fn new(
        context: &Context,
        server: &RedisServerOptions,
        queues: &Queues<'_>,
        link: &Link<'_>,
        purpose: &str,
    ) -> Self {
        let key = format!("queues {server:?} {:?} {:?}", queues.layout, queues.prefix);
        Self {
            known: context.process.shared(&key),
            last: context.process.shared(&format!("{purpose} {key}")),
            is_on: queues.discover,
            // A scan is of one node; RQ has a set of its queues.
            has_scan: !link.is_cluster() && queues.layout != QueueLayout::Rq,
        }
    }

    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// The names that are configured, then those that were found; some of these in turn, where they are many.
    pub fn names(&self, queues: &Queues<'_>) -> Vec<String> {
        if !self.is_on {
            return queues.names.to_vec();
        }
        let mut last = lock(&self.last);
        lock(&self.known).select(queues.names, &mut last)
    }

    /// Notes names that were found, and returns those that are to be measured beside `measured`.
    pub fn add(&self, found: impl IntoIterator<Item = String>, measured: &[String]) -> Vec<String> {
        let room = QUEUES.saturating_sub(measured.len());
        let mut known = lock(&self.known);
        let found = known.add(found);
        known.end_step();
        found.into_iter().filter(|name| !measured.contains(name)).take(room).collect()
    }

    /// Notes the depths of queues, by which the deepest ones are measured in each run.
    pub fn note(&self, depths: &[(String, u64)]) {
        lock(&self.known).note(depths);
    }

    /// How many queues are known and not `measured`.
    pub fn not_measured(&self, measured: &[String]) -> u64 {
        if self.is_on { lock(&self.known).not_measured(measured) } else { 0 }
    }

    /// Add the next step of the scan for keys `prefix* suffix`, unless it is through in this round, or enough of what it
    /// found is still to be read.
    pub fn scan(&self, batch: &mut Batch, prefix: &str, suffix: &str) -> Option<ScanStep> {
        if !self.is_on || !self.has_scan {
            return None;
        }
        let known = lock(&self.known);
        let cursor = known.cursor.clone().filter(|_| known.sets.len() < SETS)?;
        let pattern = format!("{}*{}", escaped(prefix), escaped(suffix));
        let start = if cursor.is_empty() { "0" } else { &cursor };
        Some(ScanStep { sent: batch.add("SCAN", &[start, "MATCH", &pattern, "COUNT", STEP]), cursor })
    }

    /// The keys that the step found; the next run takes the next one.
    pub fn scanned(
        &self,
        replies: &Replies,
        step: Option<ScanStep>,
        forbidden: &mut BTreeSet<&'static str>,
    ) -> Result<Vec<String>, CheckError> {
        let Some(step) = step else { return Ok(Vec::new()) };
        let (next, keys) = match replies.is_known(step.sent, forbidden)? {
            true => page(replies.list(step.sent)?),
            false => (None, Vec::new()),
        };
        let mut known = lock(&self.known);
        // Another check may have taken this step, or further ones.
        if known.cursor.as_ref() == Some(&step.cursor) {
            known.cursor = next;
        }
        Ok(keys)
    }

    /// Notes sets whose members name queues, to be read in this round.
    pub fn add_sets(&self, found: impl IntoIterator<Item = String>) {
        let mut known = lock(&self.known);
        for key in found {
            if key.contains(NOT_UTF8) {
                known.add_unmeasurable(&key);
            } else {
                known.sets.entry(key).or_default();
            }
        }
    }

    /// Notes the one set that names all queues, once in each round.
    pub fn add_only_set(&self, key: String) {
        let mut known = lock(&self.known);
        if known.sets.is_empty() {
            known.sets.insert(key, String::new());
        }
        known.cursor = None;
    }

    /// Add the next steps of the sets that are still to be read.
    pub fn read_sets(&self, batch: &mut Batch) -> Vec<SetStep> {
        if !self.is_on {
            return Vec::new();
        }
        let mut steps = Vec::new();
        for (key, cursor) in lock(&self.known).sets.iter().take(SETS) {
            let start = if cursor.is_empty() { "0" } else { cursor };
            let sent = batch.add("SSCAN", &[key, start, "COUNT", MEMBERS]);
            steps.push(SetStep { key: key.clone(), step: ScanStep { sent, cursor: cursor.clone() } });
        }
        steps
    }

    /// The members that the steps found. What is no set, or may not be read, has none.
    pub fn members(
        &self,
        replies: &Replies,
        steps: Vec<SetStep>,
        forbidden: &mut BTreeSet<&'static str>,
    ) -> Result<Vec<String>, CheckError> {
        let mut members = Vec::new();
        for SetStep { key, step } in steps {
            let (next, found) = match replies.is_known(step.sent, forbidden)? {
                true => page(replies.list(step.sent)?),
                false => (None, Vec::new()),
            };
            members.extend(found);
            let mut known = lock(&self.known);
            if known.sets.get(&key) == Some(&step.cursor) {
                match next {
                    Some(cursor) => _ = known.sets.insert(key, cursor),
                    None => _ = known.sets.remove(&key),
                }
            }
        }
        Ok(members)
    }
}

/// What a step of a scan found, and the cursor of the next one; `None` after the last.
fn page(reply: &[Value]) -> (Option<String>, Vec<String>) {
    let [cursor, Value::Array(found) | Value::Set(found)] = reply else { return (None, Vec::new()) };
    let is_number =
        |cursor: &&str| (1..=20).contains(&cursor.len()) && cursor.bytes().all(|byte| byte.is_ascii_digit());
    let next = text(cursor).filter(is_number).filter(|cursor| *cursor != "0").map(str::to_owned);
    (next, found.iter().filter_map(lossy).collect())
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

    #[test]
    fn page_of_a_scan() {
        let text = |text: &[u8]| Value::BulkString(text.to_vec());
        let reply = |cursor: &[u8]| [text(cursor), Value::Array(vec![text(b"a"), text(b"b\xff\xfe")])];
        let found = vec!["a".to_owned(), format!("b{NOT_UTF8}ff{NOT_UTF8}fe")];
        assert_eq!(page(&reply(b"17")), (Some("17".to_owned()), found.clone()));
        for last in [&b"0"[..], b"", b"x", b"123456789012345678901"] {
            assert_eq!(page(&reply(last)), (None, found.clone()), "{last:?}");
        }
        assert_eq!(page(&[]), (None, Vec::new()));
    }
}
