//! How long the interpreter of a process has not run, and whether that makes the service dead.
//!
//! A thread of Python's boundary acquires the interpreter every few seconds, and notes before and after. Other threads
//! read here how long it has been waiting.
//!
//! A service is the processes of one container that serve the same address: neither another container's processes nor
//! those that serve nothing there (a Celery worker) make it alive or dead.

mod failing_elsewhere;
mod fleet_view;
mod identity;
mod instances;
mod interpreter;
mod membership;
mod served;
#[cfg(unix)]
mod signal;
#[cfg(unix)]
pub mod systemd;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub use failing_elsewhere::failing_elsewhere;
pub use fleet_view::{FleetView, fleet_view};
pub use instances::FleetMembership;
pub use interpreter::InterpreterMonitor;
pub use membership::{Membership, ProcessStatus, read_statuses, siblings, statuses};
pub use served::{Served, announce_served};
#[cfg(unix)]
pub use signal::{raise_if_handled, signal_when_wedged};

use crate::runtime::PerProcess;
use crate::state::Scope;

/// How often the interpreter is acquired at most.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
/// The same at least: idle workers take a part of their time for it.
const LONGEST_INTERVAL: Duration = Duration::from_secs(3);
/// For this process and its children.
static INTERVAL_MILLIS: AtomicU64 = AtomicU64::new(LONGEST_INTERVAL.as_millis() as u64);

/// Has the interpreter acquired often enough to notice in time that it has not run for so long.
pub fn acquire_to_notice(after: Duration) {
    let interval = u64::try_from(interval_to_notice(after).as_millis()).unwrap_or(u64::MAX);
    if INTERVAL_MILLIS.fetch_min(interval, Ordering::Relaxed) > interval
        && let Some(monitor) = INTERPRETER.get()
    {
        monitor.end_pause();
    }
}

fn interval_to_notice(after: Duration) -> Duration {
    (after / 10).clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL)
}

/// How often the interpreter is acquired.
fn acquire_interval() -> Duration {
    Duration::from_millis(INTERVAL_MILLIS.load(Ordering::Relaxed))
}

/// For how long the interpreter of one process has not run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lag {
    pub pid: u32,
    pub interpreter: Duration,
    /// How late its slowest event loop is, if it watches any.
    pub event_loop: Option<Duration>,
}

impl Lag {
    /// How long it has served nothing.
    pub fn worst(&self) -> Duration {
        self.interpreter.max(self.event_loop.unwrap_or_default())
    }
}

/// How many processes have to run for the service to be alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Requires {
    #[default]
    Any,
    All,
}

/// The processes that are wedged and for how long, if that makes the service dead.
pub fn wedged(lags: &[Lag], after: Duration, requires: Requires) -> Option<Vec<(u32, Duration)>> {
    let wedged: Vec<_> = lags.iter().map(|lag| (lag.pid, lag.worst())).filter(|(_, lag)| *lag >= after).collect();
    let dead = match requires {
        Requires::Any => wedged.len() == lags.len(),
        Requires::All => true,
    };
    (dead && !wedged.is_empty()).then_some(wedged)
}

static INTERPRETER: PerProcess<InterpreterMonitor> = PerProcess::new();

/// The interpreter monitor of this process, started or not.
pub fn interpreter_monitor() -> Arc<InterpreterMonitor> {
    INTERPRETER.get_or_init(InterpreterMonitor::new)
}

/// The lag of this process; none where its interpreter is not monitored.
pub fn own_lag() -> Option<Lag> {
    INTERPRETER.get()?.lag(Instant::now())
}

/// The present lag of this process: nothing of a wait that is over.
pub fn own_present_lag() -> Option<Lag> {
    INTERPRETER.get()?.present_lag(Instant::now())
}

/// The lags of all processes of this container that share the store of that scope, this one first.
pub fn lags(share: &Scope) -> Vec<Lag> {
    own_lag().into_iter().chain(membership::others(share).into_iter().map(|status| status.lag)).collect()
}

/// The lags of all processes that share the store of that scope, also those of other containers, this one first.
pub fn lags_anywhere(share: &Scope) -> Vec<Lag> {
    own_lag().into_iter().chain(membership::others_anywhere(share).into_iter().map(|status| status.lag)).collect()
}

/// The processes that serve probes at an address and are wedged, and for how long, if that makes the service dead.
pub fn wedged_servers(
    share: &Scope,
    address: &str,
    after: Duration,
    requires: Requires,
) -> Option<Vec<(u32, Duration)>> {
    // One that runs is enough: the others need not be looked at.
    if requires == Requires::Any && own_lag().is_some_and(|lag| lag.worst() < after) {
        return None;
    }
    wedged(&lags_of_servers(share, address), after, requires)
}

/// The lags of those that serve probes at an address: this process, and others of its container.
fn lags_of_servers(share: &Scope, address: &str) -> Vec<Lag> {
    let serves = |status: &ProcessStatus| status.served.iter().any(|served| served == address);
    let others = membership::others(share).into_iter().filter(serves).map(|status| status.lag);
    own_lag().into_iter().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(pid: u32, interpreter: u64, event_loop: Option<u64>) -> Lag {
        let event_loop = event_loop.map(Duration::from_secs);
        Lag { pid, interpreter: Duration::from_secs(interpreter), event_loop }
    }

    #[test]
    fn interpreter_is_acquired_ten_times_before_it_counts_as_wedged_within_limits() {
        for (after, expected) in [(500, 1_000), (10_000, 1_000), (15_000, 1_500), (30_000, 3_000), (600_000, 3_000)] {
            let every = interval_to_notice(Duration::from_millis(after));
            assert_eq!(every, Duration::from_millis(expected), "{after} ms");
        }
    }

    #[test]
    fn service_is_dead_once_enough_processes_are_wedged() {
        use Requires::{All, Any};
        let (fine, wedged_1, wedged_2) = (lag(1, 2, None), lag(2, 31, None), lag(3, 40, Some(1)));
        let slow_loop = lag(4, 0, Some(30));
        let table: [(&[&Lag], Requires, &[u32]); 9] = [
            (&[], Any, &[]),
            (&[], All, &[]),
            (&[&fine], Any, &[]),
            (&[&wedged_1], Any, &[2]),
            (&[&wedged_1], All, &[2]),
            (&[&fine, &wedged_1], Any, &[]),
            (&[&fine, &wedged_1, &wedged_2], All, &[2, 3]),
            (&[&wedged_1, &wedged_2], Any, &[2, 3]),
            (&[&slow_loop], Any, &[4]),
        ];
        for (lags, requires, expected) in table {
            let lags: Vec<Lag> = lags.iter().map(|lag| (*lag).clone()).collect();
            let found = wedged(&lags, Duration::from_secs(30), requires).unwrap_or_default();
            let pids: Vec<u32> = found.iter().map(|(pid, _)| *pid).collect();
            assert_eq!(pids, expected, "{lags:?} {requires:?}");
        }
    }
}
