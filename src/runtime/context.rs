//! What a run of a check is given.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::lock;
use super::process::Process;
use crate::model::Phase;

/// What a run is given: the state of this process, when it will be cut off, and where to note how far it got.
pub struct Context {
    pub process: Arc<Process>,
    timeout: Duration,
    deadline: Instant,
    progress: Mutex<Progress>,
}

/// How far a run got.
struct Progress {
    phase: Phase,
    since: Instant,
    /// How long it was queued behind other checks before this phase.
    queued: Duration,
}

impl Context {
    /// The context of a run that starts now.
    pub fn new(process: Arc<Process>, timeout: Duration) -> Self {
        let now = Instant::now();
        let progress = Progress { phase: Phase::default(), since: now, queued: Duration::ZERO };
        Self { process, timeout, deadline: now + timeout, progress: Mutex::new(progress) }
    }

    /// The context of work beside the run, which ends with it: its phases are not those of the run.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self::new(self.process.clone(), self.time_left())
    }

    /// How long the run may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// When the run is cut off.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    pub fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Whether the deadline passed so long ago.
    pub fn is_late(&self, by: Duration) -> bool {
        Instant::now().saturating_duration_since(self.deadline) >= by
    }

    /// Notes what the run is about to do, so that a timeout can say where it got stuck.
    pub fn enter(&self, phase: Phase) {
        let now = Instant::now();
        let mut progress = lock(&self.progress);
        let queued = progress.queued_until(now);
        *progress = Progress { phase, since: now, queued };
    }

    pub fn phase(&self) -> Phase {
        lock(&self.progress).phase
    }

    /// Whether other checks are why the run has not ended: it is queued behind them, or was for half of its time. A
    /// timeout then says nothing about what it checks.
    pub fn is_held_up(&self) -> bool {
        let progress = lock(&self.progress);
        progress.phase == Phase::Queued || progress.queued * 2 >= self.timeout
    }
}

impl Progress {
    fn queued_until(&self, now: Instant) -> Duration {
        let this = if self.phase == Phase::Queued { now.saturating_duration_since(self.since) } else { Duration::ZERO };
        self.queued + this
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn run_is_held_up_while_queued_or_after_half_of_its_time_in_the_queue() {
        // What a run of 10 s does, one second each, and whether other checks are why it has not ended.
        for (phases, expected) in [
            (&[Phase::Connect, Phase::Query][..], false),
            (&[Phase::Connect, Phase::Queued], true),
            (&[Phase::Queued, Phase::Query], false),
            (&[Phase::Queued, Phase::Queued, Phase::Connect, Phase::Queued, Phase::Queued, Phase::Query], false),
            (
                &[
                    Phase::Queued,
                    Phase::Queued,
                    Phase::Connect,
                    Phase::Queued,
                    Phase::Queued,
                    Phase::Queued,
                    Phase::Query,
                ],
                true,
            ),
        ] {
            let context = Context::new(Process::current().unwrap(), Duration::from_secs(10));
            for phase in phases {
                context.enter(*phase);
                advance(Duration::from_secs(1)).await;
            }
            assert_eq!(context.is_held_up(), expected, "{phases:?}");
        }
    }
}
