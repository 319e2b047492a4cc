//! How a record is stored for other processes: as postcard, of bounded size.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{FleetMark, Held, Record, StatusHistory};
use crate::model::Outcome;
use crate::policy::breaker::BreakerState;
use crate::policy::hysteresis::HysteresisState;
use crate::policy::limits::RecentRuns;
use crate::policy::run_history::RunHistory;
use crate::state::counters::Counters;

/// Bytes that are enough for most records.
const USUAL: usize = 1_024;

/// Without the options: they are part of the key under which the record is kept.
#[derive(Serialize)]
struct EncodedRecord<'a> {
    latest: Option<&'a Outcome>,
    settled: u64,
    held: Option<&'a Held>,
    breaker: Option<&'a BreakerState>,
    hysteresis: HysteresisState,
    recent: &'a RecentRuns,
    history: &'a StatusHistory,
    runs: &'a RunHistory,
    counters: &'a Counters,
    fleet: FleetMark,
}

#[derive(Deserialize)]
struct DecodedRecord {
    latest: Option<Arc<Outcome>>,
    settled: u64,
    held: Option<Held>,
    breaker: Option<BreakerState>,
    hysteresis: HysteresisState,
    recent: RecentRuns,
    history: StatusHistory,
    runs: RunHistory,
    counters: Counters,
    fleet: FleetMark,
}

/// An outcome without its details.
pub(super) fn short(outcome: &Outcome) -> Outcome {
    let omitted = "more than the processes of a host share";
    Outcome { details: Map::from_iter([("omitted".to_owned(), Value::from(omitted))]), ..outcome.clone() }
}

impl Record {
    /// In at most `limit` bytes, without the outcome's details if need be; `None` if not even that suffices.
    pub fn encode(&self, limit: usize) -> Option<Vec<u8>> {
        let full = self.encode_with(self.latest.as_deref());
        if full.as_ref().is_some_and(|bytes| bytes.len() <= limit) {
            return full;
        }
        self.encode_with(Some(&short(self.latest.as_deref()?))).filter(|bytes| bytes.len() <= limit)
    }

    fn encode_with(&self, latest: Option<&Outcome>) -> Option<Vec<u8>> {
        let encoded = EncodedRecord {
            latest,
            settled: self.settled,
            held: self.held.as_ref(),
            breaker: self.breaker.as_ref().map(crate::policy::breaker::Breaker::saved),
            hysteresis: self.hysteresis.state(),
            recent: &self.recent,
            history: &self.history,
            runs: &self.runs,
            counters: &self.counters,
            fleet: self.fleet,
        };
        postcard::to_extend(&encoded, Vec::with_capacity(USUAL)).ok()
    }

    /// Continues from what another process stored; false if it cannot be decoded, and nothing is changed then.
    pub fn decode(&mut self, bytes: &[u8]) -> bool {
        let Ok(decoded) = postcard::from_bytes::<DecodedRecord>(bytes) else { return false };
        self.latest = decoded.latest;
        self.settled = decoded.settled;
        self.held = decoded.held;
        if let (Some(breaker), Some(saved)) = (self.breaker.as_mut(), decoded.breaker) {
            breaker.restore(saved);
        }
        self.hysteresis.restore(decoded.hysteresis);
        self.recent = decoded.recent;
        self.history = decoded.history;
        self.runs = decoded.runs;
        self.counters = decoded.counters;
        self.fleet = decoded.fleet;
        true
    }
}
