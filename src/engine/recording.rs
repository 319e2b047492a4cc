//! Recording results in a history takes turns: of the processes that share, one has them until it ends.
//!
//! ```text
//!   start ──► claims the name every pause, gathers the results of all processes, has Python fetch them
//!                └─ another process has claimed it: Python fetches what is left, and this one gathers no more
//! ```
//!
//! Python is called at once, then every so many seconds, sooner where many results wait, and every pause while this process
//! drains: it is about to end. [`super::claims`] notices when it has.

use std::io;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Engine;
use crate::model::CheckError;
use crate::runtime::background::{BackgroundTask, TICK, next_tick, whole_ticks};
use crate::runtime::process::draining;
use crate::runtime::{PerProcess, Process, diagnostics};
use crate::state::{UnrecordedResult, UnrecordedResults, history_marks};

/// So many results are fetched at once rather than at their time.
const MANY: usize = 1_000;
/// How long Python may take to fetch results, and after how long it is called again if it was busy, and how often.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const FETCH_ATTEMPTS: usize = 6;

/// The turns of one engine in this process, if it has them.
pub type Recording = PerProcess<ArcSwapOption<BackgroundTask>>;

/// How turns are taken.
#[derive(Clone, Debug)]
pub struct RecordingTurns {
    /// As what the processes that share claim the next turn.
    pub name: String,
    /// How often the results of other processes are looked for.
    pub pause: Duration,
    /// How often Python fetches what was found.
    pub every: Duration,
    /// The callable that does.
    pub callable: u64,
}

impl Engine {
    /// Takes turns from now on, until another process does.
    pub fn start_recording(self: &Arc<Self>, turns: RecordingTurns) -> io::Result<()> {
        let process = Process::current()?;
        self.gather(true);
        let task = BackgroundTask::start(&process, take_turns(Arc::downgrade(self), turns, process.clone()));
        self.recording.get_or_init(ArcSwapOption::empty).store(Some(task.into()));
        Ok(())
    }

    /// Whether this process has the turns.
    pub fn is_recording(&self) -> bool {
        self.unrecorded().is_recording()
    }

    /// The results that wait to be recorded; says how many were dropped since there were too many. With `reads` also those that
    /// the records of all checks have, whichever process has found them.
    pub fn take_unrecorded(&self, reads: bool) -> Vec<UnrecordedResult> {
        let read = || if reads { self.read_unrecorded() } else { Vec::new() };
        let (results, dropped) = self.unrecorded().take(self.scope(), read);
        if dropped > 0 {
            let text = format!("history: {dropped} results were dropped, since too many waited to be recorded");
            diagnostics::publish(true, text);
        }
        results
    }

    /// Gathers what is known, and from now on what is found if this process `keeps_turn`; returns how many results wait.
    fn gather(&self, keeps_turn: bool) -> usize {
        let unrecorded = self.unrecorded();
        unrecorded.set_recording(keeps_turn);
        unrecorded.gather(self.scope(), || self.read_unrecorded())
    }

    fn read_unrecorded(&self) -> Vec<UnrecordedResult> {
        let snapshot = self.snapshot();
        self.checks().iter().filter_map(|check| check.state().unrecorded(snapshot.as_ref())).collect()
    }

    fn unrecorded(&self) -> Arc<UnrecordedResults> {
        self.shared.unrecorded.get_or_init(UnrecordedResults::default)
    }

    /// Whether the next turn is this process's as well: it is later than half of a pause after its own last one.
    fn keeps_turn(&self, turns: &RecordingTurns) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        history_marks::note(self.scope(), &turns.name, now, turns.pause / 2)
    }
}

async fn take_turns(engine: Weak<Engine>, turns: RecordingTurns, process: Arc<Process>) {
    let mut fetch_at = Instant::now();
    let mut fetching = None::<JoinHandle<()>>;
    let mut keeps_turn = true;
    loop {
        let Some(waiting) = engine.upgrade().map(|engine| engine.gather(keeps_turn)) else { return };
        if !keeps_turn {
            return fetch(turns.callable, process).await;
        }
        let now = Instant::now();
        let is_due = now >= fetch_at || waiting >= MANY || draining();
        if is_due && fetching.as_ref().is_none_or(JoinHandle::is_finished) {
            fetch_at = now + turns.every.saturating_sub(turns.pause / 2);
            fetching = Some(process.spawn(fetch(turns.callable, process.clone())));
        }
        sleep_until(next_look(turns.pause)).await;
        keeps_turn = engine.upgrade().is_some_and(|engine| engine.keeps_turn(&turns));
    }
}

/// Has Python fetch the results, once it is not busy with that any more.
async fn fetch(callable: u64, process: Arc<Process>) {
    for _ in 0..FETCH_ATTEMPTS {
        let called = timeout(FETCH_TIMEOUT, process.callables.call(callable, FETCH_TIMEOUT)).await;
        if !matches!(called, Ok(Err(CheckError::StillRunning { .. } | CheckError::NotStarted { .. }))) {
            return;
        }
        sleep(FETCH_TIMEOUT).await;
    }
}

/// When to look again, at the latest after a pause: at a tick, where other services wake up as well, but not so soon that the
/// turn would be refused.
fn next_look(pause: Duration) -> Instant {
    let now = Instant::now();
    if pause < TICK * 2 {
        return now + pause;
    }
    (next_tick() + whole_ticks(pause) - TICK).max(now + pause.mul_f64(0.6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_look_is_within_the_pause_and_later_than_half_of_it() {
        for millis in [100, 500, 1_024, 2_047, 2_048, 2_500, 3_071, 15_000] {
            let pause = Duration::from_millis(millis);
            let now = Instant::now();
            let wait = next_look(pause).saturating_duration_since(now);
            assert!(wait > pause / 2, "{wait:?} of {pause:?}");
            assert!(wait <= pause + now.elapsed(), "{wait:?} of {pause:?}");
        }
    }
}
