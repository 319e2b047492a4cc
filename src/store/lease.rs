//! The duty to run a check and to say what came of it, and the waiting for that.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::record::{Owner, Record, Turn, Want};
use super::{Busy, Cell, Local, PATIENCE, STUCK, circuit_open};
use crate::breaker::Verdict;
use crate::outcome::{CheckError, Outcome};
use crate::process::lock;

/// How often to look whether another process has an answer: at first, and at the least.
const POLL: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(8));

/// The run of a check, watched by all who wait for it.
#[derive(Clone, Debug)]
pub struct Flight(watch::Receiver<Option<Arc<Outcome>>>);

impl Flight {
    pub(super) fn new(receiver: watch::Receiver<Option<Arc<Outcome>>>) -> Self {
        Self(receiver)
    }

    /// The outcome, if the run has ended.
    pub fn landed(&self) -> Option<Arc<Outcome>> {
        self.0.borrow().clone()
    }

    pub async fn wait(&mut self) -> Arc<Outcome> {
        match self.0.wait_for(Option::is_some).await.map(|outcome| outcome.clone()) {
            Ok(Some(outcome)) => outcome,
            // The lease was dropped without an outcome: a bug in the slot, not in the dependency.
            _ => Arc::new(Outcome::of(Err(CheckError::Panicked), Instant::now())),
        }
    }
}

/// The duty to run a check and to say what came of it.
pub struct Lease {
    cell: Arc<Cell>,
    sender: watch::Sender<Option<Arc<Outcome>>>,
    owner: Owner,
    /// How many outcomes there were when it was asked for.
    after: u64,
    granted: bool,
}

impl Lease {
    pub(super) fn new(
        cell: Arc<Cell>,
        sender: watch::Sender<Option<Arc<Outcome>>>,
        owner: Owner,
        after: u64,
        granted: bool,
    ) -> Self {
        Self { cell, sender, owner, after, granted }
    }

    /// Waits while another process runs the check. `None`: it has answered, also for all who wait here.
    pub async fn granted(mut self) -> Option<Self> {
        let mut pause = POLL.0;
        let mut busy_since = None;
        while !self.granted {
            sleep(pause).await;
            pause = (pause * 2).min(POLL.1);
            let cell = self.cell.clone();
            let mut local = lock(&cell.local);
            match self.look(&mut local) {
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

    fn look(&self, local: &mut Local) -> Result<Turn, Busy> {
        let Cell { store, .. } = &*self.cell;
        store.pull(&mut local.record);
        let want = Want::SettledAfter(self.after);
        let now = Instant::now();
        match local.record.answer(want, now) {
            Some(outcome) => Ok(Turn::Answered(outcome.clone())),
            None if local.record.is_held(now, |owner| store.is_alive(owner)) => Ok(Turn::Held),
            None => self.cell.turn(&mut local.record, want, self.owner),
        }
    }

    fn publish(&self, mut local: std::sync::MutexGuard<'_, Local>, outcome: Arc<Outcome>) {
        local.flight = None;
        drop(local);
        self.sender.send_replace(Some(outcome));
    }

    /// Publishes what came of the run, and what it means for the breaker.
    pub async fn settle(self, outcome: Outcome, verdict: Verdict) {
        let cell = self.cell.clone();
        let began = Instant::now();
        let mut outcome = Some(outcome);
        loop {
            {
                let mut local = lock(&cell.local);
                let mut settled = None;
                let mut settle = |record: &mut Record| {
                    let outcome = outcome.take();
                    settled = outcome.map(|outcome| record.settle(self.owner, outcome, verdict, Instant::now()));
                    true
                };
                if cell.store.transact(&mut local.record, PATIENCE, &mut settle) == Err(Busy) && began.elapsed() > STUCK
                {
                    cell.store.gave_up();
                    settle(&mut local.record);
                }
                if let Some((outcome, transition)) = settled {
                    cell.tell(transition);
                    return self.publish(local, outcome);
                }
            }
            sleep(POLL.0).await;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.sender.borrow().is_some() {
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
        local.flight = None;
    }
}
