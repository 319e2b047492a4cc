//! When a worker of a task queue was last seen, by any process of the scope: in a deploy there is none for a while.
//!
//! Sightings are heartbeats that checks send for the workers. What counts is the time since the last one, not how many
//! runs have found none since: a check may run every second or every ten minutes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::runtime::{Context, lock};
use crate::state::heartbeats;
use crate::state::scope::key;

/// How many workers were registered when this process has seen one last, unless they have died since.
#[derive(Default)]
struct KnownWorkers(Mutex<Option<u64>>);

/// The sightings of the workers of one queue.
pub struct WorkerSightings {
    known: Arc<KnownWorkers>,
    seen: String,
    died: String,
}

impl WorkerSightings {
    /// `queue` identifies it, and may hold secrets.
    pub fn new(context: &Context, queue: &str) -> Self {
        Self::of(context.process.shared(queue), queue)
    }

    fn of(known: Arc<KnownWorkers>, queue: &str) -> Self {
        let id = uuid::Uuid::from_bytes(key(queue)).simple();
        let seen = format!("task-workers.{id}");
        Self { known, died: format!("{seen}.died"), seen }
    }

    /// Notes how many workers there are, and how many are registered that are dead. Returns how long ago one was last
    /// seen, if there is none now, that was within the window, and they have stopped in order: each is registered no
    /// more, as in a deploy.
    pub fn note(&self, active: u64, dead: u64, window: Duration) -> Option<Duration> {
        let mut known = lock(&self.known.0);
        if active > 0 {
            *known = Some(active + dead);
            heartbeats::beat(&self.seen);
            return None;
        }
        // Where only other processes have seen them, none may be registered.
        if dead >= known.unwrap_or(1) {
            // That their registration is removed later on is no heartbeat.
            if known.take().is_some() {
                heartbeats::beat(&self.died);
            }
            return None;
        }
        let seen = heartbeats::age(&self.seen).filter(|seen| *seen < window)?;
        let died = heartbeats::age(&self.died);
        Some(seen).filter(|seen| died.is_none_or(|died| died > *seen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(300);

    /// Those of two processes.
    fn two(queue: &str) -> (WorkerSightings, WorkerSightings) {
        (WorkerSightings::of(Arc::default(), queue), WorkerSightings::of(Arc::default(), queue))
    }

    #[test]
    fn workers_that_stopped_in_order_are_missed_after_the_window() {
        let (one, other) = two("a test of workers that stop in order");
        assert_eq!(one.note(0, 0, WINDOW), None);
        assert_eq!(one.note(2, 0, WINDOW), None);
        // One that died is no sign that the other did, nor is one that was dead before.
        for dead in [0, 1] {
            assert!(one.note(0, dead, WINDOW).is_some());
        }
        assert_eq!(one.note(1, 1, WINDOW), None);
        assert!(one.note(0, 1, WINDOW).is_some());
        assert_eq!(one.note(0, 0, Duration::ZERO), None);
        assert!(other.note(0, 0, WINDOW).is_some());
        assert_eq!(other.note(0, 1, WINDOW), None);
        assert_eq!(two("another queue").0.note(0, 0, WINDOW), None);
    }

    #[test]
    fn workers_that_died_are_missed_at_once_also_when_they_are_registered_no_more() {
        let (one, other) = two("a test of workers that die");
        assert_eq!(one.note(2, 0, WINDOW), None);
        for dead in [2, 0] {
            assert_eq!(one.note(0, dead, WINDOW), None);
            assert_eq!(other.note(0, dead, WINDOW), None);
        }
        assert_eq!(other.note(1, 0, WINDOW), None);
        assert!(one.note(0, 0, WINDOW).is_some());
    }
}
