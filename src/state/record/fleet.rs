//! What the hosts of a fleet share of a record, and how a host takes over what another one has found.
//!
//! Each host keeps its own lease and its own counters: what it has run itself, and how long it has shown each status.
//! The outcome, the breaker, the hysteresis, the recent runs and the history are those of the fleet.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::codec::short;
use super::{Operation, Record, StatusHistory};
use crate::model::{Outcome, Owner, Transition, clock};
use crate::policy::breaker::{BreakerState, CallResult, Refused};
use crate::policy::hysteresis::HysteresisState;
use crate::policy::limits::RecentRuns;
use crate::policy::run_history::RunHistory;

/// What a record has taken over from the fleet, and what the fleet does not have yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetMark {
    /// The fence of the result.
    pub fence: u64,
    /// The number of the operation on the breaker.
    pub operation: u64,
    /// An operation that was applied here, and that the other hosts have not received.
    pub pending: Option<PendingOperation>,
    /// Whether a run has ended here since the last result was taken over or stored.
    pub is_ahead: bool,
}

/// An operator's decision, and when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingOperation {
    pub operation: Operation,
    /// In nanoseconds since boot.
    at: u64,
}

impl PendingOperation {
    pub fn age(self) -> Duration {
        Duration::from_nanos(clock::now().saturating_sub(self.at))
    }
}

/// The host that has encoded a record, and its own clocks then.
#[derive(Serialize, Deserialize)]
struct Encoder {
    name: String,
    boot: u64,
    wall: SystemTime,
}

#[derive(Serialize)]
struct EncodedFleetRecord<'a> {
    latest: Option<&'a Outcome>,
    settled: u64,
    /// The number of the last operation that the breaker has been through.
    operation: u64,
    breaker: Option<&'a BreakerState>,
    hysteresis: HysteresisState,
    recent: &'a RecentRuns,
    history: &'a StatusHistory,
    runs: &'a RunHistory,
}

#[derive(Deserialize)]
struct DecodedFleetRecord {
    latest: Option<Arc<Outcome>>,
    settled: u64,
    operation: u64,
    breaker: Option<BreakerState>,
    hysteresis: HysteresisState,
    recent: RecentRuns,
    history: StatusHistory,
    runs: RunHistory,
}

impl Record {
    pub fn fleet(&self) -> FleetMark {
        self.fleet
    }

    /// Notes that the fleet has what this record holds, as the result of that fence.
    pub fn published(&mut self, fence: u64) {
        self.fleet.fence = fence;
        self.fleet.is_ahead = false;
    }

    /// For the other hosts, in at most `limit` bytes; `name` is that of this host.
    pub fn encode_for_fleet(&self, name: &str, limit: usize) -> Option<Vec<u8>> {
        let encode = |latest: Option<&Outcome>| {
            let encoder = Encoder { name: name.to_owned(), boot: clock::now(), wall: SystemTime::now() };
            let record = EncodedFleetRecord {
                latest,
                settled: self.settled,
                operation: self.fleet.operation,
                breaker: self.breaker.as_ref().map(crate::policy::breaker::Breaker::saved),
                hysteresis: self.hysteresis.state(),
                recent: &self.recent,
                history: &self.history,
                runs: &self.runs,
            };
            postcard::to_extend(&record, postcard::to_allocvec(&encoder).ok()?)
                .ok()
                .filter(|bytes| bytes.len() <= limit)
        };
        let latest = self.latest.as_deref();
        encode(latest).or_else(|| encode(Some(&short(latest?))))
    }

