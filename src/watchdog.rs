//! How long the interpreter of a process has not run, and whether that makes the process dead.
//!
//! A thread of Python's boundary takes the interpreter twice a second and says so before and after. What it cannot say
//! while it waits is read here by others: how long it has waited.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::process::{PerProcess, lock};

/// How often the interpreter is taken. Costs nothing that can be measured.
pub const BEAT: Duration = Duration::from_millis(500);

/// What one process does not run, and for how long.
#[derive(Clone, Debug, PartialEq)]
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

/// The lags that are known: none where nobody takes a pulse.
pub fn lags() -> Vec<Lag> {
    PULSE.get().and_then(|pulse| pulse.lag(Instant::now())).into_iter().collect()
}

/// What is known of the interpreter of one process.
pub struct Pulse {
    made: Instant,
    phase: AtomicU8,
    /// In nanoseconds since `made`: since when it has been waited for, if it is; how long the last wait was.
    waiting_since: AtomicU64,
    last_wait: AtomicU64,
    loops: Mutex<HashMap<u64, EventLoop>>,
}

const NOT_TAKEN: u8 = 0;
const TAKEN: u8 = 1;
const STOPPED: u8 = 2;
/// Stands for "is not waited for".
const RUNS: u64 = u64::MAX;

struct EventLoop {
    last_beat: Instant,
    every: Duration,
}

impl Pulse {
    fn new() -> Self {
        Self {
            made: Instant::now(),
            phase: AtomicU8::new(NOT_TAKEN),
            waiting_since: AtomicU64::new(RUNS),
            last_wait: AtomicU64::new(0),
            loops: Mutex::default(),
        }
    }

    /// Whether the caller is to take it: nobody has done so yet.
    pub fn begin(&self) -> bool {
        let begun = self.phase.compare_exchange(NOT_TAKEN, TAKEN, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if begun {
            self.waits();
        }
        begun
    }

    /// The interpreter is about to end: nobody is to wait for it any more.
    pub fn stop(&self) {
        self.phase.store(STOPPED, Ordering::Release);
    }

    pub fn is_stopped(&self) -> bool {
        self.phase.load(Ordering::Acquire) == STOPPED
    }

    /// From now on the interpreter is waited for.
    pub fn waits(&self) {
        self.waiting_since.store(self.nanos(Instant::now()), Ordering::Relaxed);
    }

    /// The interpreter runs.
    pub fn runs(&self) {
        let since = self.waiting_since.swap(RUNS, Ordering::Relaxed);
        self.last_wait.store(self.nanos(Instant::now()).saturating_sub(since), Ordering::Relaxed);
    }

    /// An event loop runs, and says so again after a time.
    pub fn loop_runs(&self, id: u64, every: Duration) {
        lock(&self.loops).insert(id, EventLoop { last_beat: Instant::now(), every });
    }

    /// An event loop is no more.
    pub fn loop_ended(&self, id: u64) {
        lock(&self.loops).remove(&id);
    }

    fn lag(&self, now: Instant) -> Option<Lag> {
        if self.phase.load(Ordering::Acquire) != TAKEN {
            return None;
        }
        let interpreter = match self.waiting_since.load(Ordering::Relaxed) {
            RUNS => self.last_wait.load(Ordering::Relaxed),
            since => self.nanos(now).saturating_sub(since),
        };
        let late = |beat: &EventLoop| now.duration_since(beat.last_beat).saturating_sub(beat.every);
        let event_loop = lock(&self.loops).values().map(late).max();
        Some(Lag { pid: std::process::id(), interpreter: Duration::from_nanos(interpreter), event_loop })
    }

    fn nanos(&self, instant: Instant) -> u64 {
        u64::try_from(instant.duration_since(self.made).as_nanos()).unwrap_or(RUNS - 1)
    }
}

/// Sends this process `signal` each time that it gets wedged. Whoever handles the signal must not need the interpreter.
#[cfg(unix)]
pub async fn signal_when_wedged(signal: i32, after: Duration) {
    let mut was_wedged = false;
    loop {
        tokio::time::sleep(BEAT).await;
        let is_wedged = PULSE.get().and_then(|pulse| pulse.lag(Instant::now())).is_some_and(|lag| lag.worst() >= after);
        if is_wedged && !was_wedged && is_handled(signal) {
            // SAFETY: raises a signal that has a handler.
            #[allow(unsafe_code, reason = "there is no safe way to send a signal to oneself")]
            unsafe {
                libc::raise(signal);
            }
        }
        was_wedged = is_wedged;
    }
}

/// Whether the signal has a handler: without one it would end the process.
#[cfg(unix)]
fn is_handled(signal: i32) -> bool {
    // SAFETY: asks for the present handler and changes nothing; zeroed is a valid value of this plain C struct.
    #[allow(unsafe_code, reason = "there is no safe way to ask for a signal's handler")]
    let (code, action) = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let code = libc::sigaction(signal, std::ptr::null(), &raw mut action);
        (code, action)
    };
    code == 0 && action.sa_sigaction != libc::SIG_DFL && action.sa_sigaction != libc::SIG_IGN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(pid: u32, interpreter: u64, event_loop: Option<u64>) -> Lag {
        let event_loop = event_loop.map(Duration::from_secs);
        Lag { pid, interpreter: Duration::from_secs(interpreter), event_loop }
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

    #[test]
    fn a_pulse_tells_how_long_it_is_waited_for() {
        let pulse = Pulse::new();
        let seconds = |ahead: u64| {
            let lag = pulse.lag(Instant::now() + Duration::from_secs(ahead));
            lag.map(|lag| (lag.interpreter.as_secs(), lag.event_loop.map(|late| late.as_secs())))
        };
        assert_eq!(seconds(5), None, "nobody takes it");
        assert!(pulse.begin());
        assert!(!pulse.begin());
        assert_eq!(seconds(5), Some((5, None)));
        pulse.runs();
        assert_eq!(seconds(5), Some((0, None)));
        pulse.waits();
        assert_eq!(seconds(7), Some((7, None)));
        pulse.loop_runs(1, Duration::from_secs(1));
        pulse.loop_runs(2, Duration::from_secs(4));
        assert_eq!(seconds(7), Some((7, Some(6))));
        pulse.loop_ended(1);
        assert_eq!(seconds(7), Some((7, Some(3))));
        pulse.stop();
        assert_eq!(seconds(7), None);
    }
}
