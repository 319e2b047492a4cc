//! The processes that share a store: each of them writes its status there every three seconds, in a place of its own, and
//! reads those of the others.
//!
//! Only a thread of its own touches the store: with none of the runtime's it wakes no other. What others read is its
//! last snapshot, so that no store can hold up a probe; entries of processes that have ended, or are stopped, expire
//! within eight seconds, and so do all entries of the others where the store cannot be read.

use std::cmp::Reverse;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use super::identity::{container, process_id};
use super::served::served;
use super::{Lag, own_lag};
use crate::engine::Engine;
use crate::engine::refresh::followed::HeartbeatLook;
use crate::model::clock;
use crate::runtime::background::BackgroundService;
use crate::runtime::{PerProcess, process};
use crate::state::Scope;

/// How long a status counts. A process that is stopped writes none either: it is no more alive than one that has ended.
const EXPIRES_AFTER: Duration = Duration::from_secs(8);
/// One may be left out, and the next be late, before a status expires. Workers with nothing else to do take most of their
/// time for it.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(3);

/// The status of one process. Processes of two versions share a file: its `FORMAT` is raised when these fields change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessStatus {
    id: u64,
    container: u64,
    /// The process that has started this one.
    parent: u32,
    /// Nanoseconds since boot.
    at: u64,
    pub lag: Lag,
    pub ready: bool,
    pub draining: bool,
    /// The addresses at which it serves probes.
    pub served: Vec<String>,
}

/// The membership of this process, for one engine, in every process that uses it.
pub struct Membership {
    engine: Weak<Engine>,
    /// The thread ends once this is dropped.
    running: PerProcess<Sender<()>>,
}

impl Membership {
    /// One that does not run yet: see [`BackgroundService::resume`]. It ends with the engine.
    pub fn of(engine: &Arc<Engine>) -> Self {
        Self { engine: Arc::downgrade(engine), running: PerProcess::new() }
    }
}

impl BackgroundService for Membership {
    fn resume(&self) -> io::Result<()> {
        let start = || {
            let (running, stopped) = mpsc::channel();
            let engine = self.engine.clone();
            let thread = thread::Builder::new().name("lifesigns-pulse".to_owned());
            thread.spawn(move || send_heartbeats(&engine, &stopped))?;
            if let Some(engine) = self.engine.upgrade() {
                engine.followed.leave_to_heartbeats();
            }
            Ok::<_, io::Error>(running)
        };
        self.running.get_or_try_init(start)?;
        Ok(())
    }

    fn name(&self) -> String {
        "membership".to_owned()
    }
}

fn send_heartbeats(engine: &Weak<Engine>, stopped: &Receiver<()>) {
    let mut others = HeartbeatLook::default();
    while let Some(engine) = engine.upgrade() {
        // One that panics is left out: the next one will do.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            heartbeat(&engine);
            others.look(&engine);
        }));
        drop(engine);
        if stopped.recv_timeout(HEARTBEAT_EVERY) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// The status of this process; none where its interpreter is not monitored.
fn own_status(engine: &Engine) -> Option<ProcessStatus> {
    let lag = own_lag()?;
    let draining = process::draining();
    let ready = !draining && engine.is_ready();
    let (id, container, at) = (process_id(), container(), clock::now());
    Some(ProcessStatus { id, container, parent: parent(), at, lag, ready, draining, served: served() })
}

/// The statuses of all processes that use the store of an engine, in whichever container, this one first. Those of the
/// others are as they were last read.
pub fn statuses(engine: &Engine) -> Vec<ProcessStatus> {
    own_status(engine).into_iter().chain(others_anywhere(engine.scope())).collect()
}

fn heartbeat(engine: &Engine) {
    let (Scope::Host(path), Some(status)) = (engine.scope(), own_status(engine)) else { return };
    let Some(statuses) = store::exchange(path, status) else { return };
    let statuses = Arc::new(statuses);
    SNAPSHOTS.get_or_init(ArcSwap::default).rcu(|all| {
        let others = all.iter().filter(|(known, _)| known != path).cloned();
        others.chain([(path.clone(), statuses.clone())]).collect::<Snapshots>()
    });
}

type Snapshots = Vec<(PathBuf, Arc<Vec<ProcessStatus>>)>;

/// The statuses in each store, as they were last read.
static SNAPSHOTS: PerProcess<ArcSwap<Snapshots>> = PerProcess::new();

/// The statuses of this container's processes that use the store at that path, read from there.
pub fn read_statuses(path: &Path) -> Vec<ProcessStatus> {
    of_container(current(store::read(path), clock::now()), container())
}

/// The statuses of the other processes of this container, as they were last read. Touches no store.
pub(super) fn others(share: &Scope) -> Vec<ProcessStatus> {
    of_container(others_anywhere(share), container())
}

/// The statuses of the other processes that use the same store, in whichever container. Touches no store.
pub(super) fn others_anywhere(share: &Scope) -> Vec<ProcessStatus> {
    let Scope::Host(path) = share else { return Vec::new() };
    let Some(snapshots) = SNAPSHOTS.get() else { return Vec::new() };
    let snapshots = snapshots.load();
    let Some((_, statuses)) = snapshots.iter().find(|(known, _)| known == path) else { return Vec::new() };
    let mut others = current(statuses.to_vec(), clock::now());
    others.retain(|status| status.id != process_id());
    others
}

