//! Queues of one list, or one sorted set, each: huey, django-q2, and any other whose keys are known.

use super::Queues;
use super::batch::Batch;
use super::depths::Depths;
use super::overdue::Overdue;
use crate::checks::redis::link::Link;
use crate::model::CheckError;

/// The keys of queues, in which `{queue}` stands for the name of one.
pub struct ListKeys<'a> {
    pub queue: &'a str,
    pub scheduled: Option<&'a str>,
    /// They are sorted sets instead of lists.
    pub sorted: bool,
    /// The score of a task that has just become overdue, where scores tell.
    pub due_before: Option<f64>,
}

/// The length of each queue, and of the sorted set of its tasks that are to run later: a consumer moves them into the
/// queue when they are due.
pub async fn pending(keys: &ListKeys<'_>, link: &Link<'_>, queues: &Queues<'_>) -> Result<Depths, CheckError> {
    let mut depths = Depths::default();
    let mut batch = Batch::default();
    let length = if keys.sorted { "ZCARD" } else { "LLEN" };
    let mut ready = Vec::new();
    let mut later = Vec::new();
    let due_before = keys.due_before.map(|score| score.to_string());
    for name in queues.names {
        ready.push((name.clone(), vec![batch.add(length, &[&key(keys.queue, name)])]));
        if let Some(pattern) = keys.scheduled {
            let key = key(pattern, name);
            let all = batch.add("ZCARD", &[&key]);
            later.push((all, due_before.as_ref().map(|score| batch.add("ZCOUNT", &[&key, "-inf", score]))));
        }
    }
    let replies = batch.send(link).await?;
    depths.add(&replies, &ready)?;
    for (all, overdue) in later {
        let mut due = 0;
        if let Some(sent) = overdue
            && replies.is_known(sent, &mut depths.forbidden)?
        {
            due = replies.count(sent)?;
            depths.overdue.get_or_insert_with(Overdue::default).count += due;
        }
        if replies.is_known(all, &mut depths.forbidden)? {
            let later = replies.count(all)?.saturating_sub(due);
            depths.scheduled = Some(depths.scheduled.unwrap_or_default() + later);
        }
    }
    Ok(depths)
}

/// The key of a queue.
fn key(pattern: &str, name: &str) -> String {
    pattern.replace("{queue}", name)
}
