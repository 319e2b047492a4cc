//! The interpreter monitor: one thread notes before and after it acquires the interpreter, and readers see its wait.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::{Lag, SHORTEST_INTERVAL, acquire_interval};
use crate::runtime::lock;

/// What is known of the interpreter of one process.
pub struct InterpreterMonitor {
    /// Read once: it takes a system call, and each response to `/alive` names it.
    pid: u32,
    made: Instant,
    phase: AtomicU8,
    attaching: Mutex<()>,
    /// In nanoseconds since `made`: when the present wait for the interpreter started, or `NOT_WAITING`; the length of
    /// the last one.
    waiting_since: AtomicU64,
    last_wait: AtomicU64,
    loops: Mutex<HashMap<u64, EventLoop>>,
    /// The thread that acquires the interpreter, once it has for the first time.
    thread: OnceLock<Thread>,
}

const NOT_STARTED: u8 = 0;
const STARTED: u8 = 1;
const STOPPED: u8 = 2;
/// Stands for "the thread does not wait for the interpreter".
const NOT_WAITING: u64 = u64::MAX;

struct EventLoop {
    last_beat: Instant,
    every: Duration,
}

impl InterpreterMonitor {
    pub(super) fn new() -> Self {
        Self {
            pid: std::process::id(),
            made: Instant::now(),
            phase: AtomicU8::new(NOT_STARTED),
            attaching: Mutex::default(),
            waiting_since: AtomicU64::new(NOT_WAITING),
            last_wait: AtomicU64::new(0),
            loops: Mutex::default(),
            thread: OnceLock::new(),
        }
    }

