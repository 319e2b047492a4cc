//! Whether every critical check passes, as far as is known, and the event when that changes: one per scope.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Engine;
use super::registry::Registered;
use crate::model::{Event, EventKind, Status};
use crate::runtime::{PerProcess, lock};
use crate::state::backend::Backend;

/// How long a thread may wait for another process to unlock the record.
const LOCK_TIMEOUT: Duration = Duration::from_millis(5);

/// Whether the engine's processes are ready, as far as was reported.
#[derive(Default)]
pub struct ReadinessState {
    reported: PerProcess<Mutex<Reported>>,
    backend: PerProcess<Box<dyn Backend>>,
}

/// What was reported last, in the whole scope.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Reported {
    ready: Option<bool>,
    since: Option<SystemTime>,
    sequence: u64,
}

impl Engine {
    /// The critical checks that do not pass, as far as is known: in error, or without a result that is not stale.
    pub fn failing(&self) -> Vec<Arc<str>> {
        let (now, snapshot) = (Instant::now(), self.snapshot());
        let passes = |check: &Registered| {
            check.known_status(now, snapshot.as_ref()).is_some_and(|status| status != Status::Error)
        };
        let checks = self.checks();
        let failing = checks.iter().filter(|check| check.options.critical && !passes(check));
        failing.map(|check| check.name.clone()).collect()
    }

    /// Whether every critical check passes, as far as is known.
    pub fn is_ready(&self) -> bool {
        self.failing().is_empty()
    }

    /// The critical checks that are known to fail; `None` while it is not known whether any does, before all of them have
    /// run.
    pub fn known_failing(&self) -> Option<Vec<Arc<str>>> {
        let (now, snapshot) = (Instant::now(), self.snapshot());
        let (mut failing, mut has_unknown) = (Vec::new(), false);
        for check in self.checks().iter().filter(|check| check.options.critical) {
            match check.known_status(now, snapshot.as_ref()) {
                Some(Status::Error) => failing.push(check.name.clone()),
                Some(_) => {}
                None => has_unknown = true,
            }
        }
        (!failing.is_empty() || !has_unknown).then_some(failing)
    }

    /// The event of a change of readiness since it was last reported, if there is one.
    pub(super) fn update_readiness(&self) -> Option<Event> {
        let failing = self.known_failing()?;
        let ready = failing.is_empty();
        let at = SystemTime::now();
        let local = self.readiness.reported.get_or_init(Mutex::default);
        let backend = self.readiness.backend.get_or_init(|| self.scope().backend_of("readiness"));
        let mut reported = lock(&local);
        let mut changed = None;
        let updated = backend.transact(LOCK_TIMEOUT, &mut |bytes| {
            if let Some(stored) = bytes.and_then(|bytes| postcard::from_bytes(&bytes).ok()) {
                *reported = stored;
            }
            if reported.ready == Some(ready) {
                return None;
            }
            // That it is ready for the first time is no change.
            let is_change = reported.ready.is_some() || !ready;
            let since = reported.since.replace(at);
            reported.ready = Some(ready);
            reported.sequence += 1;
            if is_change {
                changed = Some((reported.sequence, since));
            }
            postcard::to_allocvec(&*reported).ok()
        });
        // Another process is at it, and reports the change.
        updated.ok()?;
        let (sequence, since) = changed?;
        Some(Event { sequence, at, kind: EventKind::Readiness { ready, failing, since } })
    }
}
