//! How many attempts to deliver are under way in one process, and how many there may be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::Channel;
use crate::runtime::lock;

/// Attempts of one process at once, beside the first one of each channel: no channel waits for others that hang.
const MAX_ATTEMPTS: usize = 16;

/// The attempts of one process that are under way.
#[derive(Default)]
pub struct Senders {
    under_way: Arc<Mutex<BTreeMap<String, usize>>>,
    /// Notified when there may be something to send.
    pub wake: Notify,
}

impl Senders {
    /// The right to one more attempt on a channel, if there are not enough.
    pub fn acquire(&self, channel: &dyn Channel) -> Option<SendSlot> {
        let mut under_way = lock(&self.under_way);
        let total: usize = under_way.values().sum();
        let own = under_way.entry(channel.name().to_owned()).or_default();
        if *own > 0 && (total >= MAX_ATTEMPTS || *own >= channel.concurrency()) {
            return None;
        }
        *own += 1;
        Some(SendSlot { channel: channel.name().to_owned(), under_way: self.under_way.clone() })
    }

    pub fn is_idle(&self) -> bool {
        lock(&self.under_way).values().all(|attempts| *attempts == 0)
    }
}

/// The right to an attempt; given back when dropped.
pub struct SendSlot {
    channel: String,
    under_way: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Drop for SendSlot {
    fn drop(&mut self) {
        if let Some(attempts) = lock(&self.under_way).get_mut(&self.channel) {
            *attempts = attempts.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::delivery::Attempt;
    use crate::delivery::callable::CallableChannel;
    use crate::model::Notice;
    use crate::runtime::Context;

    /// A channel with as many attempts at once as most have.
    struct Hanging(&'static str);

    #[async_trait]
    impl Channel for Hanging {
        fn name(&self) -> &str {
            self.0
        }

        async fn send(&self, _context: &Context, _notice: &Notice, _reference: Option<&str>) -> Attempt {
            std::future::pending().await
        }
    }

    #[test]
    fn slots_are_bounded_and_given_back() {
        let senders = Senders::default();
        let channels: Vec<_> = (0..20).map(|index| CallableChannel::new(&index.to_string(), index)).collect();
        let slots: Vec<_> = channels.iter().filter_map(|channel| senders.acquire(channel)).collect();
        assert_eq!((slots.len(), senders.is_idle()), (20, false), "one of each channel");
        drop(slots);
        let busy: Vec<_> = ["a", "b", "c", "d", "e"].map(Hanging).into_iter().collect();
        let slots: Vec<_> = (0..4).flat_map(|_| &busy).filter_map(|channel| senders.acquire(channel)).collect();
        assert_eq!(slots.len(), MAX_ATTEMPTS);
        assert!(senders.acquire(&Hanging("f")).is_some_and(|_slot| senders.acquire(&Hanging("f")).is_none()));
        drop(slots);
        let first = channels.first().and_then(|channel| senders.acquire(channel));
        let second = channels.first().and_then(|channel| senders.acquire(channel));
        assert_eq!((first.is_some(), second.is_some()), (true, false), "one at a time");
        drop(first);
        assert!(senders.is_idle());
    }
}
