//! The duty to run a check and to say what came of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::record::{Owner, Record, Turn, Want};
use super::{Busy, Cell, Flight, Local, PATIENCE, STUCK, circuit_open};
use crate::breaker::Verdict;
use crate::outcome::{CheckError, Outcome};
use crate::process::lock;

/// How often to look whether another process has an answer: at first, and at the least.
const POLL: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(8));
/// How often to look whether the process that runs the check still lives: two system calls, where the record takes one.
const VITALS: Duration = Duration::from_millis(50);

/// The duty to run a check and to say what came of it.
pub struct Lease {
    cell: Arc<Cell>,
    flight: Flight,
    owner: Owner,
    /// How many outcomes there were when it was asked for.
    after: u64,
    granted: bool,
}

impl Lease {
    pub(super) fn new(cell: Arc<Cell>, flight: Flight, owner: Owner, after: u64, granted: bool) -> Self {
        Self { cell, flight, owner, after, granted }
    }

    /// Waits while another process runs the check. `None`: it has answered, also for all who wait here.
    pub async fn granted(self) -> Option<Self> {
        // Boxed, so that the future of a run that need not wait is not twice as large.
        if self.granted { Some(self) } else { Box::pin(self.awaited()).await }
    }

    async fn awaited(mut self) -> Option<Self> {
        let mut pause = POLL.0;
        let mut busy_since = None;
        let mut lived = Instant::now();
        while !self.granted {
            sleep(pause).await;
            pause = (pause * 2).min(POLL.1);
            let cell = self.cell.clone();
            let mut local = lock(&cell.local);
            match self.look(&mut local, &mut lived) {
                Ok(Turn::Held) => busy_since = None,
                Ok(Turn::Led(_)) => self.granted = true,
                Ok(Turn::Answered(outcome)) => {
                    self.publish(local, outcome);
                    return None;
                }
                Ok(Turn::Refused(refused)) => {
                    self.publish(local, Arc::new(circuit_open(refused)));
                    return None;
                }
                Err(Busy) if busy_since.get_or_insert_with(Instant::now).elapsed() < STUCK => {}
                Err(Busy) => {
                    cell.store.gave_up();
                    local.record.release();
                    let want = Want::SettledAfter(self.after);
                    local.record.claim(want, self.owner, Instant::now(), |_| true);
                    self.granted = true;
                }
            }
        }
        Some(self)
    }

    fn look(&self, local: &mut Local, lived: &mut Instant) -> Result<Turn, Busy> {
        let Cell { store, .. } = &*self.cell;
        store.pull(&mut local.record);
        let want = Want::SettledAfter(self.after);
        let now = Instant::now();
        if let Some(outcome) = local.record.answer(want, now) {
            return Ok(Turn::Answered(outcome.clone()));
        }
        let is_due = now.saturating_duration_since(*lived) >= VITALS;
        if is_due {
            *lived = now;
        }
        if local.record.is_held(now, |owner| !is_due || store.is_alive(owner)) {
            return Ok(Turn::Held);
        }
        self.cell.turn(&mut local.record, want, self.owner, now)
    }

    fn publish(&self, mut local: std::sync::MutexGuard<'_, Local>, outcome: Arc<Outcome>) {
        local.flight = None;
        drop(local);
        self.flight.land(outcome);
    }

    /// Publishes what came of the run, and what it means for the breaker.
    pub async fn settle(self, outcome: Arc<Outcome>, verdict: Verdict) {
        let mut unsettled = Some(outcome);
        loop {
            unsettled = self.try_settle(unsettled, verdict);
            if unsettled.is_none() {
                return;
            }
            sleep(POLL.0).await;
        }
    }

    /// Gives the outcome back if somebody else has the record.
    fn try_settle(&self, mut outcome: Option<Arc<Outcome>>, verdict: Verdict) -> Option<Arc<Outcome>> {
        let began = outcome.as_ref()?.finished;
        let cell = &*self.cell;
        let mut local = lock(&cell.local);
        let mut settled = None;
        let mut settle = |record: &mut Record| {
            settled = outcome.take().map(|outcome| record.settle(self.owner, outcome, verdict, began));
            true
        };
        if cell.store.transact(&mut local.record, PATIENCE, &mut settle) == Err(Busy) && began.elapsed() > STUCK {
            cell.store.gave_up();
            settle(&mut local.record);
        }
        if let Some((outcome, transition)) = settled {
            cell.tell(transition);
            self.publish(local, outcome);
        }
        outcome
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.flight.landed().is_some() {
            return;
        }
        let mut local = lock(&self.cell.local);
        if self.granted {
            let mut give_back = |record: &mut Record| record.give_back(self.owner);
            if self.cell.store.transact(&mut local.record, PATIENCE, &mut give_back) == Err(Busy) {
                // For the others it runs out.
                give_back(&mut local.record);
            }
        }
        // A bug in the slot, not in the dependency.
        self.publish(local, Arc::new(Outcome::of(Err(CheckError::Panicked), Instant::now())));
    }
}
