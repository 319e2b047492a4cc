//! Holds a status back until it was seen often enough: one lost packet need not page anybody.

use serde::{Deserialize, Serialize};

use crate::model::CheckOptions;
use crate::model::{Outcome, Status};

/// Counts outcomes that contradict the status shown.
#[derive(Debug)]
pub struct Hysteresis {
    failures_before_error: u32,
    successes_before_healthy: u32,
    memory: Memory,
}

/// What it remembers: all that another process must know to go on in its place.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Memory {
    shown: Option<Status>,
    against: u32,
}

impl Hysteresis {
    pub fn of(spec: &CheckOptions) -> Self {
        Self {
            failures_before_error: spec.failures_before_error,
            successes_before_healthy: spec.successes_before_healthy,
            memory: Memory::default(),
        }
    }

    pub fn memory(&self) -> Memory {
        self.memory
    }

    /// Goes on from what another one of the same specification remembers.
    pub fn recall(&mut self, memory: Memory) {
        self.memory = memory;
    }

    /// Replaces the status of `outcome` by the one to be shown, and notes its own where they differ. The first outcome
    /// is shown as it is: there is nothing to hold on to.
    pub fn apply(&mut self, outcome: &mut Outcome) {
        let seen = outcome.status;
        let shown = self.memory.shown.unwrap_or(seen);
        let needed = match (shown == Status::Error, seen == Status::Error) {
            (false, true) => self.failures_before_error,
            (true, false) => self.successes_before_healthy,
            _ => 1,
        };
        self.memory.against = if shown == seen { 0 } else { self.memory.against + 1 };
        if self.memory.against >= needed {
            self.memory.against = 0;
            self.memory.shown = Some(seen);
        } else {
            self.memory.shown = Some(shown);
            if shown != seen {
                outcome.raw_status = Some(seen);
                outcome.status = shown;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::model::Finding;

    #[test]
    fn a_status_is_shown_once_it_was_seen_often_enough() {
        use Status::{Degraded, Error, Healthy};
        let spec = CheckOptions {
            failures_before_error: 3,
            successes_before_healthy: 2,
            ..CheckOptions::new("x", Duration::from_secs(1), Duration::from_secs(1))
        };
        let mut hysteresis = Hysteresis::of(&spec);
        let history = [
            (Healthy, Healthy),
            (Error, Healthy),
            (Error, Healthy),
            (Healthy, Healthy),
            (Error, Healthy),
            (Error, Healthy),
            (Error, Error),
            (Healthy, Error),
            (Error, Error),
            (Healthy, Error),
            (Degraded, Degraded),
            (Healthy, Healthy),
        ];
        for (index, (seen, expected)) in history.into_iter().enumerate() {
            let mut outcome = Outcome::of(Ok(Finding::new(seen, "m")), Instant::now());
            hysteresis.apply(&mut outcome);
            assert_eq!(outcome.status, expected, "outcome {index}");
            assert_eq!(outcome.raw_status, (seen != expected).then_some(seen), "outcome {index}");
        }
    }
}
