//! RQ's queues, jobs and workers: lists of job ids, and sorted sets by when their entries expire.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::batch::{Batch, Sent, text};
use super::depths::{Depths, FailedCount};
use super::discovery::{Discovery, MEMBERS};
use super::flow::{Counts, Flow};
use super::staff::{LastHeartbeat, Staff, Uncovered};
use super::{Queues, age, now};
use crate::checks::redis::link::Link;
use crate::model::CheckError;

/// How many jobs of all queues are looked at for their times.
const JOBS: usize = 400;
/// How many of one queue.
const JOBS_OF_QUEUE: usize = 200;
/// How many workers are looked at.
const WORKERS: usize = 500;
/// An entry of running jobs that has expired for so many seconds was left behind by a worker that died: live ones renew
/// it before that.
const GRACE: f64 = 5.0;

/// The names of all queues that are configured or registered, with one round trip where any may be found.
async fn names(link: &Link<'_>, queues: &Queues<'_>, discovery: &Discovery) -> Result<Vec<String>, CheckError> {
    let mut names = discovery.names(queues);
    if discovery.is_on() {
        let mut batch = Batch::default();
        discovery.add_only_set(format!("{}:queues", queues.prefix));
        let registered = discovery.read_sets(&mut batch);
        let replies = batch.send(link).await?;
        // Without it nothing is found, so that it is needed.
        registered.iter().try_for_each(|step| replies.list(step.sent()).map(drop))?;
        let found = discovery.members(&replies, registered, &mut BTreeSet::new())?;
        let found = found.iter().filter_map(|key| name(queues.prefix, key));
        let new = discovery.add(found.map(str::to_owned), &names);
        names.extend(new);
    }
    Ok(names)
}

/// The name of the queue with a key.
fn name<'a>(prefix: &str, key: &'a str) -> Option<&'a str> {
    key.strip_prefix(prefix)?.strip_prefix(":queue:")
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
    let mut batch = Batch::default();
    let mut ready = Vec::new();
    let mut heads = Vec::new();
    let (mut scheduled, mut taken, mut members) = (Vec::new(), Vec::new(), Vec::new());
    for name in &names {
        let key = format!("{prefix}:queue:{name}");
        ready.push((name.clone(), vec![batch.add("LLEN", &[&key])]));
        heads.push(batch.add("LINDEX", &[&key, "0"]));
        scheduled.push(batch.add("ZCARD", &[&format!("{prefix}:scheduled:{name}")]));
        taken.push(batch.add("ZCARD", &[&format!("{prefix}:wip:{name}")]));
        members.push(batch.add("SRANDMEMBER", &[&format!("{prefix}:workers:{name}"), MEMBERS]));
    }
    let replies = batch.send(link).await?;
    let mut depths = Depths::default();
    depths.add(&replies, &ready)?;
    depths.note(discovery);
    for (sum, parts) in [(&mut depths.scheduled, scheduled), (&mut depths.taken, taken)] {
        for sent in parts {
            *sum = Some(sum.unwrap_or_default() + replies.count(sent)?);
        }
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

/// Workers whose own key has not expired: in the sets of workers dead ones stay until another cleans up. An entry of a
/// running job that has expired is that of a worker that died with it.
pub async fn workers(
    link: &Link<'_>,
    queues: &Queues<'_>,
    discovery: &Discovery,
    last_heartbeat: &LastHeartbeat,
) -> Result<Staff, CheckError> {
    let prefix = queues.prefix;
    let names = names(link, queues, discovery).await?;
    let at = now();
    let mut batch = Batch::default();
    let suspended = batch.add("EXISTS", &[&format!("{prefix}:suspended")]);
    let last = (JOBS / names.len().max(1)).clamp(1, JOBS_OF_QUEUE) - 1;
    let mut parts = Vec::new();
    for name in &names {
        let running = format!("{prefix}:wip:{name}");
        parts.push((
            name,
            batch.add("SRANDMEMBER", &[&format!("{prefix}:workers:{name}"), MEMBERS]),
            batch.add("LLEN", &[&format!("{prefix}:queue:{name}")]),
            batch.add("ZCARD", &[&running]),
            batch.add("ZCOUNT", &[&running, "0", &(at - GRACE).to_string()]),
            batch.add("ZRANGE", &[&running, "0", &last.to_string()]),
        ));
    }
    let replies = batch.send(link).await?;
    let mut staff = Staff {
        suspended: replies.count(suspended)? > 0,
        not_measured: discovery.not_measured(&names),
        ..Staff::default()
    };
    let mut keys = BTreeSet::new();
    let mut jobs = BTreeSet::new();
    let (mut running, mut abandoned) = (0, 0);
    for (_, members, _, started, expired, entries) in &parts {
        keys.extend(replies.texts(*members)?);
        running += replies.count(*started)?;
        abandoned += replies.count(*expired)?;
        jobs.extend(replies.texts(*entries)?.into_iter().map(job));
    }
    let mut batch = Batch::default();
    let heartbeats: Vec<_> =
        keys.iter().take(WORKERS).map(|key| (*key, batch.add("HMGET", &[key, "last_heartbeat", "death"]))).collect();
    let times: Vec<Sent> =
        jobs.iter().take(JOBS).map(|id| batch.add("HGET", &[&format!("{prefix}:job:{id}"), "started_at"])).collect();
    let beside = batch.send(link).await?;
    let mut alive = BTreeSet::new();
    let mut seen = Vec::new();
    for (key, sent) in heartbeats {
        if let [heartbeat, death] = beside.list(sent)?
            && let Some(heartbeat) = text(heartbeat)
        {
            seen.extend(time(heartbeat));
            if text(death).is_none() {
                alive.insert(key);
            }
        }
    }
    let mut oldest = None;
    for sent in times {
        let seconds = beside.text(sent)?.and_then(time).map(|started| age(at, started));
        oldest = seconds.into_iter().chain(oldest).reduce(f64::max);
    }
    for (name, members, length, ..) in parts {
        let pending = replies.count(length)?;
        if pending > 0 && !replies.texts(members)?.iter().any(|key| alive.contains(key)) {
            staff.uncovered.push(Uncovered { queue: name.clone(), pending });
        }
    }
    staff.active = alive.len() as u64;
    staff.last_heartbeat = last_heartbeat.note(seen).map(|heartbeat| age(at, heartbeat));
    staff.running = Some(running.saturating_sub(abandoned));
    staff.oldest_running = oldest;
    staff.abandoned = Some(abandoned);
    Ok(staff)
}

/// The job of an entry: before RQ 2 its id, since then `id:execution`.
fn job(entry: &str) -> &str {
    entry.split_once(':').map_or(entry, |(id, _)| id)
}

/// A time as RQ writes it: ISO 8601 in UTC.
fn time(text: &str) -> Option<f64> {
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(at.as_microsecond() as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_as_rq_writes_it() {
        assert_eq!(time("1970-01-02T00:00:01.500000Z"), Some(86_401.5));
        assert_eq!(time("1970-01-02T00:00:01Z"), Some(86_401.0));
        for wrong in ["", "yesterday", "2026-01-01"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names_of_keys() {
        assert_eq!(name("rq", "rq:queue:mail:fast"), Some("mail:fast"));
        assert_eq!(name("rq", "rq:queues"), None);
        assert_eq!(name("shop", "rq:queue:mail"), None);
        assert_eq!((job("0a1b:7f"), job("0a1b")), ("0a1b", "0a1b"));
    }
}
