//! How a record is told to other processes: as postcard, of bounded size.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Held, Record};
use crate::model::Outcome;
use crate::policy::breaker;
use crate::policy::hysteresis;
use crate::state::counters::Counters;

/// Bytes that are enough for most records.
const USUAL: usize = 512;

/// Without the specification: it is part of the key under which the record is kept.
#[derive(Serialize)]
struct Told<'a> {
    latest: Option<&'a Outcome>,
    settled: u64,
    held: Option<&'a Held>,
    breaker: Option<&'a breaker::Memory>,
    hysteresis: hysteresis::Memory,
    counters: &'a Counters,
}

#[derive(Deserialize)]
struct Heard {
    latest: Option<Arc<Outcome>>,
    settled: u64,
    held: Option<Held>,
    breaker: Option<breaker::Memory>,
    hysteresis: hysteresis::Memory,
    counters: Counters,
}

impl Record {
    /// In at most `limit` bytes, without the outcome's details if need be; `None` if not even that suffices.
    pub fn encode(&self, limit: usize) -> Option<Vec<u8>> {
        let full = self.encode_with(self.latest.as_deref());
        if full.as_ref().is_some_and(|bytes| bytes.len() <= limit) {
            return full;
        }
        let mut short = Outcome::clone(self.latest.as_deref()?);
        let omitted = "more than the processes of a host tell each other";
        short.details = Map::from_iter([("omitted".to_owned(), Value::from(omitted))]);
        self.encode_with(Some(&short)).filter(|bytes| bytes.len() <= limit)
    }

    fn encode_with(&self, latest: Option<&Outcome>) -> Option<Vec<u8>> {
        let told = Told {
            latest,
            settled: self.settled,
            held: self.held.as_ref(),
            breaker: self.breaker.as_ref().map(breaker::Breaker::memory),
            hysteresis: self.hysteresis.memory(),
            counters: &self.counters,
        };
        postcard::to_extend(&told, Vec::with_capacity(USUAL)).ok()
    }

    /// Goes on from what another process told, and says whether it made sense.
    pub fn decode(&mut self, told: &[u8]) -> bool {
        let Ok(heard) = postcard::from_bytes::<Heard>(told) else { return false };
        self.latest = heard.latest;
        self.settled = heard.settled;
        self.held = heard.held;
        if let (Some(breaker), Some(memory)) = (self.breaker.as_mut(), heard.breaker) {
            breaker.recall(memory);
        }
        self.hysteresis.recall(heard.hysteresis);
        self.counters = heard.counters;
        true
    }
}
