//! How many connections the probe servers of a process may hold, and which one is closed when there are more.
//!
//! Descriptors are the application's means: with 1,024 of them, the default limit, 1,000 idle connections to a probe port
//! would leave a gunicorn worker none to accept with.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::task::AbortHandle;

use crate::runtime::{PerProcess, lock};

/// Where descriptors have no limit.
const MOST: usize = 1_000;
/// Enough for the probers of one process, whatever the limit.
const LEAST: usize = 4;
/// Of the descriptors that a process may have, one in so many.
const SHARE: u64 = 4;

static CAPACITY: PerProcess<Capacity> = PerProcess::new();

/// The connections of all probe servers of this process.
pub fn capacity() -> Arc<Capacity> {
    CAPACITY.get_or_init(Capacity::default)
}

#[derive(Default)]
pub struct Capacity {
    /// The oldest first.
    open: Mutex<VecDeque<Arc<OpenConnection>>>,
}

/// What is known of a connection.
#[derive(Default)]
pub struct OpenConnection {
    /// Whether a request has arrived on it.
    pub used: AtomicBool,
    /// Whether it is waiting for a response.
    pub busy: AtomicBool,
    task: Mutex<Option<AbortHandle>>,
}

impl OpenConnection {
    pub fn set_task(&self, task: AbortHandle) {
        *lock(&self.task) = Some(task);
    }

    fn close(&self) {
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }
}

/// A connection counts until this is dropped: keep it for longer than the socket.
pub struct Counted {
    capacity: Arc<Capacity>,
    connection: Arc<OpenConnection>,
}

impl Counted {
    pub fn connection(&self) -> &Arc<OpenConnection> {
        &self.connection
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        lock(&self.capacity.open).retain(|connection| !Arc::ptr_eq(connection, &self.connection));
    }
}

impl Capacity {
    /// Whether there is no room for one more.
    pub fn is_full(&self) -> bool {
        lock(&self.open).len() >= limit()
    }

    pub fn count(self: Arc<Self>) -> Counted {
        let connection = Arc::new(OpenConnection::default());
        lock(&self.open).push_back(connection.clone());
        Counted { capacity: self, connection }
    }

    /// Closes the oldest connection that waits for no response, or else the oldest; false if there is none.
    pub fn evict(&self) -> bool {
        let mut open = lock(&self.open);
        let idle = open.iter().position(|connection| !connection.busy.load(Ordering::Relaxed)).unwrap_or_default();
        let evicted = open.remove(idle);
        drop(open);
        evicted.inspect(|connection| connection.close()).is_some()
    }

    /// Closes the connections that were used and wait for the next request.
    pub fn close_kept(&self) {
        let is_kept = |connection: &&Arc<OpenConnection>| {
            connection.used.load(Ordering::Relaxed) && !connection.busy.load(Ordering::Relaxed)
        };
        lock(&self.open).iter().filter(is_kept).for_each(|connection| connection.close());
    }
}

fn limit() -> usize {
    #[cfg(unix)]
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    let descriptors = None;
    share_of(descriptors)
}

fn share_of(descriptors: Option<u64>) -> usize {
    let share = descriptors.and_then(|descriptors| usize::try_from(descriptors / SHARE).ok());
    share.unwrap_or(MOST).clamp(LEAST, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_is_share_of_descriptors() {
        let table =
            [(Some(0), 4), (Some(256), 64), (Some(1_024), 256), (Some(1 << 20), 1_000), (Some(u64::MAX), 1_000)];
        for (descriptors, expected) in table {
            assert_eq!(share_of(descriptors), expected, "{descriptors:?}");
        }
        assert_eq!(share_of(None), 1_000);
    }

    #[test]
    fn oldest_idle_connection_is_evicted_first() {
        let capacity = Arc::new(Capacity::default());
        let counted: Vec<_> = (0..3).map(|_| capacity.clone().count()).collect();
        let has = |index: usize| {
            counted.get(index).is_some_and(|counted| {
                lock(&capacity.open).iter().any(|connection| Arc::ptr_eq(connection, counted.connection()))
            })
        };
        if let Some(first) = counted.first() {
            first.connection().busy.store(true, Ordering::Relaxed);
        }
        assert!(capacity.evict());
        assert_eq!([has(0), has(1), has(2)], [true, false, true]);
        assert!(capacity.evict() && capacity.evict());
        assert!(!capacity.evict());
    }
}
