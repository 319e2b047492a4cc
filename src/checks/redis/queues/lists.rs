//! Queues of one list, or one sorted set, each: huey, django-q2, and any other whose keys are known.

use super::Queues;
use super::batch::Batch;
use super::depths::Depths;
use crate::checks::redis::link::Link;
use crate::model::CheckError;

/// The keys of queues, in which `{queue}` stands for the name of one.
pub struct ListKeys<'a> {
    pub queue: &'a str,
    pub scheduled: Option<&'a str>,
    /// They are sorted sets instead of lists.
    pub sorted: bool,
}

/// The length of each queue, and of the sorted set of its tasks that are to run later.
pub async fn pending(keys: &ListKeys<'_>, link: &Link<'_>, queues: &Queues<'_>) -> Result<Depths, CheckError> {
    let mut depths = Depths::default();
    let mut batch = Batch::default();
    let length = if keys.sorted { "ZCARD" } else { "LLEN" };
    let mut ready = Vec::new();
    let mut later = Vec::new();
    for name in queues.names {
        ready.push((name.clone(), vec![batch.add(length, &[&key(keys.queue, name)])]));
        later.extend(keys.scheduled.iter().map(|pattern| batch.add("ZCARD", &[&key(pattern, name)])));
    }
    let replies = batch.send(link).await?;
    depths.add(&replies, &ready)?;
    for sent in later {
        if replies.is_known(sent, &mut depths.forbidden)? {
            depths.scheduled = Some(depths.scheduled.unwrap_or_default() + replies.count(sent)?);
        }
    }
    Ok(depths)
}

/// The key of a queue.
fn key(pattern: &str, name: &str) -> String {
    pattern.replace("{queue}", name)
}
