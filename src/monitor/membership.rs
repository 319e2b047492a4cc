//! The processes that share a store: each of them writes its status there every two seconds, and reads those of the others.
//!
//! Only a thread of its own touches the store: with none of the runtime's it wakes no other. What others read is its
//! last snapshot, so that no store can hold up a probe; entries of processes that have ended, or are stopped, expire
//! within five seconds, and so do all entries of the others where the store cannot be read.

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
use crate::model::clock;
use crate::runtime::background::BackgroundService;
use crate::runtime::{PerProcess, process};
use crate::state::Scope;

/// How long a status counts. A process that is stopped writes none either: it is no more alive than one that has ended.
const EXPIRES_AFTER: Duration = Duration::from_secs(5);
const MAX_PROCESSES: usize = 500;
/// One may be left out, and the next be late, before a status expires. It is most of what an idle process costs.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(2);

/// The status of one process.
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
    while let Some(engine) = engine.upgrade() {
        // One that panics is left out: the next one will do.
        let _ = catch_unwind(AssertUnwindSafe(|| heartbeat(&engine)));
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
    let statuses = store::write(path, status);
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

/// Those that have not expired.
fn current(mut statuses: Vec<ProcessStatus>, now: u64) -> Vec<ProcessStatus> {
    statuses.retain(|status| Duration::from_nanos(now.saturating_sub(status.at)) < EXPIRES_AFTER);
    statuses
}

fn of_container(mut statuses: Vec<ProcessStatus>, container: u64) -> Vec<ProcessStatus> {
    statuses.retain(|status| status.container == container);
    statuses
}

/// All statuses once `new` has taken the place of the last one of its process, and of one that had its number.
fn with(statuses: Vec<ProcessStatus>, new: ProcessStatus) -> Vec<ProcessStatus> {
    let mut statuses = current(statuses, new.at);
    let is_replaced = |status: &ProcessStatus| {
        status.id == new.id || (status.container == new.container && status.lag.pid == new.lag.pid)
    };
    statuses.retain(|status| !is_replaced(status));
    statuses.truncate(MAX_PROCESSES - 1);
    statuses.push(new);
    statuses
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
mod store {
    use std::collections::HashMap;
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::{ProcessStatus, with};
    use crate::runtime::{PerProcess, lock};
    use crate::state::backend::host::SharedValue;
    use crate::state::scope::key;

    /// A status that is held up this long is left out: the next one will do.
    const LOCK_TIMEOUT: Duration = Duration::from_millis(50);

    type Statuses = SharedValue<Vec<ProcessStatus>>;

    fn at(path: &Path) -> Arc<Statuses> {
        static VALUES: PerProcess<Mutex<HashMap<PathBuf, Arc<Statuses>>>> = PerProcess::new();
        let values = VALUES.get_or_init(Mutex::default);
        let new = || Arc::new(SharedValue::new(path, key("process statuses 2")));
        lock(&values).entry(path.to_owned()).or_insert_with(new).clone()
    }

    /// Writes the status of this process, and returns all of them.
    pub fn write(path: &Path, status: ProcessStatus) -> Arc<Vec<ProcessStatus>> {
        let value = at(path);
        value.verify();
        let mut current = Vec::new();
        let updated = value.update(LOCK_TIMEOUT, |statuses| {
            *statuses = with(std::mem::take(statuses), status.clone());
            current.clone_from(statuses);
            true
        });
        Arc::new(if updated.is_ok() { current } else { value.read(Vec::clone) })
    }

    pub fn read(path: &Path) -> Vec<ProcessStatus> {
        at(path).read(Vec::clone)
    }
}

/// No host scope there.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod store {
    use std::path::Path;
    use std::sync::Arc;

    use super::ProcessStatus;

    pub fn write(_: &Path, status: ProcessStatus) -> Arc<Vec<ProcessStatus>> {
        Arc::new(vec![status])
    }

    pub fn read(_: &Path) -> Vec<ProcessStatus> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(id: u64, seconds: u64) -> ProcessStatus {
        let lag = Lag { pid: id as u32, interpreter: Duration::ZERO, event_loop: None };
        let at = seconds * 1_000_000_000;
        ProcessStatus { id, container: 1, parent: 1, at, lag, ready: true, draining: false, served: Vec::new() }
    }

    #[test]
    fn latest_status_of_each_process_is_kept_until_it_expires() {
        let statuses = with(vec![status(1, 10), status(2, 16), status(3, 20)], status(2, 20));
        assert_eq!(statuses, [status(3, 20), status(2, 20)]);
        assert_eq!(current(statuses.clone(), 24_900_000_000), statuses);
        assert_eq!(current(statuses, 25_000_000_000), []);
    }

    #[test]
    fn statuses_are_bounded() {
        let many = (0..10_000).map(|id| status(id, 10)).collect();
        let statuses = with(many, status(77_777, 10));
        assert_eq!(statuses.len(), MAX_PROCESSES);
        assert_eq!(statuses.last(), Some(&status(77_777, 10)));
    }

    #[test]
    fn processes_with_the_same_number_in_two_containers_are_two() {
        let lag = Lag { pid: 1, ..status(1, 10).lag };
        let here = ProcessStatus { lag: lag.clone(), ..status(1, 10) };
        let there = ProcessStatus { id: 2, container: 2, lag, ..status(1, 10) };
        let statuses = with(vec![here.clone()], there.clone());
        assert_eq!(statuses, [here.clone(), there]);
        assert_eq!(of_container(statuses, 1), vec![here.clone()]);
        let successor = ProcessStatus { id: 3, ..here.clone() };
        assert_eq!(with(vec![here], successor.clone()), [successor], "the number is used again");
    }
}
