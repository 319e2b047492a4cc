//! The result of a run: settled in this process's record at once, and stored some milliseconds later, with others.
//!
//! ```text
//!   settle ──► unstored: callers in this process get it ──transact, of whatever kind──► stored, its events are published
//!                 └─ another process has changed the record meanwhile: settled again, on what that one has stored
//! ```
//!
//! A process that is killed in between loses the result and its events, as if it had been killed during the run.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{CheckState, GIVE_UP_AFTER, Local};
use crate::model::{Outcome, Owner, Status};
use crate::policy::limits::Limits;
use crate::runtime::lock;
use crate::state::record::{Record, Run, Settled};

/// A run that is settled in this process's record alone.
pub struct UnstoredResult {
    owner: Owner,
    run: Run,
    limits: Arc<Limits>,
    since: Instant,
    settled: Settled,
    /// The number of the event about the breaker, if there is one.
    sequence: u64,
}

fn settle(record: &mut Record, owner: Owner, run: &Run, limits: &Limits) -> (Settled, u64) {
    let settled = record.settle(owner, run.clone(), limits, Instant::now());
    let sequence = settled.transition.map_or(0, |_| record.next_sequence());
    (settled, sequence)
}

impl Local {
    fn settle(&mut self, owner: Owner, run: Run, limits: Arc<Limits>) -> Arc<Outcome> {
        let run = Run { first: !self.has_run, ..run };
        let (settled, sequence) = settle(&mut self.record, owner, &run, &limits);
        let outcome = settled.outcome.clone();
        self.has_run = true;
        self.own = self.record.settled();
        self.unstored = Some(UnstoredResult { owner, run, limits, since: Instant::now(), settled, sequence });
        outcome
    }

    /// The same again for a result that was not stored before another process has changed the record.
    pub fn settle_again(&mut self) {
        let Some(UnstoredResult { owner, run, limits, settled, sequence, .. }) = &mut self.unstored else { return };
        (*settled, *sequence) = settle(&mut self.record, *owner, run, limits);
        self.own = self.record.settled();
    }
}

impl CheckState {
    /// Settles a run. Where others share the record, the result is to be stored soon.
    pub(in crate::state) fn settle(&self, owner: Owner, run: Run, limits: Arc<Limits>) -> Arc<Outcome> {
        let mut local = lock(&self.local);
        // That of an earlier run which could not be stored.
        self.publish_stored(&mut local);
        let outcome = local.settle(owner, run, limits);
        if self.backend.as_host().is_none() {
            self.publish_stored(&mut local);
        }
        outcome
    }

    /// Stores a result that is not stored yet; false while another process holds the record.
    pub(in crate::state) fn store_result(&self, lock_timeout: Duration) -> bool {
        let mut local = lock(&self.local);
        let Some(since) = local.unstored.as_ref().map(|unstored| unstored.since) else { return true };
        if self.transact_within(lock_timeout, &mut local, &mut |_| false).is_ok() {
            return true;
        }
        let is_stuck = since.elapsed() > GIVE_UP_AFTER;
        if is_stuck {
            self.backend.report_stuck();
            self.publish_stored(&mut local);
        }
        is_stuck
    }

    /// Publishes the events of a result that has just been stored, and hands it to the history.
    pub(super) fn publish_stored(&self, local: &mut Local) {
        let Some(UnstoredResult { settled, sequence, .. }) = local.unstored.take() else { return };
        self.publish_transition(settled.transition, sequence);
        // The first result is no change, unless it is bad.
        let is_well = matches!(settled.outcome.status, Status::Healthy | Status::Skipped);
        if let Some(change) = settled.status_change.filter(|change| change.from.is_some() || !is_well) {
            let sequence = change.sequence;
            self.publish(change.event(self.name.clone(), &settled.outcome), sequence);
        }
        self.add_unrecorded(local);
    }
}

#[cfg(test)]
mod tests;
