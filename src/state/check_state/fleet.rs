//! A check's record and the fleet: what is taken over from it, and what is handed to it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{CheckState, GIVE_UP_AFTER};
use crate::model::{NotRun, Outcome, Owner, Status, Transition};
use crate::runtime::lock;
use crate::state::backend::fleet::{FleetOperation, FleetResult};
use crate::state::backend::{Busy, CAPACITY};
use crate::state::record::{FleetMark, Operation, PendingOperation, Record};

impl CheckState {
    /// What the host has taken over from the fleet, and what the fleet does not have yet.
    pub fn fleet_mark(&self) -> FleetMark {
        self.read_record(Record::fleet)
    }

    /// The last operation of the fleet that the host has applied.
    pub fn followed(&self) -> Option<FleetOperation> {
        self.read_record(Record::followed).map(|(number, operation)| FleetOperation { number, operation })
    }

    /// Whether the breaker has opened here without the fleet.
    pub fn has_opened_ahead(&self) -> bool {
        self.read_record(|record| record.has_opened_ahead(Instant::now()))
    }

    fn read_record<T>(&self, read: impl FnOnce(&Record) -> T) -> T {
        let mut local = lock(&self.local);
        self.refresh(&mut local, None);
        read(&local.record)
    }

    /// The record for the other hosts, which know this one by `name`, whether its outcome is healthy or skipped, and how old that is.
    pub fn for_fleet(&self, name: &str) -> Option<(Vec<u8>, bool, Duration)> {
        let local = lock(&self.local);
        let latest = local.record.latest()?;
        let is_well = matches!(latest.status, Status::Healthy | Status::Skipped);
        Some((local.record.encode_for_fleet(name, CAPACITY)?, is_well, latest.finished.elapsed()))
    }

    /// Notes that the fleet has the record, as the result of that fence.
    pub fn published(&self, fence: u64) {
        self.change_record(&mut |record| {
            record.published(fence);
            Vec::new()
        });
    }

    /// Applies an operator's decision that the other hosts have yet to receive.
    pub fn operate_ahead(&self, operation: Operation) {
        self.change_record(&mut |record| record.operate_ahead(operation, Instant::now()).into_iter().collect());
    }

    /// Notes that the fleet has received a decision, and applies the one that stands there.
    pub fn handed_over(&self, pending: PendingOperation, stands: FleetOperation) {
        self.change_record(&mut |record| {
            record.handed_over(pending);
            take_over(record, None, Some(stands))
        });
    }

    /// Takes over a result and an operation of the fleet.
    pub fn adopt(&self, result: Option<&FleetResult>, operation: Option<FleetOperation>) {
        self.change_record(&mut |record| take_over(record, result, operation));
    }

    /// The same for the holder of the host's lease, who then needs a permit of the breaker as it is now.
    pub(in crate::state) fn adopt_as(
        &self,
        owner: Owner,
        result: Option<&FleetResult>,
        operation: Option<FleetOperation>,
    ) -> Result<(), NotRun> {
        let mut permitted = Ok(());
        self.change_record(&mut |record| {
            let mut transitions = take_over(record, result, operation);
            match record.permit_again(owner, Instant::now()) {
                Ok(transition) => transitions.extend(transition),
                Err(refused) => permitted = Err(NotRun::CircuitOpen { retry_after: refused.retry_after }),
            }
            transitions
        });
        permitted
    }

    /// The latest outcome, as last read.
    pub fn known_outcome(&self) -> Option<Arc<Outcome>> {
        lock(&self.local).record.latest().cloned()
    }

    /// Changes the record in all processes of the host, or after some time in this one.
    fn change_record(&self, change: &mut dyn FnMut(&mut Record) -> Vec<Transition>) {
        let started = Instant::now();
        let mut published = Vec::new();
        loop {
            let mut local = lock(&self.local);
            let mut change = |record: &mut Record| {
                published = change(record).into_iter().map(|change| (change, record.next_sequence())).collect();
                true
            };
            match self.transact(&mut local, &mut change) {
                Ok(()) => break,
                Err(Busy) if started.elapsed() < GIVE_UP_AFTER => {}
                Err(Busy) => {
                    self.backend.report_stuck();
                    change(&mut local.record);
                    break;
                }
            }
        }
        for (transition, sequence) in published {
            self.publish_transition(Some(transition), sequence);
        }
    }
}

fn take_over(record: &mut Record, result: Option<&FleetResult>, operation: Option<FleetOperation>) -> Vec<Transition> {
    let now = Instant::now();
    if let Some(FleetResult { fence, age, value: Some(value) }) = result
        && *fence != record.fleet().fence
    {
        record.adopt(value, *age, *fence, now);
    }
    operation
        .and_then(|FleetOperation { number, operation }| record.follow(number, operation, now))
        .into_iter()
        .collect()
}
