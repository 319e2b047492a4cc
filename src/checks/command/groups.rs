//! The process groups of the commands that run in this process: those that still run when it exits are killed.

use std::collections::HashSet;
use std::sync::{Mutex, Once};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::runtime::{PerProcess, lock};

static RUNNING: PerProcess<Mutex<Running>> = PerProcess::new();

#[derive(Default)]
struct Running {
    groups: HashSet<Pid>,
    /// This process exits: what starts now is killed at once.
    exits: bool,
}

/// Has the group killed when this process exits.
pub fn add(group: Pid) {
    static AT_EXIT: Once = Once::new();
    AT_EXIT.call_once(|| {
        // SAFETY: the handler is a function of this library, which is never unloaded.
        #[allow(unsafe_code, reason = "std has no hook for the exit of the process, and Python's comes too early")]
        unsafe {
            libc::atexit(kill_all);
        }
    });
    let running = RUNNING.get_or_init(Mutex::default);
    let mut running = lock(&running);
    running.groups.insert(group);
    if running.exits {
        kill_process_group(group, Signal::KILL).ok();
    }
}

/// Forgets a group. To be called before its leader is reaped: its number is free for another one then.
pub fn remove(group: Pid) {
    if let Some(running) = RUNNING.get() {
        lock(&running).groups.remove(&group);
    }
}

extern "C" fn kill_all() {
    // A forked child has groups of its own.
    if let Some(running) = RUNNING.get() {
        let mut running = lock(&running);
        running.exits = true;
        for group in &running.groups {
            kill_process_group(*group, Signal::KILL).ok();
        }
    }
}
