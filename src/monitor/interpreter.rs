//! The pulse of an interpreter: who takes it says so before and after, who reads it sees how long that has taken.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Lag;
use crate::runtime::lock;

/// What is known of the interpreter of one process.
pub struct Pulse {
    /// Asked for once: it takes a system call, and each answer to `/alive` names it.
    pid: u32,
    made: Instant,
    phase: AtomicU8,
    attaching: Mutex<()>,
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
    pub(super) fn new() -> Self {
        Self {
            pid: std::process::id(),
            made: Instant::now(),
            phase: AtomicU8::new(NOT_TAKEN),
            attaching: Mutex::default(),
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

    /// Has its thread attach to the interpreter, unless that is about to end: it must not be gone when asked for.
    pub fn attach(&self, attach: impl FnOnce()) -> bool {
        let attaching = lock(&self.attaching);
        let goes_on = !self.is_stopped();
        if goes_on {
            attach();
        }
        drop(attaching);
        goes_on
    }

    /// The interpreter is about to end: nobody is to wait for it any more. Waits for who is just attaching to it.
    pub fn stop(&self) {
        self.phase.store(STOPPED, Ordering::Release);
        drop(lock(&self.attaching));
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

    pub(super) fn lag(&self, now: Instant) -> Option<Lag> {
        if self.phase.load(Ordering::Acquire) != TAKEN {
            return None;
        }
        let interpreter = match self.waiting_since.load(Ordering::Relaxed) {
            RUNS => self.last_wait.load(Ordering::Relaxed),
            since => self.nanos(now).saturating_sub(since),
        };
        let late = |beat: &EventLoop| now.duration_since(beat.last_beat).saturating_sub(beat.every);
        let event_loop = lock(&self.loops).values().map(late).max();
        Some(Lag { pid: self.pid, interpreter: Duration::from_nanos(interpreter), event_loop })
    }

    fn nanos(&self, instant: Instant) -> u64 {
        u64::try_from(instant.duration_since(self.made).as_nanos()).unwrap_or(RUNS - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn the_end_waits_for_who_attaches_and_then_nobody_may() {
        use std::sync::mpsc::channel;
        let (pulse, told) = (&Pulse::new(), &Mutex::new(Vec::new()));
        let (begun, has_begun) = channel();
        std::thread::scope(|threads| {
            threads.spawn(move || {
                let attached = pulse.attach(|| {
                    assert!(begun.send(()).is_ok());
                    std::thread::sleep(Duration::from_millis(50));
                    lock(told).push("attached");
                });
                assert!(attached);
            });
            assert!(has_begun.recv().is_ok());
            pulse.stop();
            lock(told).push("stopped");
        });
        assert!(!pulse.attach(|| lock(told).push("attached too late")));
        assert_eq!(*lock(told), ["attached", "stopped"]);
    }
}
