//! Jobs of RQ that have failed.

use std::collections::BTreeSet;

use super::{JOBS, JOBS_OF_QUEUE, names, time};
use crate::checks::redis::link::Link;
use crate::checks::redis::queues::Queues;
use crate::checks::redis::queues::batch::{Batch, Sent};
use crate::checks::redis::queues::depths::FailedCount;
use crate::checks::redis::queues::discovery::Discovery;
use crate::model::CheckError;

/// Jobs that failed since a time. Their registry is sorted by when they are forgotten, which depends on each: its newest
/// and its oldest entries are looked at, 200 of a queue at most.
pub async fn failed(
    link: &Link<'_>,
    queues: &Queues<'_>,
    discovery: &Discovery,
    since: f64,
) -> Result<FailedCount, CheckError> {
    let prefix = queues.prefix;
    let names = names(link, queues, discovery).await?;
    let keys: Vec<String> = names.iter().map(|name| format!("{prefix}:failed:{name}")).collect();
    let mut batch = Batch::default();
    let counts: Vec<Sent> = keys.iter().map(|key| batch.add("ZCARD", &[key])).collect();
    let replies = batch.send(link).await?;
    let mut filled = Vec::new();
    for (key, sent) in keys.iter().zip(counts) {
        if replies.count(sent)? > 0 {
            filled.push(key);
        }
    }
    let share = (JOBS * 4 / filled.len().max(1)).clamp(2, JOBS_OF_QUEUE) / 2 - 1;
    let mut batch = Batch::default();
    let lists: Vec<Sent> = filled
        .iter()
        .flat_map(|key| ["ZREVRANGE", "ZRANGE"].map(|name| (name, *key)))
        .map(|(name, key)| batch.add(name, &[key, "0", &share.to_string()]))
        .collect();
    let replies = batch.send(link).await?;
    let mut jobs = BTreeSet::new();
    for sent in lists {
        jobs.extend(replies.texts(sent)?);
    }
    let mut batch = Batch::default();
    let ended: Vec<Sent> =
        jobs.iter().map(|id| batch.add("HGET", &[&format!("{prefix}:job:{id}"), "ended_at"])).collect();
    let replies = batch.send(link).await?;
    let mut failures = FailedCount { not_measured: discovery.not_measured(&names), ..FailedCount::default() };
    for sent in ended {
        failures.count += u64::from(replies.text(sent)?.and_then(time).is_some_and(|at| at >= since));
    }
    Ok(failures)
}
