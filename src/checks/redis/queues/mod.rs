//! Task queues whose broker is Redis: how much waits, what failed, and who works.
//!
//! ```text
//! pending, failed, workers, broker (specs, judgement) ─► layout (celery, rq, dramatiq, lists: keys and their meaning)
//!                                                          └► batch (one round trip) ─► link ─► kept connection
//! ```
//!
//! Every run is one round trip, or as many as its layout needs for what stands behind what was found: all of them
//! bounded, since the answers' size is in the hands of those who send tasks. No message of a task is read where it can be
//! large.

mod batch;
mod broker;
mod celery;
mod depths;
mod discovery;
mod dramatiq;
mod failed;
mod flow;
mod known;
mod lists;
mod overdue;
mod pending;
mod rq;
mod staff;
mod workers;

use std::time::SystemTime;

use serde::Deserialize;

pub use broker::RedisTaskBrokerCheck;
pub use failed::RedisFailedTasksCheck;
pub use pending::RedisPendingTasksCheck;
pub use workers::RedisTaskWorkersCheck;

use crate::checks::fields::{counted, tenths};
use crate::model::SpecError;

/// How many queues a check measures.
const QUEUES: usize = 500;
/// How many bytes the name of a queue may have.
const LONGEST_NAME: usize = 200;

/// Whose keys they are.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueLayout {
    /// Lists and their priority steps, with what workers have taken in one hash.
    Celery,
    Rq,
    Dramatiq,
    /// One list, or sorted set, for each queue.
    Lists,
}

impl QueueLayout {
    /// The prefix of all keys where none is configured.
    fn prefix(self) -> &'static str {
        match self {
            Self::Rq => "rq",
            Self::Dramatiq => "dramatiq",
            Self::Celery | Self::Lists => "",
        }
    }
}

/// Which queues: by name, and by what is found in Redis.
#[derive(Clone, Copy)]
pub struct Queues<'a> {
    pub layout: QueueLayout,
    pub prefix: &'a str,
    pub names: &'a [String],
    pub discover: bool,
}

impl<'a> Queues<'a> {
    fn new(layout: QueueLayout, prefix: Option<&'a str>, names: &'a [String], discover: bool) -> Self {
        Self { layout, prefix: prefix.unwrap_or_else(|| layout.prefix()), names, discover }
    }

    /// Refuses names that no queue can have, and a check that has nothing to look at.
    fn validate(&self) -> Result<(), SpecError> {
        if self.names.is_empty() && (!self.discover || self.layout == QueueLayout::Lists) {
            return Err(SpecError("queues must name at least one queue, or discover must be True".to_owned()));
        }
        if self.names.len() > QUEUES || self.names.iter().any(|name| name.is_empty() || name.len() > LONGEST_NAME) {
            return Err(SpecError(format!("queues must be at most {QUEUES} names of 1 to {LONGEST_NAME} bytes")));
        }
        Ok(())
    }
}

/// The message, with how many queues it does not cover.
fn with_not_measured(message: String, queues: u64) -> String {
    if queues == 0 { message } else { format!("{message}; {} not measured", counted("queue", queues)) }
}

/// Seconds since 1970, by which clients note times in Redis.
fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// The age of a time in seconds with one decimal; what lies ahead, by a clock that goes wrong, is 0.
fn age(now: f64, at: f64) -> f64 {
    tenths((now - at).max(0.0))
}
