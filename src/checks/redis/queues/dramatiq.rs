//! Dramatiq's queues: a list of ids and a hash of messages each, dead letters, and heartbeats of the broker's clients.

use serde::Deserialize;

use super::batch::{Batch, Sent, seconds, text};
use super::depths::{Depths, FailedCount};
use super::discovery::{Discovery, ScanStep};
use super::staff::{DEPLOY, Staff};
use super::{Queues, age, now};
use crate::checks::redis::link::Link;
use crate::checks::worker_sightings::WorkerSightings;
use crate::model::CheckError;

/// Messages that are larger are not read for their time.
const LARGEST: u64 = 8 * 1024;
/// How many bytes of messages are read in all.
const BYTES: u64 = 128 * 1024;
/// How many dead workers are looked at.
const DEAD: usize = 100;
/// How many sets of theirs.
const SETS: usize = 2_000;

/// Ready messages are in the list of a queue, and with those that workers have taken in its hash. Those that are to run
/// later have a queue of their own.
pub async fn pending(link: &Link<'_>, queues: &Queues<'_>, discovery: &Discovery) -> Result<Depths, CheckError> {
    let mut depths = Depths::default();
    let mut heads = Vec::new();
    let mut names = discovery.names(queues);
    let mut is_first = true;
    // A second round trip where queues were found.
    while !names.is_empty() || is_first {
        let mut batch = Batch::default();
        let parts: Vec<_> = names.iter().map(|name| add_queue(&mut batch, queues.prefix, name)).collect();
        let scan = if is_first { scan(&mut batch, queues, discovery) } else { None };
        let replies = batch.send(link).await?;
        for (name, [list, hash, later, head]) in names.iter().zip(parts) {
            let (ready, all) = (replies.count(list)?, replies.count(hash)?);
            depths.ready.push((name.clone(), ready));
            depths.taken = Some(depths.taken.unwrap_or_default() + all.saturating_sub(ready));
            depths.scheduled = Some(depths.scheduled.unwrap_or_default() + replies.count(later)?);
            if replies.is_known(head, &mut depths.forbidden)?
                && let Some(id) = replies.text(head)?
            {
                heads.push((format!("{}:{name}.msgs", queues.prefix), id.to_owned()));
            }
        }
        let found = discovery.scanned(&replies, scan, &mut depths.forbidden)?;
        let found = found.iter().filter_map(|key| name(queues.prefix, key)).map(str::to_owned);
        names = discovery.add(found, &names);
        is_first = false;
    }
    depths.note(discovery);
    depths.oldest_pending = oldest(link, heads).await?;
    Ok(depths)
}

fn scan(batch: &mut Batch, queues: &Queues<'_>, discovery: &Discovery) -> Option<ScanStep> {
    discovery.scan(batch, &format!("{}:", queues.prefix), ".msgs")
}

fn add_queue(batch: &mut Batch, prefix: &str, name: &str) -> [Sent; 4] {
    let list = format!("{prefix}:{name}");
    [
        batch.add("LLEN", &[&list]),
        batch.add("HLEN", &[&format!("{list}.msgs")]),
        batch.add("HLEN", &[&format!("{list}.DQ.msgs")]),
        batch.add("LINDEX", &[&list, "0"]),
    ]
}

/// The queue whose hash of messages this is, or of its dead letters, or of those that are to run later.
fn name<'a>(prefix: &str, key: &'a str) -> Option<&'a str> {
    let name = key.strip_prefix(prefix)?.strip_prefix(':')?.strip_suffix(".msgs")?;
    Some(name.strip_suffix(".DQ").or_else(|| name.strip_suffix(".XQ")).unwrap_or(name))
}

