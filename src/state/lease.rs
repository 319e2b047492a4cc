//! The duty to run a check and to say what came of it.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::backend::{Busy, Owner};
use super::record::{Record, Turn, Want};
use super::{Cell, Local, PATIENCE, Pending, STUCK, circuit_open};
use crate::model::{CheckError, Outcome};
use crate::policy::breaker::Verdict;
use crate::policy::limits::Limits;
use crate::runtime::lock;

/// How often to look whether another process has an answer: at first, and at the least.
const POLL: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(8));
/// How often to look whether the process that runs the check still lives: two system calls, where the record takes one.
const VITALS: Duration = Duration::from_millis(50);

/// The duty to run a check and to say what came of it.
pub struct Lease {
    cell: Arc<Cell>,
    granted: bool,
    /// Until then what is pending in the cell is the run of this lease.
    published: bool,
}

impl Lease {
    pub(super) fn new(cell: Arc<Cell>, granted: bool) -> Self {
        Self { cell, granted, published: false }
    }

    /// Waits while another process runs the check. False: it has answered, also for all who wait here.
    pub async fn granted(&mut self) -> bool {
        // Boxed, so that the future of a run that need not wait is not twice as large.
        self.granted || Box::pin(self.awaited()).await
    }

    async fn awaited(&mut self) -> bool {
        let mut pause = POLL.0;
        let mut busy_since = None;
        let mut lived = Instant::now();
        while !self.granted {
            sleep(pause).await;
            pause = (pause * 2).min(POLL.1);
            let cell = self.cell.clone();
            let mut local = lock(&cell.local);
            let Some(Pending { owner, after, .. }) = local.pending else { return false };
            let want = Want::SettledAfter(after);
            match self.look(&mut local.record, want, owner, &mut lived) {
                Ok(Turn::Held) => busy_since = None,
                Ok(Turn::Led(_)) => self.granted = true,
                Ok(Turn::Answered(outcome)) => {
                    self.published = true;
                    publish(local, outcome);
                    return false;
                }
                Ok(Turn::Refused(refused)) => {
                    self.published = true;
                    publish(local, Arc::new(circuit_open(refused)));
                    return false;
                }
                Err(Busy) if busy_since.get_or_insert_with(Instant::now).elapsed() < STUCK => {}
                Err(Busy) => {
                    cell.backend.report_stuck();
                    local.record.release();
                    local.record.claim(want, owner, Instant::now(), |_| true);
                    self.granted = true;
                }
            }
        }
        true
    }

    fn look(&self, record: &mut Record, want: Want, owner: Owner, lived: &mut Instant) -> Result<Turn, Busy> {
        self.cell.pull(record, None);
        let now = Instant::now();
        if let Some(outcome) = record.answer(want, now) {
            return Ok(Turn::Answered(outcome.clone()));
        }
        let is_due = now.saturating_duration_since(*lived) >= VITALS;
        if is_due {
            *lived = now;
        }
        if record.is_held(now, |owner| !is_due || self.cell.backend.is_alive(owner)) {
            return Ok(Turn::Held);
        }
        self.cell.turn(record, want, owner, now)
    }

    /// Publishes what came of the run, as far as it is within the limits, and what it means for the breaker.
    pub async fn settle(&mut self, outcome: Arc<Outcome>, verdict: Verdict, limits: Arc<Limits>) {
        let mut unsettled = self.try_settle(outcome, verdict, &limits);
        while let Some(outcome) = unsettled {
            sleep(POLL.0).await;
            unsettled = self.try_settle(outcome, verdict, &limits);
        }
        self.published = true;
    }

    /// Gives the outcome back if somebody else has the record.
    fn try_settle(&self, outcome: Arc<Outcome>, verdict: Verdict, limits: &Limits) -> Option<Arc<Outcome>> {
        let began = outcome.finished;
        let mut unsettled = Some(outcome);
        let cell = &*self.cell;
        let mut local = lock(&cell.local);
        let Local { record, pending, latest } = &mut *local;
        let owner = pending.as_ref()?.owner;
        let mut settled = None;
        let mut settle = |record: &mut Record| {
            settled = unsettled.take().map(|mut outcome| {
                latest.judge(&mut outcome, limits);
                record.settle(owner, outcome, verdict, began)
            });
            true
        };
        if cell.transact(record, PATIENCE, &mut settle) == Err(Busy) && began.elapsed() > STUCK {
            cell.backend.report_stuck();
            settle(record);
        }
        if let Some((outcome, transition)) = settled {
            cell.tell(transition);
            publish(local, outcome);
        }
        unsettled
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.published {
            return;
        }
        let mut local = lock(&self.cell.local);
        if self.granted
            && let Some(owner) = local.pending.as_ref().map(|pending| pending.owner)
        {
            let mut give_back = |record: &mut Record| record.give_back(owner);
            if self.cell.transact(&mut local.record, PATIENCE, &mut give_back) == Err(Busy) {
                // For the others it runs out.
                give_back(&mut local.record);
            }
        }
        // A bug in the slot, not in the dependency.
        publish(local, Arc::new(Outcome::of(Err(CheckError::Panicked), Instant::now())));
    }
}

/// Tells all who wait in this process.
fn publish(mut local: MutexGuard<'_, Local>, outcome: Arc<Outcome>) {
    let pending = local.pending.take();
    drop(local);
    if let Some(pending) = pending {
        pending.flight.land(outcome);
    }
}
