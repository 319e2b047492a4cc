//! What a run of a check is given.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::process::Process;
use crate::model::Phase;

/// What a run is given: the state of this process, when it will be cut off, and where to note how far it got.
pub struct Context {
    pub process: Arc<Process>,
    deadline: Instant,
    phase: AtomicU8,
}

impl Context {
    pub fn new(process: Arc<Process>, deadline: Instant) -> Self {
        Self { process, deadline, phase: AtomicU8::default() }
    }

    /// How long to wait for an answer on a kept connection before taking it for dead: half of what is left, so that
    /// the other half can go to a new one. A firewall that has dropped an idle connection says nothing.
    pub fn patience(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now()) / 2
    }

    /// Notes what the run is about to do, so that a timeout can say where it got stuck.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub fn phase(&self) -> Phase {
        Phase::from_u8(self.phase.load(Ordering::Relaxed))
    }
}
