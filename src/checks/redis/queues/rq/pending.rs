//! Jobs of RQ that wait: ready ones, those that are to run later, and those whose time is past.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::{WORKERS, names, time};
use crate::checks::redis::link::Link;
use crate::checks::redis::queues::batch::{Batch, Replies, Sent};
use crate::checks::redis::queues::depths::Depths;
use crate::checks::redis::queues::discovery::{Discovery, MEMBERS};
use crate::checks::redis::queues::flow::{Counts, Flow};
use crate::checks::redis::queues::overdue::{OVERDUE_AFTER, Overdue};
use crate::checks::redis::queues::{QueueLayout, Queues, age, now};
use crate::model::CheckError;

/// The jobs of the package rq-scheduler, of all queues: RQ's prefix, as it is by default, is fixed there.
const RQ_SCHEDULER: &str = "scheduler:scheduled_jobs";

/// What was sent for the jobs of one queue, or of rq-scheduler, that are to run later.
struct ScheduledSent {
    all: Sent,
    overdue: Sent,
    /// The lock of the scheduler of a queue.
    lock: Option<Sent>,
}

/// Ready jobs are in lists; the age of each list's head is in the hash of the job.
/// What workers count is looked up with it.
pub async fn pending(
    link: &Link<'_>,
    queues: &Queues<'_>,
    discovery: &Discovery,
    flow: &Flow,
) -> Result<Depths, CheckError> {
    let prefix = queues.prefix;
    let names = names(link, queues, discovery).await?;
    let due_before = (now() - OVERDUE_AFTER).to_string();
    let mut batch = Batch::default();
    let (mut ready, mut heads) = (Vec::new(), Vec::new());
    let (mut scheduled, mut taken, mut members) = (Vec::new(), Vec::new(), Vec::new());
    for name in &names {
        let key = format!("{prefix}:queue:{name}");
        ready.push((name.clone(), vec![batch.add("LLEN", &[&key])]));
        heads.push(batch.add("LINDEX", &[&key, "0"]));
        scheduled.push((name.as_str(), add_scheduled(&mut batch, prefix, name, &due_before)));
        taken.push(batch.add("ZCARD", &[&format!("{prefix}:wip:{name}")]));
        members.push(batch.add("SRANDMEMBER", &[&format!("{prefix}:workers:{name}"), MEMBERS]));
    }
    if prefix == QueueLayout::Rq.prefix() {
        scheduled.push((RQ_SCHEDULER, add_due(&mut batch, &format!("{prefix}:{RQ_SCHEDULER}"), &due_before)));
    }
    let replies = batch.send(link).await?;
    let mut depths = Depths::default();
    depths.add(&replies, &ready)?;
    depths.note(discovery);
    for (name, sent) in scheduled {
        note_scheduled(&mut depths, &replies, name, &sent)?;
    }
    for sent in taken {
        depths.taken = Some(depths.taken.unwrap_or_default() + replies.count(sent)?);
    }
    let mut batch = Batch::default();
    let mut times = Vec::new();
    for head in heads {
        if replies.is_known(head, &mut depths.forbidden)?
            && let Some(id) = replies.text(head)?
        {
            times.push(batch.add("HGET", &[&format!("{prefix}:job:{id}"), "enqueued_at"]));
        }
    }
    let mut workers = BTreeSet::new();
    for sent in members {
        if replies.is_known(sent, &mut depths.forbidden)? {
            workers.extend(replies.texts(sent)?);
        }
    }
    let counters: Vec<_> = workers
        .into_iter()
        .take(WORKERS)
        .map(|key| (key, batch.add("HMGET", &[key, "successful_job_count", "failed_job_count"])))
        .collect();
    let replies = batch.send(link).await?;
    let mut counts = Counts::new();
    for (key, sent) in counters {
        if replies.is_known(sent, &mut depths.forbidden)? {
            let finished = replies.texts(sent)?.into_iter().filter_map(|count| count.parse::<u64>().ok()).sum();
            counts.insert(key.to_owned(), finished);
        }
    }
    depths.finished_per_minute = flow.per_minute(Instant::now(), counts);
    for sent in times {
        if replies.is_known(sent, &mut depths.forbidden)? {
            let oldest = replies.text(sent)?.and_then(time).map(|at| age(now(), at));
            depths.oldest_pending = oldest.into_iter().chain(depths.oldest_pending).reduce(f64::max);
        }
    }
    Ok(depths)
}

fn add_scheduled(batch: &mut Batch, prefix: &str, name: &str, due_before: &str) -> ScheduledSent {
    let sent = add_due(batch, &format!("{prefix}:scheduled:{name}"), due_before);
    // Expires a minute after the scheduler that holds it has died.
    let lock = batch.add("EXISTS", &[&format!("{prefix}:scheduler-lock:{name}")]);
    ScheduledSent { lock: Some(lock), ..sent }
}

/// Adds the counts of a sorted set of jobs by the second at which they are due.
fn add_due(batch: &mut Batch, key: &str, due_before: &str) -> ScheduledSent {
    let all = batch.add("ZCARD", &[key]);
    ScheduledSent { all, overdue: batch.add("ZCOUNT", &[key, "-inf", due_before]), lock: None }
}

/// Counts jobs that are not due yet, and apart from them those that are overdue.
fn note_scheduled(depths: &mut Depths, replies: &Replies, name: &str, sent: &ScheduledSent) -> Result<(), CheckError> {
    let all = replies.count(sent.all)?;
    let mut count = 0;
    if replies.is_known(sent.overdue, &mut depths.forbidden)? {
        count = replies.count(sent.overdue)?;
        let overdue = depths.overdue.get_or_insert_with(Overdue::default);
        overdue.count += count;
        if let Some(lock) = sent.lock.filter(|_| count > 0)
            && replies.is_known(lock, &mut depths.forbidden)?
            && replies.count(lock)? == 0
        {
            overdue.without_scheduler.push(name.to_owned());
        }
    }
    depths.scheduled = Some(depths.scheduled.unwrap_or_default() + all.saturating_sub(count));
    Ok(())
}
