//! Queues of one list, or one sorted set, each: huey, django-q2, and any other whose keys are known.

use super::Queues;
use super::batch::Batch;
use super::pending::{Depths, RedisPendingTasksCheck};
use crate::checks::redis::link::Link;
use crate::model::CheckError;

/// The length of each queue, and of the sorted set of its tasks that are to run later.
pub async fn pending(
    spec: &RedisPendingTasksCheck,
    link: &Link<'_>,
    queues: &Queues<'_>,
) -> Result<Depths, CheckError> {
    let mut depths = Depths::default();
    let mut batch = Batch::default();
    let length = if spec.sorted { "ZCARD" } else { "LLEN" };
    let mut ready = Vec::new();
    let mut later = Vec::new();
    for name in queues.names {
        ready.push((name.clone(), vec![batch.add(length, &[&key(&spec.key, name)])]));
        later.extend(spec.scheduled_key.iter().map(|pattern| batch.add("ZCARD", &[&key(pattern, name)])));
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
