//! What was found of the queues of a broker.

use std::collections::BTreeSet;

use super::batch::{Replies, Sent};
use super::discovery::Discovery;
use super::overdue::Overdue;
use crate::model::CheckError;

/// What was found of all queues; `None` is what the queue does not show.
#[derive(Default)]
pub struct Depths {
    pub ready: Vec<(String, u64)>,
    pub oldest_pending: Option<f64>,
    /// Tasks that are not due yet.
    pub scheduled: Option<u64>,
    pub overdue: Option<Overdue>,
    /// Why it is not known what is overdue, if something is wrong.
    pub overdue_unknown: Option<String>,
    pub taken: Option<u64>,
    pub oldest_taken: Option<f64>,
    pub finished_per_minute: Option<f64>,
    /// How many queues are known beside these.
    pub not_measured: u64,
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

    /// Has the depths remembered, and notes how many queues are known beside these.
    pub fn note(&mut self, discovery: &Discovery) {
        discovery.note(&self.ready);
        let names: Vec<String> = self.ready.iter().map(|(name, _)| name.clone()).collect();
        self.not_measured = discovery.not_measured(&names);
    }
}

/// How many tasks have failed.
#[derive(Default)]
pub struct FailedCount {
    pub count: u64,
    /// How many queues are known beside those that were looked at.
    pub not_measured: u64,
}
