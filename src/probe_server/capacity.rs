//! How many connections the probe servers of a process may hold, and which one is closed when there are more.
//!
//! Descriptors are the application's means: with 1,024 of them, the default limit, 1,000 idle connections to a probe port
//! would leave a gunicorn worker none to accept with.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::model::clock;
use crate::runtime::{PerProcess, lock};

/// Where descriptors have no limit.
const MOST: usize = 1_000;
/// Enough for the probers of one process, whatever the limit.
const LEAST: usize = 4;
/// How long the first request of a connection is on its way.
const NEW: Duration = Duration::from_millis(10);
/// Of the descriptors that a process may have, one in so many.
const SHARE: u64 = 4;
/// Of the connections, one in so many may be new without a request, and safe.
const NEW_SHARE: usize = 16;

static CAPACITY: PerProcess<Capacity> = PerProcess::new();

/// The connections of all probe servers of this process.
pub fn capacity() -> Arc<Capacity> {
    CAPACITY.get_or_init(Capacity::default)
}

#[derive(Default)]
pub struct Capacity {
    /// The oldest first, with those that were evicted for as long as their sockets are open.
    open: Mutex<VecDeque<Arc<OpenConnection>>>,
    /// Wakes those that wait for a socket to be closed.
    closed: Notify,
}

/// What is known of a connection.
#[derive(Default)]
pub struct OpenConnection {
    used: AtomicBool,
    busy: AtomicBool,
    /// When it was opened, or last got a response; nanoseconds since boot.
    idle_since: AtomicU64,
    task: Mutex<Option<AbortHandle>>,
}

impl OpenConnection {
    fn new() -> Self {
        Self { idle_since: clock::now().into(), ..Self::default() }
    }

    /// Notes that a request has arrived, which waits for its response.
    pub fn requested(&self) {
        self.used.store(true, Ordering::Relaxed);
        self.busy.store(true, Ordering::Relaxed);
    }

    /// Notes that there is a response.
    pub fn responded(&self) {
        self.idle_since.store(clock::now(), Ordering::Relaxed);
        self.busy.store(false, Ordering::Relaxed);
    }

    /// Whether a request has arrived on it.
    pub fn is_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    pub fn set_task(&self, task: AbortHandle) {
        *lock(&self.task) = Some(task);
    }

    /// Makes its task end; false if that was done already.
    fn close(&self) -> bool {
        lock(&self.task).take().inspect(AbortHandle::abort).is_some()
    }

    /// What it is worth to keep it while it is idle: the least is closed first.
    fn worth(&self, now: u64, new_are_safe: bool) -> (bool, u64) {
        let since = self.idle_since.load(Ordering::Relaxed);
        let is_new = now.saturating_sub(since) < NEW.as_nanos() as u64;
        (self.is_used() || (is_new && new_are_safe), since)
    }

    fn is_idle(&self) -> bool {
        !self.busy.load(Ordering::Relaxed)
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
        self.capacity.closed.notify_waiters();
    }
}

impl Capacity {
    /// Waits until there is room for one more, and evicts one if there is none.
    pub async fn make_room(&self) {
        while lock(&self.open).len() >= limit() && self.evict().await {}
    }

    pub fn count(self: Arc<Self>) -> Counted {
        let connection = Arc::new(OpenConnection::new());
        lock(&self.open).push_back(connection.clone());
        Counted { capacity: self, connection }
    }

    /// Closes one connection, and waits until a socket is closed; false if there is none. Of those that wait for a request
    /// the one that has done so for longest, and those that never had one first, unless they have just come and are few: who
    /// holds connections, or opens them fast, closes none that others use. Else the oldest.
    pub async fn evict(&self) -> bool {
        let closed = self.closed.notified();
        if !self.close_one() {
            return false;
        }
        closed.await;
        true
    }

    /// False if there is none; those that are being closed already count as well.
    fn close_one(&self) -> bool {
        let open = lock(&self.open);
        let mut idle: Vec<_> = open.iter().filter(|connection| connection.is_idle()).collect();
        let now = clock::now();
        let unused = idle.iter().filter(|connection| !connection.is_used()).count();
        let new_are_safe = unused <= (open.len() / NEW_SHARE).max(1);
        idle.sort_by_cached_key(|connection| connection.worth(now, new_are_safe));
        let _ = idle.into_iter().chain(open.iter()).any(|connection| connection.close());
        !open.is_empty()
    }

    /// Closes the connections that were used and wait for the next request.
    pub fn close_kept(&self) {
        let is_kept = |connection: &&Arc<OpenConnection>| connection.is_used() && connection.is_idle();
        for connection in lock(&self.open).iter().filter(is_kept) {
            connection.close();
        }
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
    #![allow(clippy::unwrap_used)]
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
    fn connection_without_a_request_is_evicted_first_then_the_one_idle_for_longest() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let capacity = Arc::new(Capacity::default());
            let open: Vec<_> = (0..4)
                .map(|_| {
                    let counted = capacity.clone().count();
                    let connection = counted.connection().clone();
                    let task = tokio::spawn(async move {
                        let _counted = counted;
                        std::future::pending::<()>().await;
                    });
                    connection.set_task(task.abort_handle());
                    connection
                })
                .collect();
            let has = |index: usize| {
                open.get(index).is_some_and(|searched| {
                    lock(&capacity.open).iter().any(|connection| Arc::ptr_eq(connection, searched))
                })
            };
            let [waits, idle, idle_for_longer, unused] = &*open else { unreachable!() };
            for connection in [waits, idle_for_longer, idle] {
                connection.requested();
            }
            for connection in [idle_for_longer, idle] {
                std::thread::sleep(Duration::from_millis(2));
                connection.responded();
            }
            let worth = |connection: &OpenConnection, after, new_are_safe| {
                let opened = connection.idle_since.load(Ordering::Relaxed);
                connection.worth(opened + Duration::as_nanos(&after) as u64, new_are_safe)
            };
            assert!(worth(unused, NEW, true) < worth(idle_for_longer, NEW, true));
            assert!(worth(unused, NEW / 2, true).0, "its first request may be on its way");
            assert!(!worth(unused, NEW / 2, false).0, "too many are new");
            for left in [
                [true, true, true, false],
                [true, true, false, false],
                [true, false, false, false],
                [false, false, false, false],
            ] {
                assert!(capacity.evict().await);
                assert_eq!([has(0), has(1), has(2), has(3)], left);
            }
            assert!(!capacity.evict().await);
        });
    }
}