/// The statuses of the other processes that have the same parent: the workers of one server. Touches no store.
pub fn siblings(share: &Scope) -> Vec<ProcessStatus> {
    let (mut others, parent) = (others(share), parent());
    others.retain(|status| status.parent == parent);
    others
}

#[cfg(unix)]
fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

#[cfg(not(unix))]
fn parent() -> u32 {
    0
}

/// Those that have not expired, and of those with one number in a container the latest: a number is used again.
fn current(mut statuses: Vec<ProcessStatus>, now: u64) -> Vec<ProcessStatus> {
    statuses.retain(|status| Duration::from_nanos(now.saturating_sub(status.at)) < EXPIRES_AFTER);
    statuses.sort_unstable_by_key(|status| (status.container, status.lag.pid, Reverse(status.at)));
    statuses.dedup_by_key(|status| (status.container, status.lag.pid));
    statuses
}

fn of_container(mut statuses: Vec<ProcessStatus>, container: u64) -> Vec<ProcessStatus> {
    statuses.retain(|status| status.container == container);
    statuses
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
mod store {
    use std::path::Path;

    use super::ProcessStatus;
    use crate::state::backend::host::{HostStore, MemberStatuses, STATUS_CAPACITY};

    /// Writes the status of this process, and returns those of all that have ever written one; `None` where the store
    /// cannot be read.
    pub fn exchange(path: &Path, status: ProcessStatus) -> Option<Vec<ProcessStatus>> {
        let store = HostStore::at(path);
        store.verify();
        // One that cannot be written is left out: the next one will do.
        let _ = store.write_status(&encode(status));
        Some(decode(&store.read_statuses().ok()?))
    }

    /// None where the store cannot be read.
    pub fn read(path: &Path) -> Vec<ProcessStatus> {
        decode(&HostStore::at(path).read_statuses().unwrap_or_default())
    }

    /// Without the last of its addresses where they are too many or too long.
    fn encode(mut status: ProcessStatus) -> Vec<u8> {
        loop {
            let bytes = postcard::to_allocvec(&status).unwrap_or_default();
            if bytes.len() <= STATUS_CAPACITY || status.served.pop().is_none() {
                return bytes;
            }
        }
    }

    fn decode(statuses: &MemberStatuses) -> Vec<ProcessStatus> {
        statuses.iter().filter_map(|status| postcard::from_bytes(status).ok()).collect()
    }

    #[cfg(test)]
    #[allow(clippy::unwrap_used)]
    mod tests {
        use super::*;

        #[test]
        fn status_that_is_too_long_is_written_without_some_addresses() {
            let status = super::super::tests::status(1, 10);
            for (addresses, expected) in [(0, 0), (1, 1), (3, 3), (30, 4)] {
                let served = vec!["x".repeat(100); addresses];
                let bytes = encode(ProcessStatus { served, ..status.clone() });
                assert!(bytes.len() <= STATUS_CAPACITY);
                assert_eq!(postcard::from_bytes::<ProcessStatus>(&bytes).unwrap().served.len(), expected);
            }
        }
    }
}

/// No host scope there.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod store {
    use std::path::Path;

    use super::ProcessStatus;

    pub fn exchange(_: &Path, status: ProcessStatus) -> Option<Vec<ProcessStatus>> {
        Some(vec![status])
    }

    pub fn read(_: &Path) -> Vec<ProcessStatus> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn status(id: u64, seconds: u64) -> ProcessStatus {
        let lag = Lag { pid: id as u32, interpreter: Duration::ZERO, event_loop: None };
        let at = seconds * 1_000_000_000;
        ProcessStatus { id, container: 1, parent: 1, at, lag, ready: true, draining: false, served: Vec::new() }
    }

    #[test]
    fn statuses_count_until_they_expire() {
        let statuses = vec![status(1, 10), status(2, 16), status(3, 20)];
        let table = [(17_900, 3), (18_000, 2), (23_900, 2), (24_000, 1), (27_900, 1), (28_000, 0)];
        for (millis, expected) in table {
            assert_eq!(current(statuses.clone(), millis * 1_000_000).len(), expected, "{millis} ms");
        }
    }

    #[test]
    fn processes_with_the_same_number_in_two_containers_are_two() {
        let lag = Lag { pid: 1, ..status(1, 10).lag };
        let here = ProcessStatus { lag: lag.clone(), ..status(1, 10) };
        let there = ProcessStatus { id: 2, container: 2, lag, ..status(1, 10) };
        let successor = ProcessStatus { id: 3, at: here.at + 1, ..here.clone() };
        let statuses = current(vec![there.clone(), here.clone()], here.at);
        assert_eq!(statuses, [here.clone(), there]);
        assert_eq!(of_container(statuses, 1), vec![here.clone()]);
        for both in [[here.clone(), successor.clone()], [successor.clone(), here]] {
            let found = current(both.to_vec(), successor.at);
            assert_eq!(found.iter().map(|status| status.id).collect::<Vec<_>>(), [3], "the number is used again");
        }
    }
}
