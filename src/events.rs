//! State changes of circuit breakers, kept until somebody fetches them for the log and for subscribers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use crate::breaker::Transition;
use crate::process::lock;

/// A circuit breaker has changed its state.
#[derive(Clone, Debug)]
pub struct Event {
    pub check: Arc<str>,
    pub transition: Transition,
    pub at: SystemTime,
}

/// The events that nobody has fetched yet, the latest [`Events::KEPT`] of them.
#[derive(Default)]
pub struct Events(Mutex<VecDeque<Event>>);

impl Events {
    const KEPT: usize = 1_000;

    pub fn push(&self, event: Event) {
        let mut events = lock(&self.0);
        if events.len() == Self::KEPT {
            events.pop_front();
        }
        events.push_back(event);
    }

    /// Takes them all.
    pub fn take(&self) -> Vec<Event> {
        lock(&self.0).drain(..).collect()
    }
}
