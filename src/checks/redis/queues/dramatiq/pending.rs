//! Messages of dramatiq that wait: ready ones, those that are to run later, and those whose time is past.

use super::message::{Place, due_times};
use super::{DELAYED, name, scan};
use crate::checks::redis::link::Link;
use crate::checks::redis::queues::batch::{Batch, Replies, Sent};
use crate::checks::redis::queues::depths::Depths;
use crate::checks::redis::queues::discovery::Discovery;
use crate::checks::redis::queues::overdue::{OVERDUE_AFTER, Overdue};
use crate::checks::redis::queues::{Queues, age, now};
use crate::model::CheckError;

/// How many messages of a queue that are to run later are looked at, of those that no worker has taken, and as many of all
/// of them.
const LATER: &str = "20";
/// The last of the first ones.
const LAST: &str = "19";
/// How many of all queues.
const LATER_OF_ALL: usize = 400;

/// What was asked about the messages of one queue.
struct QueueSent {
    list: Sent,
    hash: Sent,
    head: Sent,
    later: Sent,
    /// Ids of messages that are to run later: the first in their list, and any in their hash, where they stay while a
    /// worker has taken them.
    ids: [Sent; 2],
}

/// Messages whose times are still to be read.
#[derive(Default)]
struct Unread {
    heads: Vec<Place>,
    later: Vec<Place>,
}

/// Ready messages are in the list of a queue, and with those that workers have taken in its hash. Those that are to run
/// later have a queue of their own, and stay there, also once a worker has taken them, until they are due.
pub async fn pending(link: &Link<'_>, queues: &Queues<'_>, discovery: &Discovery) -> Result<Depths, CheckError> {
    let mut depths = Depths::default();
    let mut unread = Unread::default();
    let mut names = discovery.names(queues);
    let mut is_first = true;
    // A second round trip where queues were found.
    while !names.is_empty() || is_first {
        let mut batch = Batch::default();
        let parts: Vec<_> = names.iter().map(|name| add_queue(&mut batch, queues.prefix, name)).collect();
        let scan = if is_first { scan(&mut batch, queues, discovery) } else { None };
        let replies = batch.send(link).await?;
        for (name, sent) in names.iter().zip(parts) {
            note_queue(&mut depths, &mut unread, &replies, (queues.prefix, name), &sent)?;
        }
        let found = discovery.scanned(&replies, scan, &mut depths.forbidden)?;
        let found = found.iter().filter_map(|key| name(queues.prefix, key)).map(str::to_owned);
        names = discovery.add(found, &names);
        is_first = false;
    }
    depths.note(discovery);
    note_times(link, &mut depths, unread).await?;
    Ok(depths)
}

fn add_queue(batch: &mut Batch, prefix: &str, name: &str) -> QueueSent {
    let list = format!("{prefix}:{name}");
    let later = format!("{list}{DELAYED}");
    let all = format!("{later}.msgs");
    QueueSent {
        list: batch.add("LLEN", &[&list]),
        hash: batch.add("HLEN", &[&format!("{list}.msgs")]),
        head: batch.add("LINDEX", &[&list, "0"]),
        later: batch.add("HLEN", &[&all]),
        ids: [batch.add("LRANGE", &[&later, "0", LAST]), batch.add("HRANDFIELD", &[&all, LATER])],
    }
}

fn note_queue(
    depths: &mut Depths,
    unread: &mut Unread,
    replies: &Replies,
    (prefix, name): (&str, &str),
    sent: &QueueSent,
) -> Result<(), CheckError> {
    let (ready, all) = (replies.count(sent.list)?, replies.count(sent.hash)?);
    depths.ready.push((name.to_owned(), ready));
    depths.taken = Some(depths.taken.unwrap_or_default() + all.saturating_sub(ready));
    depths.scheduled = Some(depths.scheduled.unwrap_or_default() + replies.count(sent.later)?);
    if replies.is_known(sent.head, &mut depths.forbidden)?
        && let Some(id) = replies.text(sent.head)?
    {
        unread.heads.push((format!("{prefix}:{name}.msgs"), id.to_owned()));
    }
    for ids in sent.ids {
        // Redis has the second one since its version 6.2.
        if replies.is_known(ids, &mut depths.forbidden)? {
            let key = format!("{prefix}:{name}{DELAYED}.msgs");
            unread.later.extend(replies.texts(ids)?.into_iter().map(|id| (key.clone(), id.to_owned())));
        }
    }
    Ok(())
}

/// Notes the age of the oldest ready message, and the messages that were to run at a time which is long past.
async fn note_times(link: &Link<'_>, depths: &mut Depths, mut unread: Unread) -> Result<(), CheckError> {
    // By their random ids, so that each queue has its share.
    unread.later.sort_unstable_by(|(_, left), (_, right)| left.cmp(right));
    unread.later.dedup();
    unread.later.truncate(LATER_OF_ALL);
    let heads = unread.heads.len();
    let places: Vec<Place> = unread.heads.into_iter().chain(unread.later).collect();
    let times = due_times(link, &places).await?;
    let (heads, later) = times.split_at(heads.min(times.len()));
    let at = now();
    depths.oldest_pending = heads.iter().flatten().map(|due| age(at, *due)).reduce(f64::max);
    if later.is_empty() || later.iter().any(Option::is_some) {
        let count = later.iter().flatten().filter(|due| at - **due > OVERDUE_AFTER).count() as u64;
        depths.overdue = Some(Overdue { count, ..Overdue::default() });
        depths.scheduled = depths.scheduled.map(|all| all.saturating_sub(count));
    }
    Ok(())
}