/// The largest age of messages that are small enough to be read, and that are JSON.
async fn oldest(link: &Link<'_>, heads: Vec<(String, String)>) -> Result<Option<f64>, CheckError> {
    let mut batch = Batch::default();
    let sizes: Vec<_> = heads.iter().map(|(key, id)| batch.add("HSTRLEN", &[key, id])).collect();
    let replies = batch.send(link).await?;
    let mut batch = Batch::default();
    let mut messages = Vec::new();
    let (mut ignored, mut bytes) = (Default::default(), 0);
    for ((key, id), sent) in heads.iter().zip(sizes) {
        if !replies.is_known(sent, &mut ignored)? {
            continue;
        }
        let size = replies.count(sent)?;
        if size <= LARGEST && bytes + size <= BYTES {
            bytes += size;
            messages.push(batch.add("HGET", &[key, id]));
        }
    }
    let replies = batch.send(link).await?;
    let mut oldest = None;
    for sent in messages {
        if replies.is_known(sent, &mut ignored)? {
            let seconds = replies.text(sent)?.and_then(sent_at).map(|at| age(now(), at));
            oldest = seconds.into_iter().chain(oldest).reduce(f64::max);
        }
    }
    Ok(oldest)
}

/// When a message was sent.
fn sent_at(message: &str) -> Option<f64> {
    #[derive(Deserialize)]
    struct Message {
        message_timestamp: f64,
    }
    let message: Message = serde_json::from_str(message).ok()?;
    Some(message.message_timestamp / 1000.0).filter(|at| at.is_finite())
}

/// Messages that became dead letters since a time.
pub async fn failed(
    link: &Link<'_>,
    queues: &Queues<'_>,
    discovery: &Discovery,
    since: f64,
) -> Result<FailedCount, CheckError> {
    let names = names(link, queues, discovery).await?;
    let since = (since * 1000.0).floor().to_string();
    let mut batch = Batch::default();
    let counts: Vec<_> = names
        .iter()
        .map(|name| batch.add("ZCOUNT", &[&format!("{}:{name}.XQ", queues.prefix), &since, "+inf"]))
        .collect();
    let replies = batch.send(link).await?;
    let count = counts.into_iter().map(|sent| replies.count(sent)).sum::<Result<u64, CheckError>>()?;
    Ok(FailedCount { count, not_measured: discovery.not_measured(&names) })
}

/// The queues as far as they are known, after one more step of the scan.
async fn names(link: &Link<'_>, queues: &Queues<'_>, discovery: &Discovery) -> Result<Vec<String>, CheckError> {
    let mut names = discovery.names(queues);
    let mut batch = Batch::default();
    if let Some(step) = scan(&mut batch, queues, discovery) {
        let replies = batch.send(link).await?;
        let found = discovery.scanned(&replies, Some(step), &mut Default::default())?;
        let found = found.iter().filter_map(|key| name(queues.prefix, key)).map(str::to_owned);
        let new = discovery.add(found, &names);
        names.extend(new);
    }
    Ok(names)
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
        .flat_map(|worker| names.iter().map(move |name| format!("{}:__acks__.{worker}.{name}", queues.prefix)))
        .take(SETS)
        .map(|key| batch.add("SCARD", &[&key]))
        .collect();
    let taken = batch.send(link).await?;
    let abandoned = sets.into_iter().map(|sent| taken.count(sent)).sum::<Result<u64, CheckError>>()?;
    let active = replies.count(alive)?;
    Ok(Staff {
        active,
        // Those that stopped in order leave the same behind as those that died.
        last_seen: sightings.note(active, 0, DEPLOY),
        abandoned: Some(abandoned),
        window: Some(window),
        last_heartbeat: last.map(|milliseconds| age(now(), milliseconds / 1000.0)),
        not_measured: discovery.not_measured(&names),
        ..Staff::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_each_key() {
        for (key, expected) in [
            ("dramatiq:default.msgs", Some("default")),
            ("dramatiq:default.DQ.msgs", Some("default")),
            ("dramatiq:default.XQ.msgs", Some("default")),
            ("dramatiq:a:b.msgs", Some("a:b")),
            ("dramatiq:default", None),
            ("other:default.msgs", None),
        ] {
            assert_eq!(name("dramatiq", key), expected, "{key}");
        }
    }

    #[test]
    fn sent_at_of_messages() {
        let message = r#"{"queue_name":"default","args":[1],"options":{},"message_timestamp":1500}"#;
        assert_eq!(sent_at(message), Some(1.5));
        for other in ["", "{}", "\u{80}pickle", r#"{"message_timestamp":"x"}"#] {
            assert_eq!(sent_at(other), None, "{other}");
        }
    }
}