    /// Marks the monitor as started; true for the first caller, which has to start its thread.
    pub fn start(&self) -> bool {
        let is_first = self.phase.compare_exchange(NOT_STARTED, STARTED, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if is_first {
            self.wait_started();
        }
        is_first
    }

    /// Attaches the monitor's thread to the interpreter; false, without that, once the interpreter is about to end.
    pub fn attach(&self, attach: impl FnOnce()) -> bool {
        let attaching = lock(&self.attaching);
        let may_attach = !self.is_stopped();
        if may_attach {
            attach();
        }
        drop(attaching);
        may_attach
    }

    /// Marks the interpreter as about to end: no thread waits for it from now on. Returns once none is attaching.
    pub fn stop(&self) {
        self.phase.store(STOPPED, Ordering::Release);
        drop(lock(&self.attaching));
    }

    pub fn is_stopped(&self) -> bool {
        self.phase.load(Ordering::Acquire) == STOPPED
    }

    /// Notes that the thread waits for the interpreter from now on.
    pub fn wait_started(&self) {
        self.waiting_since.store(self.nanos(Instant::now()), Ordering::Relaxed);
    }

    /// Notes that the thread has acquired the interpreter.
    pub fn acquired(&self) {
        let since = self.waiting_since.swap(NOT_WAITING, Ordering::Relaxed);
        self.last_wait.store(self.nanos(Instant::now()).saturating_sub(since), Ordering::Relaxed);
    }

    /// Has the calling thread, which acquires the interpreter, wait until it is to do so again.
    pub fn pause(&self) {
        self.thread.get_or_init(thread::current);
        let last_wait = Duration::from_nanos(self.last_wait.load(Ordering::Relaxed));
        thread::park_timeout(pause_after(last_wait, acquire_interval()));
    }

    /// Has it acquired now: it is to be from now on more often than was known when the pause began.
    pub(super) fn end_pause(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Records a heartbeat of an event loop, which sends the next one after `every`.
    pub fn loop_runs(&self, id: u64, every: Duration) {
        lock(&self.loops).insert(id, EventLoop { last_beat: Instant::now(), every });
    }

    /// Forgets an event loop that was closed.
    pub fn loop_ended(&self, id: u64) {
        lock(&self.loops).remove(&id);
    }

    /// The last wait for the interpreter, or the present one.
    pub(super) fn lag(&self, now: Instant) -> Option<Lag> {
        self.lag_or(self.last_wait.load(Ordering::Relaxed), now)
    }

    /// The present wait for the interpreter: none where it has run since.
    pub(super) fn present_lag(&self, now: Instant) -> Option<Lag> {
        self.lag_or(0, now)
    }

    fn lag_or(&self, not_waiting: u64, now: Instant) -> Option<Lag> {
        if self.phase.load(Ordering::Acquire) != STARTED {
            return None;
        }
        let interpreter = match self.waiting_since.load(Ordering::Relaxed) {
            NOT_WAITING => not_waiting,
            since => self.nanos(now).saturating_sub(since),
        };
        let late = |beat: &EventLoop| now.duration_since(beat.last_beat).saturating_sub(beat.every);
        let event_loop = lock(&self.loops).values().map(late).max();
        Some(Lag { pid: self.pid, interpreter: Duration::from_nanos(interpreter), event_loop })
    }

    fn nanos(&self, instant: Instant) -> u64 {
        u64::try_from(instant.duration_since(self.made).as_nanos()).unwrap_or(NOT_WAITING - 1)
    }
}

/// After a long wait the interpreter is acquired soon: until then it seems to be as slow as it was.
fn pause_after(last_wait: Duration, interval: Duration) -> Duration {
    if last_wait < SHORTEST_INTERVAL { interval } else { SHORTEST_INTERVAL }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pause_is_short_after_a_long_wait() {
        for (waited, interval, expected) in
            [(0, 3_000, 3_000), (999, 3_000, 3_000), (1_000, 3_000, 1_000), (9_000, 1_500, 1_000)]
        {
            let [waited, interval, expected] = [waited, interval, expected].map(Duration::from_millis);
            assert_eq!(pause_after(waited, interval), expected, "{waited:?} {interval:?}");
        }
    }

    #[test]
    fn interpreter_monitor_while_waiting_reports_the_lag() {
        let monitor = InterpreterMonitor::new();
        let seconds = |ahead: u64| {
            let lag = monitor.lag(Instant::now() + Duration::from_secs(ahead));
            lag.map(|lag| (lag.interpreter.as_secs(), lag.event_loop.map(|late| late.as_secs())))
        };
        assert_eq!(seconds(5), None, "not started");
        assert!(monitor.start());
        assert!(!monitor.start());
        assert_eq!(seconds(5), Some((5, None)));
        let present = |ahead: u64| {
            let lag = monitor.present_lag(Instant::now() + Duration::from_secs(ahead));
            lag.map(|lag| lag.interpreter.as_secs())
        };
        assert_eq!(present(5), Some(5));
        monitor.last_wait.store(9_000_000_000, Ordering::Relaxed);
        monitor.waiting_since.store(NOT_WAITING, Ordering::Relaxed);
        assert_eq!((seconds(5), present(5)), (Some((9, None)), Some(0)));
        monitor.wait_started();
        monitor.acquired();
        assert_eq!(seconds(5), Some((0, None)));
        monitor.wait_started();
        assert_eq!(seconds(7), Some((7, None)));
        monitor.loop_runs(1, Duration::from_secs(1));
        monitor.loop_runs(2, Duration::from_secs(4));
        assert_eq!(seconds(7), Some((7, Some(6))));
        monitor.loop_ended(1);
        assert_eq!(seconds(7), Some((7, Some(3))));
        monitor.stop();
        assert_eq!(seconds(7), None);
    }

    #[test]
    fn stop_during_attach_waits_and_refuses_later_attach() {
        use std::sync::mpsc::channel;
        let (monitor, order) = (&InterpreterMonitor::new(), &Mutex::new(Vec::new()));
        let (attaching, is_attaching) = channel();
        std::thread::scope(|threads| {
            threads.spawn(move || {
                let attached = monitor.attach(|| {
                    assert!(attaching.send(()).is_ok());
                    std::thread::sleep(Duration::from_millis(50));
                    lock(order).push("attached");
                });
                assert!(attached);
            });
            assert!(is_attaching.recv().is_ok());
            monitor.stop();
            lock(order).push("stopped");
        });
        assert!(!monitor.attach(|| lock(order).push("attached too late")));
        assert_eq!(*lock(order), ["attached", "stopped"]);
    }
}
