//! What is sent about incidents: the outbox of each channel, and what a channel has to be able to do.
//!
//! A channel does one attempt to deliver one notice, and returns its result. It holds no retry, queue, order or memory:
//! the outbox does, so that none of them can be forgotten.

mod alerts;
mod answer;
mod attempt;
mod backoff;
pub mod callable;
pub mod config;
mod fleet;
mod judging;
mod mail;
pub mod message;
mod observe;
mod opsgenie;
mod pagerduty;
mod performing;
mod ping;
mod requests;
pub mod restore;
#[cfg(test)]
mod sample;
mod senders;
mod sending;
pub mod service;
pub mod settings;
pub mod shown;
mod slack;
mod summary;
mod webhook;

use std::time::Duration;

use async_trait::async_trait;

use crate::model::Notice;
use crate::runtime::Context;
pub use alerts::{AlertError, Alerts, StoreInUse};
pub use observe::{READINESS, WEDGED_WORKER};
pub use summary::{AlertSummary, ChannelSummary};

/// One configured receiver of notices.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Its name in the settings.
    fn name(&self) -> &str;

    /// Attempts of one process at once, at most.
    fn concurrency(&self) -> usize {
        4
    }

    /// Attempts to deliver a notice within the context's deadline. `reference` is what an earlier notice of the same
    /// incident returned, such as the message to update.
    async fn send(&self, context: &Context, notice: &Notice, reference: Option<&str>) -> Attempt;
}

/// The result of one attempt. Every `answer` is one short line for people, and holds no secret: "202",
/// "429 Too Many Requests", "TimeoutError after 15 s".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The receiver has confirmed it. A `reference` is kept, and given to the next notice of the incident.
    Delivered { answer: String, reference: Option<String> },
    /// The receiver will never take it: it is shown, and not repeated.
    Refused { answer: String },
    /// It may succeed later.
    Failed {
        answer: String,
        /// When the receiver wants the next one.
        retry_after: Option<Duration>,
        /// Whether the receiver may have taken it all the same: its answer was lost.
        may_have_arrived: bool,
    },
}
