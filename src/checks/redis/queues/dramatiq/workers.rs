//! The workers of dramatiq: clients of the broker with a heartbeat, and what dead ones have taken.

use std::collections::BTreeMap;

use super::message::due_times;
use super::names;
use crate::checks::redis::link::Link;
use crate::checks::redis::queues::batch::{Batch, Replies, Sent, seconds, text};
use crate::checks::redis::queues::discovery::Discovery;
use crate::checks::redis::queues::staff::{DEPLOY, Staff, Uncovered};
use crate::checks::redis::queues::{Queues, age, now};
use crate::checks::worker_sightings::WorkerSightings;
use crate::model::CheckError;

/// How many dead workers are looked at.
const DEAD: usize = 100;
/// How many sets of theirs.
const SETS: usize = 2_000;
/// A worker looks for messages every few seconds: a queue in which one waits for longer, and none is taken, has no worker.
const STANDS_AFTER: f64 = 60.0;

/// What was sent for the messages of one queue.
struct WaitingSent {
    list: Sent,
    hash: Sent,
    head: Sent,
}

/// A queue in which messages wait, and of which no live worker has taken any.
struct Untaken {
    queue: String,
    pending: u64,
    head: String,
}

/// Processes that have used the broker within `window` seconds: workers do every few seconds, those that only send when
/// they send. Messages that dead ones have taken are given back by other workers; until then they are abandoned.
pub async fn workers(
    link: &Link<'_>,
    queues: &Queues<'_>,
    discovery: &Discovery,
    window: f64,
    sightings: &WorkerSightings,
) -> Result<Staff, CheckError> {
    let names = names(link, queues, discovery).await?;
    let heartbeats = format!("{}:__heartbeats__", queues.prefix);
    let since = ((now() - window) * 1000.0).floor();
    let before = format!("({since}");
    let mut batch = Batch::default();
    let alive = batch.add("ZCOUNT", &[&heartbeats, &since.to_string(), "+inf"]);
    let dead = batch.add("ZRANGEBYSCORE", &[&heartbeats, "-inf", &before, "LIMIT", "0", &DEAD.to_string()]);
    let last = batch.add("ZRANGE", &[&heartbeats, "-1", "-1", "WITHSCORES"]);
    let waiting: Vec<_> = names.iter().map(|name| add_queue(&mut batch, queues.prefix, name)).collect();
    let replies = batch.send(link).await?;
    let last = if replies.is_known(last, &mut Default::default())? {
        replies.list(last)?.get(1).and_then(seconds)
    } else {
        None
    };
    let mut batch = Batch::default();
    let sets: Vec<_> = replies
        .list(dead)?
        .iter()
        .filter_map(text)
        .flat_map(|worker| names.iter().map(move |name| (name, format!("{}:__acks__.{worker}.{name}", queues.prefix))))
        .take(SETS)
        .map(|(name, key)| (name, batch.add("SCARD", &[&key])))
        .collect();
    let taken = batch.send(link).await?;
    let mut abandoned = BTreeMap::<&str, u64>::new();
    for (name, sent) in sets {
        *abandoned.entry(name).or_default() += taken.count(sent)?;
    }
    let active = replies.count(alive)?;
    let mut untaken = Vec::new();
    for (name, sent) in names.iter().zip(&waiting) {
        untaken.extend(untaken_in(&replies, name, sent, abandoned.get(name.as_str()).copied().unwrap_or_default())?);
    }
    Ok(Staff {
        active,
        // Those that stopped in order leave the same behind as those that died.
        last_seen: sightings.note(active, 0, DEPLOY),
        abandoned: Some(abandoned.values().sum()),
        uncovered: uncovered(link, queues.prefix, active, untaken).await?,
        window: Some(window),
        last_heartbeat: last.map(|milliseconds| age(now(), milliseconds / 1000.0)),
        not_measured: discovery.not_measured(&names),
        ..Staff::default()
    })
}

fn add_queue(batch: &mut Batch, prefix: &str, name: &str) -> WaitingSent {
    let list = format!("{prefix}:{name}");
    WaitingSent {
        list: batch.add("LLEN", &[&list]),
        hash: batch.add("HLEN", &[&format!("{list}.msgs")]),
        head: batch.add("LINDEX", &[&list, "0"]),
    }
}

/// A queue if messages wait in it and none is with a live worker: a worker that listens takes more than it runs.
fn untaken_in(
    replies: &Replies,
    name: &str,
    sent: &WaitingSent,
    abandoned: u64,
) -> Result<Option<Untaken>, CheckError> {
    let mut ignored = Default::default();
    for one in [sent.list, sent.hash, sent.head] {
        if !replies.is_known(one, &mut ignored)? {
            return Ok(None);
        }
    }
    let pending = replies.count(sent.list)?;
    let taken = replies.count(sent.hash)?.saturating_sub(pending + abandoned);
    let head = replies.text(sent.head)?.filter(|_| taken == 0);
    Ok(head.map(|head| Untaken { queue: name.to_owned(), pending, head: head.to_owned() }))
}

/// Those of the queues that no worker listens to: all where there is none, else those whose first message stands.
/// A process that only sends has a heartbeat, too.
async fn uncovered(
    link: &Link<'_>,
    prefix: &str,
    active: u64,
    untaken: Vec<Untaken>,
) -> Result<Vec<Uncovered>, CheckError> {
    let places: Vec<_> =
        untaken.iter().map(|found| (format!("{prefix}:{}.msgs", found.queue), found.head.clone())).collect();
    let times = if active > 0 { due_times(link, &places).await? } else { vec![Some(0.0); places.len()] };
    let at = now();
    let found = untaken.into_iter().zip(times);
    let stands = found.filter(|(_, due)| due.is_some_and(|due| at - due > STANDS_AFTER));
    Ok(stands.map(|(Untaken { queue, pending, .. }, _)| Uncovered { queue, pending }).collect())
}
