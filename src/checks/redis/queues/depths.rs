//! What was found of the queues of a broker.

use std::collections::BTreeSet;

use super::batch::{Replies, Sent};
use crate::model::CheckError;

/// What was found of all queues; `None` is what the queue does not tell.
#[derive(Default)]
pub struct Depths {
    pub ready: Vec<(String, u64)>,
    pub oldest_pending: Option<f64>,
    pub scheduled: Option<u64>,
    pub taken: Option<u64>,
    pub oldest_taken: Option<f64>,
    pub finished_per_minute: Option<f64>,
    /// The commands that this user may not run.
    pub forbidden: BTreeSet<&'static str>,
}

impl Depths {
    /// Adds queues, each with the sum of its counts.
    pub fn add(&mut self, replies: &Replies, queues: &[(String, Vec<Sent>)]) -> Result<(), CheckError> {
        for (name, parts) in queues {
            let mut depth = 0;
            for sent in parts {
                depth += replies.count(*sent)?;
            }
            self.ready.push((name.clone(), depth));
        }
        Ok(())
    }
}
