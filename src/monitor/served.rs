//! The addresses at which this process serves probes, and whether it is its turn to accept there.
//!
//! The processes that serve one address accept from one queue, and each connection wakes all of them, of which one gets
//! it. So two accept, and the others stand by. They take over when one that accepts says that it is about to stop, and see
//! with each heartbeat whether those two are still there, and whether a connection waits that nobody accepts.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

#[cfg(unix)]
use rustix::io::Errno;
#[cfg(unix)]
use rustix::process::{Pid, test_kill_process};
use tokio::sync::Notify;

use super::ProcessStatus;
use super::identity::process_id;
use crate::model::clock;
use crate::runtime::{PerProcess, lock};
use crate::state::Scope;

/// How many processes of an address accept connections: one may be stopped or end at any time.
const ACCEPTING: usize = 2;
/// How long a connection waits at the most before one of those that accept has taken it.
const ACCEPTED_WITHIN: Duration = Duration::from_millis(25);
/// How long a process accepts whose turn it is not: longer than the statuses of those count that no longer do.
const HELPS_FOR: Duration = Duration::from_secs(60);

static SERVED: PerProcess<Mutex<Vec<Arc<AcceptTurn>>>> = PerProcess::new();

/// Whether this process accepts the connections of an address that it serves. It does until a heartbeat says otherwise.
pub struct AcceptTurn {
    address: String,
    scope: Scope,
    leaves: AtomicBool,
    /// Nanoseconds since boot.
    helps_until: AtomicU64,
    standing_by: Mutex<Option<Queue>>,
    comes: Notify,
}

/// Whether a connection waits to be accepted.
type Queue = Box<dyn Fn() -> bool + Send>;

/// The address is served until this is dropped.
pub struct Served {
    all: Arc<Mutex<Vec<Arc<AcceptTurn>>>>,
    pub turn: Arc<AcceptTurn>,
}

/// Announces that this process serves probes at an address, to the processes that share the store of that scope.
pub fn announce_served(address: String, scope: Scope) -> Served {
    let turn = Arc::new(AcceptTurn {
        address,
        scope,
        leaves: AtomicBool::default(),
        helps_until: AtomicU64::default(),
        standing_by: Mutex::default(),
        comes: Notify::new(),
    });
    let all = SERVED.get_or_init(Mutex::default);
    lock(&all).push(turn.clone());
    Served { all, turn }
}

/// The addresses that this process serves.
pub fn served() -> Vec<String> {
    turns().iter().map(|turn| turn.address.clone()).collect()
}

/// Finds out whether it is this process's turn where it serves, by the statuses in the store of that scope. Where sockets
/// are not handed on each process has a queue of its own, and accepts.
pub fn take_turns(scope: &Scope, statuses: &[ProcessStatus]) {
    if cfg!(target_os = "linux") {
        for turn in turns().iter().filter(|turn| turn.scope == *scope) {
            turn.take(statuses);
        }
    }
}

fn turns() -> Vec<Arc<AcceptTurn>> {
    SERVED.get().map(|all| lock(&all).clone()).unwrap_or_default()
}

impl AcceptTurn {
    pub fn is_now(&self) -> bool {
        !self.leaves.load(Ordering::Relaxed)
    }

    /// Waits until it is this process's turn, or a connection is left in the queue.
    pub async fn comes(&self, queue: impl Fn() -> bool + Send + 'static) {
        *lock(&self.standing_by) = Some(Box::new(queue));
        let _standing_by = StandingBy(self);
        while !self.is_now() {
            self.comes.notified().await;
        }
    }

    /// Accepts for some time, whosever turn it is: one of those that accept is about to stop doing so.
    pub fn help(&self) {
        self.helps_until.store(clock::now() + HELPS_FOR.as_nanos() as u64, Ordering::Relaxed);
        self.set(false);
    }

    fn take(&self, statuses: &[ProcessStatus]) {
        if self.has_left_over() {
            return self.help();
        }
        let leaves = is_left_to_others(&self.address, process_id(), statuses, exists)
            && self.helps_until.load(Ordering::Relaxed) <= clock::now();
        self.set(leaves);
    }

    fn set(&self, leaves: bool) {
        if self.leaves.swap(leaves, Ordering::Relaxed) && !leaves {
            self.comes.notify_one();
        }
    }

    /// Whether a connection stays in the queue while this process stands by.
    fn has_left_over(&self) -> bool {
        let waits = || lock(&self.standing_by).as_ref().is_some_and(|waits| waits());
        waits() && {
            thread::sleep(ACCEPTED_WITHIN);
            waits()
        }
    }
}

/// Whether enough others accept at an address, those with the lowest ids.
fn is_left_to_others(address: &str, own_id: u64, statuses: &[ProcessStatus], exists: fn(u32) -> bool) -> bool {
    let accepts = |status: &&ProcessStatus| !status.draining && status.served.iter().any(|served| served == address);
    let first = statuses.iter().filter(accepts).filter(|status| status.id < own_id);
    first.filter(|status| exists(status.lag.pid)).count() >= ACCEPTING
}

/// False once a process has ended, which its status outlives by seconds.
#[cfg(unix)]
fn exists(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}

#[cfg(not(unix))]
fn exists(_pid: u32) -> bool {
    true
}

/// Keeps the queue for those who look at it.
struct StandingBy<'a>(&'a AcceptTurn);

impl Drop for StandingBy<'_> {
    fn drop(&mut self) {
        *lock(&self.0.standing_by) = None;
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        lock(&self.all).retain(|turn| !Arc::ptr_eq(turn, &self.turn));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::membership::tests::status;
    use super::*;

    fn serving(id: u64, address: &str, draining: bool) -> ProcessStatus {
        let mut status = status(id, 1);
        status.served = vec!["x".to_owned(), address.to_owned()];
        status.draining = draining;
        status
    }

    #[cfg(unix)]
    #[test]
    fn process_that_has_ended_does_not_exist() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        assert!(exists(child.id()) && exists(1), "also one that has not been waited for, and one of another user");
        child.wait().unwrap();
        assert!(!exists(child.id()));
    }

    #[test]
    fn two_processes_of_an_address_accept_that_do_not_drain() {
        let statuses = [
            serving(1, "a", false),
            serving(2, "b", false),
            serving(3, "a", true),
            serving(4, "a", false),
            serving(5, "a", false),
            serving(6, "a", false),
        ];
        let accept = |address: &str, exists: fn(u32) -> bool| -> Vec<u64> {
            (1..=7).filter(|id| !is_left_to_others(address, *id, &statuses, exists)).collect()
        };
        assert_eq!(accept("a", |_| true), [1, 2, 3, 4]);
        assert_eq!(accept("a", |pid| pid != 1), [1, 2, 3, 4, 5], "the first has ended");
        assert_eq!(accept("b", |_| true), (1..=7).collect::<Vec<_>>());
    }
}
