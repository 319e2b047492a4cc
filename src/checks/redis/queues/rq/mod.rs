//! RQ's queues, jobs and workers: lists of job ids, and sorted sets by when their entries expire.

mod failed;
mod pending;
mod workers;

use std::collections::BTreeSet;

use super::Queues;
use super::batch::Batch;
use super::discovery::Discovery;
use crate::checks::redis::link::Link;
use crate::model::CheckError;

pub use failed::failed;
pub use pending::pending;
pub use workers::workers;

/// How many jobs of all queues are looked at for their times.
const JOBS: usize = 400;
/// How many of one queue.
const JOBS_OF_QUEUE: usize = 200;
/// How many workers are looked at.
const WORKERS: usize = 500;

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
