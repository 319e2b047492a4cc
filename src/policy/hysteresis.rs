//! Holds a status back until it was found often enough: one lost packet must not page a person.

use serde::{Deserialize, Serialize};

use crate::model::{CheckOptions, Status};

/// Counts runs that contradict the status shown.
#[derive(Debug)]
pub struct Hysteresis {
    failures_before_error: u32,
    successes_before_healthy: u32,
    state: HysteresisState,
}

/// All that another process must know to continue in its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HysteresisState {
    shown: Option<Status>,
    against: u32,
}

impl Hysteresis {
    pub fn of(options: &CheckOptions) -> Self {
        Self {
            failures_before_error: options.failures_before_error,
            successes_before_healthy: options.successes_before_healthy,
            state: HysteresisState::default(),
        }
    }

    pub fn state(&self) -> HysteresisState {
        self.state
    }

    /// Continues from the state of another one of the same options.
    pub fn restore(&mut self, state: HysteresisState) {
        self.state = state;
    }

    /// The status to show after a run that found `found`. The first run is shown as it is: there is nothing to hold on
    /// to.
    pub fn apply(&mut self, found: Status) -> Status {
        let shown = self.state.shown.unwrap_or(found);
        let needed = match (shown == Status::Error, found == Status::Error) {
            (false, true) => self.failures_before_error,
            (true, false) => self.successes_before_healthy,
            _ => 1,
        };
        let against = if shown == found { 0 } else { self.state.against.saturating_add(1) };
        self.state = if against >= needed {
            HysteresisState { shown: Some(found), against: 0 }
        } else {
            HysteresisState { shown: Some(shown), against }
        };
        self.state.shown.unwrap_or(found)
    }

    /// Why the last run has not changed the status shown: which one it is of those that it takes.
    pub fn held_back(&self) -> String {
        let (found, needed) = match self.state.shown {
            Some(Status::Error) => ("success", self.successes_before_healthy),
            _ => ("failure", self.failures_before_error),
        };
        format!("{found} {} of {needed}", self.state.against)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn status_found_often_enough_is_shown() {
        use Status::{Degraded, Error, Healthy};
        let options = CheckOptions {
            failures_before_error: 3,
            successes_before_healthy: 2,
            ..CheckOptions::new("x", Duration::from_secs(1), Duration::from_secs(1))
        };
        let mut hysteresis = Hysteresis::of(&options);
        let history = [
            (Healthy, Healthy, ""),
            (Error, Healthy, "failure 1 of 3"),
            (Error, Healthy, "failure 2 of 3"),
            (Healthy, Healthy, ""),
            (Error, Healthy, "failure 1 of 3"),
            (Error, Healthy, "failure 2 of 3"),
            (Error, Error, ""),
            (Healthy, Error, "success 1 of 2"),
            (Error, Error, ""),
            (Healthy, Error, "success 1 of 2"),
            (Degraded, Degraded, ""),
            (Healthy, Healthy, ""),
        ];
        for (index, (found, expected, held_back)) in history.into_iter().enumerate() {
            assert_eq!(hysteresis.apply(found), expected, "run {index}");
            if !held_back.is_empty() {
                assert_eq!(hysteresis.held_back(), held_back, "run {index}");
            }
        }
    }
}