    /// Takes over what another host has encoded, `age` ago; false if it cannot be decoded, and nothing is changed then.
    pub fn adopt(&mut self, bytes: &[u8], age: Duration, fence: u64, now: Instant) -> bool {
        let Ok((encoder, rest)) = postcard::take_from_bytes::<Encoder>(bytes) else { return false };
        let nanos = i128::try_from(age.as_nanos()).unwrap_or(i128::MAX / 2);
        let behind = i128::from(clock::now()) - nanos - i128::from(encoder.boot);
        let Ok(decoded) = clock::decoding(behind, || postcard::from_bytes::<DecodedFleetRecord>(rest)) else {
            return false;
        };
        let wall = |then: SystemTime| here(then, encoder.wall, age);
        self.count_time(now);
        let before = self.latest.as_ref().map(|latest| latest.status);
        let mut history = decoded.history;
        history.since = history.since.map(wall);
        if let Some(error) = history.last_error.as_mut() {
            error.at = wall(error.at);
        }
        let latest = decoded.latest.map(|latest| {
            let found_by = Some(encoder.name.clone());
            Arc::new(Outcome { at: wall(latest.at), found_by, ..Outcome::clone(&latest) })
        });
        if let Some(latest) = &latest {
            self.counters.stretches.change(before, latest.status);
        }
        // That of a host which does not know of a decision that was made since says nothing of the breaker now.
        let is_current = self.fleet.pending.is_none() && decoded.operation >= self.fleet.operation;
        if let (Some(breaker), Some(saved)) = (self.breaker.as_mut(), decoded.breaker.filter(|_| is_current)) {
            breaker.restore(saved);
            self.fleet.operation = decoded.operation;
            if let Some(held) = self.held.as_mut() {
                // It was one of the breaker that is replaced.
                held.permit = None;
            }
        }
        self.latest = latest;
        self.settled = decoded.settled;
        self.hysteresis.restore(decoded.hysteresis);
        self.recent = decoded.recent;
        self.history = history;
        self.runs = decoded.runs;
        self.published(fence);
        true
    }

    /// Applies an operation to the breaker that the other hosts have yet to receive.
    pub fn operate_ahead(&mut self, operation: Operation, now: Instant) -> Option<Transition> {
        self.fleet.pending = Some(PendingOperation { operation, at: clock::now() });
        self.operate(operation, now)
    }

    /// Notes that the fleet has received an operation, unless another one was made here meanwhile.
    pub fn handed_over(&mut self, pending: PendingOperation) {
        self.fleet.pending.take_if(|known| *known == pending);
    }

    /// Applies an operation of the fleet to the breaker, unless a later one was applied, or one was made here that the
    /// fleet has not received: which of them stands is decided when it has.
    pub fn follow(&mut self, number: u64, operation: Operation, now: Instant) -> Option<Transition> {
        if number <= self.fleet.operation || self.fleet.pending.is_some() {
            return None;
        }
        self.fleet.operation = number;
        self.operate(operation, now)
    }

    /// The last operation of the fleet that was applied, and its number.
    pub fn followed(&self) -> Option<(u64, Operation)> {
        let mode = self.breaker.as_ref()?.mode();
        (self.fleet.operation > 0 && self.fleet.pending.is_none()).then(|| (self.fleet.operation, mode.into()))
    }

    /// Whether the breaker has opened by a run that ended here, and refuses runs of which the fleet does not know.
    pub fn has_opened_ahead(&self, now: Instant) -> bool {
        self.fleet.is_ahead && self.is_refused(now).is_some_and(|refused| refused.retry_after.is_some())
    }

    /// Acquires the permit of the breaker that was taken over, for the holder of the host's lease; where it refuses, the
    /// lease ends.
    pub fn permit_again(&mut self, owner: Owner, now: Instant) -> Result<Option<Transition>, Refused> {
        let (Some(held), Some(breaker)) =
            (self.held.as_mut().filter(|held| held.owner == owner), self.breaker.as_mut())
        else {
            return Ok(None);
        };
        if let Some(permit) = held.permit.take() {
            let _ = breaker.record(permit, CallResult::Ignored, Duration::ZERO, now);
        }
        match breaker.acquire(now) {
            Ok(permit) => {
                let transition = permit.transition;
                held.permit = Some(permit);
                Ok(transition)
            }
            Err(refused) => {
                self.held = None;
                Err(refused)
            }
        }
    }
}

/// A time by the wall clock of a host whose clock showed `there` when this was `age` ago, by the wall clock here.
fn here(then: SystemTime, there: SystemTime, age: Duration) -> SystemTime {
    let before = SystemTime::now().checked_sub(age).unwrap_or(then);
    match there.duration_since(then) {
        Ok(earlier) => before.checked_sub(earlier).unwrap_or(then),
        Err(later) => before.checked_add(later.duration()).unwrap_or(then),
    }
}
