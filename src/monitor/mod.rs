//! How long the interpreter of a process has not run, and whether that makes the process dead.
//!
//! A thread of Python's boundary takes the interpreter twice a second and says so before and after. What it cannot say
//! while it waits is read here by others: how long it has waited.

#[cfg(any(target_os = "linux", target_os = "macos"))]
mod board;
mod interpreter;
mod membership;
#[cfg(unix)]
mod signal;
#[cfg(unix)]
pub mod systemd;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub use interpreter::Pulse;
pub use membership::{Membership, Sign, signs};
#[cfg(unix)]
pub use signal::signal_when_wedged;

use crate::runtime::PerProcess;
use crate::state::Scope;

/// How often the interpreter is taken. Costs nothing that can be measured.
pub const BEAT: Duration = Duration::from_millis(500);

/// What one process does not run, and for how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lag {
    pub pid: u32,
    pub interpreter: Duration,
    /// That of its slowest event loop, if it told of any.
    pub event_loop: Option<Duration>,
}

impl Lag {
    fn worst(&self) -> Duration {
        self.interpreter.max(self.event_loop.unwrap_or_default())
    }
}

/// How many processes have to run for the whole to be alive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Requires {
    #[default]
    Any,
    All,
}

/// The processes that are wedged and for how long, if that makes the whole dead.
pub fn wedged(lags: &[Lag], after: Duration, requires: Requires) -> Option<Vec<(u32, Duration)>> {
    let wedged: Vec<_> = lags.iter().map(|lag| (lag.pid, lag.worst())).filter(|(_, lag)| *lag >= after).collect();
    let dead = match requires {
        Requires::Any => wedged.len() == lags.len(),
        Requires::All => true,
    };
    (dead && !wedged.is_empty()).then_some(wedged)
}

static PULSE: PerProcess<Pulse> = PerProcess::new();

/// The pulse of this process, whether or not anybody takes it.
pub fn pulse() -> Arc<Pulse> {
    PULSE.get_or_init(Pulse::new)
}

/// The lag of this process; none where nobody takes its pulse.
pub fn own_lag() -> Option<Lag> {
    PULSE.get()?.lag(Instant::now())
}

/// The lags of all processes that share what they know; those of one number, in different containers, as one.
pub fn lags(share: &Scope) -> Vec<Lag> {
    one_of_each_number(own_lag().into_iter().chain(membership::others(share)).collect())
}

fn one_of_each_number(mut lags: Vec<Lag>) -> Vec<Lag> {
    lags.sort_by(|a, b| a.pid.cmp(&b.pid).then(b.worst().cmp(&a.worst())));
    lags.dedup_by_key(|lag| lag.pid);
    lags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(pid: u32, interpreter: u64, event_loop: Option<u64>) -> Lag {
        let event_loop = event_loop.map(Duration::from_secs);
        Lag { pid, interpreter: Duration::from_secs(interpreter), event_loop }
    }

    #[test]
    fn of_processes_with_one_number_the_slowest_is_kept() {
        let lags = vec![lag(2, 1, None), lag(1, 1, None), lag(1, 2, Some(7)), lag(1, 5, None)];
        assert_eq!(one_of_each_number(lags), [lag(1, 2, Some(7)), lag(2, 1, None)]);
    }

    #[test]
    fn alive_is_who_runs() {
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
