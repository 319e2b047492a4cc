//! How many attempts to deliver notices of alerts have ended how, by channel: counted in a scope, for its metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::backend::Busy;
use super::scope::Scope;
use super::stored::{Fits, Stored};

/// Channels that are counted: names of earlier settings stay.
const MAX_CHANNELS: usize = 200;

/// How an attempt has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    Delivered,
    /// It is tried again.
    Failed,
    Refused,
}

/// The attempts of one channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryCounts {
    pub delivered: u64,
    pub failed: u64,
    pub refused: u64,
}

impl DeliveryCounts {
    fn count(&mut self, outcome: DeliveryOutcome) {
        let counted = match outcome {
            DeliveryOutcome::Delivered => &mut self.delivered,
            DeliveryOutcome::Failed => &mut self.failed,
            DeliveryOutcome::Refused => &mut self.refused,
        };
        *counted = counted.saturating_add(1);
    }
}

/// The attempts by channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CountsByChannel(pub BTreeMap<String, DeliveryCounts>);

impl CountsByChannel {
    /// Counts an attempt; false if there is no room for another channel.
    fn count(&mut self, channel: &str, outcome: DeliveryOutcome) -> bool {
        let has_room = self.0.len() < MAX_CHANNELS || self.0.contains_key(channel);
        if has_room {
            self.0.entry(channel.to_owned()).or_default().count(outcome);
        }
        has_room
    }
}

impl Fits for CountsByChannel {
    fn shrink(&mut self, _round: usize) -> bool {
        false
    }
}

/// The same in a scope.
pub struct DeliveryCountStore(Stored<CountsByChannel>);

impl DeliveryCountStore {
    pub fn new(scope: &Scope, application: &str) -> Self {
        Self(Stored::new(scope, &format!("alert deliveries 1 {application}")))
    }

    /// Allocates what it needs, before the store is full.
    pub fn reserve(&self, lock_timeout: Duration) -> Result<(), Busy> {
        self.0.update(lock_timeout, |counts| counts.0.is_empty())
    }

    pub fn read(&self) -> CountsByChannel {
        self.0.read(None, CountsByChannel::clone)
    }

    /// Counts an attempt.
    pub fn count(&self, lock_timeout: Duration, channel: &str, outcome: DeliveryOutcome) -> Result<(), Busy> {
        self.0.update(lock_timeout, |counts| counts.count(channel, outcome))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::state::backend::CAPACITY;

    #[test]
    fn attempts_are_counted_by_channel_and_outcome() {
        let store = DeliveryCountStore::new(&Scope::Process, "shop");
        let lock_timeout = Duration::from_secs(1);
        for (channel, outcome) in [
            ("chat", DeliveryOutcome::Failed),
            ("chat", DeliveryOutcome::Failed),
            ("chat", DeliveryOutcome::Delivered),
            ("oncall", DeliveryOutcome::Refused),
        ] {
            store.count(lock_timeout, channel, outcome).unwrap();
        }
        let found = store.read().0;
        assert_eq!(found["chat"], DeliveryCounts { delivered: 1, failed: 2, refused: 0 });
        assert_eq!(found["oncall"], DeliveryCounts { refused: 1, ..DeliveryCounts::default() });
    }

    #[test]
    fn channels_are_bounded_and_fit() {
        let mut counts = CountsByChannel::default();
        for index in 0..MAX_CHANNELS {
            assert!(counts.count(&format!("{index:0>100}"), DeliveryOutcome::Failed));
        }
        assert!(!counts.count("another", DeliveryOutcome::Failed));
        assert!(counts.count(&format!("{:0>100}", 7), DeliveryOutcome::Failed));
        for each in counts.0.values_mut() {
            *each = DeliveryCounts { delivered: u64::MAX, failed: u64::MAX, refused: u64::MAX };
        }
        assert!(postcard::to_allocvec(&counts).unwrap().len() < CAPACITY);
    }
}
