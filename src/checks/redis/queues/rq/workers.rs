//! The workers of RQ, and what they run.

use std::collections::BTreeSet;

use super::{JOBS, JOBS_OF_QUEUE, WORKERS, job, names, time};
use crate::checks::redis::link::Link;
use crate::checks::redis::queues::batch::{Batch, Sent, text};
use crate::checks::redis::queues::discovery::{Discovery, MEMBERS};
use crate::checks::redis::queues::staff::{DEPLOY, LastHeartbeat, Staff, Uncovered};
use crate::checks::redis::queues::{Queues, age, now};
use crate::checks::worker_sightings::WorkerSightings;
use crate::model::CheckError;

/// An entry of running jobs that has expired for so many seconds was left behind by a worker that died: live ones renew
/// it before that.
const GRACE: f64 = 5.0;

/// Workers whose own key has not expired: in the sets of workers dead ones stay until another cleans up. An entry of a
/// running job that has expired is that of a worker that died with it.
pub async fn workers(
    link: &Link<'_>,
    queues: &Queues<'_>,
    discovery: &Discovery,
    last_heartbeat: &LastHeartbeat,
    sightings: &WorkerSightings,
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
    let mut expired = 0;
    for (key, sent) in heartbeats {
        if let [heartbeat, death] = beside.list(sent)?
            && let Some(heartbeat) = text(heartbeat)
        {
            seen.extend(time(heartbeat));
            if text(death).is_none() {
                alive.insert(key);
            }
        } else {
            // One that stops in order leaves the set.
            expired += 1;
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
    staff.last_seen = sightings.note(staff.active, expired, DEPLOY);
    staff.last_heartbeat = last_heartbeat.note(seen).map(|heartbeat| age(at, heartbeat));
    staff.running = Some(running.saturating_sub(abandoned));
    staff.oldest_running = oldest;
    staff.abandoned = Some(abandoned);
    Ok(staff)
}
