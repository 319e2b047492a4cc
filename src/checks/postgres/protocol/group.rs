//! What the sessions of one pool share: which statements are slow, when one closed, the signal that one may be free.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::runtime::lock;

/// How long a slow statement is remembered: longer than the pause between two sweeps.
const SLOW_FOR: Duration = Duration::from_secs(60);
/// How long it is after its first slow run: a busy machine says nothing of the next sweep.
const SLOW_ONCE_FOR: Duration = Duration::from_secs(1);
/// So many statements are known to be fast.
const STATEMENTS: usize = 256;

/// Identifies the statements of a message, the same in each of its runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StatementId(u64);

impl StatementId {
    pub fn of<T: AsRef<str>>(statements: impl IntoIterator<Item = T>) -> Self {
        let mut hasher = DefaultHasher::new();
        statements.into_iter().for_each(|statement| statement.as_ref().hash(&mut hasher));
        Self(hasher.finish())
    }
}

/// What the sessions of one pool share.
#[derive(Default)]
pub struct SessionGroup {
    /// When a statement's last slow run was noted, and until when it is remembered.
    slow: Mutex<HashMap<StatementId, (Instant, Instant)>>,
    /// Statements whose last run was not slow.
    fast: Mutex<HashSet<StatementId>>,
    closed: Mutex<Option<Instant>>,
    /// A message has ended, or a session.
    pub changed: Notify,
}

impl SessionGroup {
    /// Notes a slow run. The second of a minute, in another sweep than the first, is remembered for a minute.
    pub fn note_slow(&self, statement: StatementId) {
        let now = Instant::now();
        let mut slow = lock(&self.slow);
        slow.retain(|_, (at, until)| (*at + SLOW_FOR).max(*until) > now);
        let noted = match slow.get(&statement) {
            Some(&(at, until)) if until > now => (at, if until - now > SLOW_ONCE_FOR { now + SLOW_FOR } else { until }),
            Some(_) => (now, now + SLOW_FOR),
            None => (now, now + SLOW_ONCE_FOR),
        };
        slow.insert(statement, noted);
        lock(&self.fast).remove(&statement);
    }

    pub fn note_fast(&self, statement: StatementId) {
        let mut fast = lock(&self.fast);
        if fast.len() >= STATEMENTS {
            fast.clear();
        }
        fast.insert(statement);
    }

    /// Whether a session is to itself while it runs this: it was slow, or any other was and this has not shown to be fast.
    pub fn runs_apart(&self, statement: StatementId) -> bool {
        let now = Instant::now();
        let slow = lock(&self.slow);
        let is_slow = |(_, until): &(_, Instant)| *until > now;
        slow.get(&statement).is_some_and(is_slow)
            || slow.values().any(is_slow) && !lock(&self.fast).contains(&statement)
    }

    pub fn note_closed(&self) {
        *lock(&self.closed) = Some(Instant::now());
    }

    /// Whether the connection of a session was closed so short a time ago.
    pub fn closed_within(&self, duration: Duration) -> bool {
        lock(&self.closed).is_some_and(|at| at.elapsed() < duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn second_slow_run_of_a_minute_is_remembered() {
        let group = SessionGroup::default();
        let [slow, other] = ["SELECT pg_sleep(1)", "SELECT 1"].map(|statement| StatementId::of([statement]));
        assert!(!group.runs_apart(slow));
        group.note_fast(other);
        for (pause, remembered) in [(0.5, 0.4), (5.0, 59.0), (30.0, 0.9), (200.0, 0.9)] {
            tokio::time::advance(Duration::from_secs_f64(pause)).await;
            group.note_slow(slow);
            tokio::time::advance(Duration::from_secs_f64(remembered)).await;
            assert!(group.runs_apart(slow) && !group.runs_apart(other), "{pause}");
            tokio::time::advance(Duration::from_secs(2)).await;
            assert!(!group.runs_apart(slow), "{pause}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn unknown_statement_runs_apart_while_another_is_slow() {
        let group = SessionGroup::default();
        let [slow, other] = ["SELECT pg_sleep(1)", "SELECT 1"].map(|statement| StatementId::of([statement]));
        assert!(!group.runs_apart(other));
        group.note_slow(slow);
        assert!(group.runs_apart(other));
        group.note_fast(other);
        assert!(!group.runs_apart(other));
        group.note_slow(other);
        tokio::time::advance(Duration::from_millis(1_100)).await;
        assert!(!group.runs_apart(other));
    }
}
