//! The events of an engine, fetched by Python for the log and for subscribers: each change once per scope.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use super::Engine;
use crate::model::{Event, EventKind};
use crate::runtime::queue::Queue;
use crate::runtime::{PerProcess, diagnostics, process};

/// What has been reported so far.
#[derive(Default)]
pub struct Events {
    draining: PerProcess<AtomicBool>,
    /// Whether it was reported that the engine's threads cannot be started.
    pub(super) start_failed: Mutex<bool>,
}

impl Engine {
    /// Whether there are events or diagnostics to fetch.
    pub fn has_events(&self) -> bool {
        let queued = self.shared.events.get().is_some_and(|events| !events.is_empty());
        queued || diagnostics::are_pending() || self.drains_unreported()
    }

    /// The events since the last call. A change of a critical check may change readiness, which is an event, too.
    pub fn take_events(&self) -> Vec<Event> {
        let mut events = self.shared.events.get().map(|events| events.take()).unwrap_or_default();
        let is_critical = |name: &str| self.check(name).is_ok_and(|check| check.options.critical);
        let may_change_readiness = |event: &Event| match &event.kind {
            EventKind::Status { check, .. } | EventKind::Breaker { check, .. } => is_critical(check),
            EventKind::Readiness { .. } | EventKind::Incident(_) | EventKind::Draining => false,
        };
        if events.iter().any(may_change_readiness) {
            events.extend(self.update_readiness());
        }
        if self.drains_unreported() {
            self.events.draining.get_or_init(AtomicBool::default).store(true, Ordering::Relaxed);
            events.push(Event { sequence: 1, at: SystemTime::now(), kind: EventKind::Draining });
        }
        events
    }

    /// The events that were not fetched yet.
    pub fn events(&self) -> Arc<Queue<Event>> {
        self.shared.events.get_or_init(Queue::default)
    }

    fn drains_unreported(&self) -> bool {
        process::draining() && !self.events.draining.get().is_some_and(|reported| reported.load(Ordering::Relaxed))
    }
}
