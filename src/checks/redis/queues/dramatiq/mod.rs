//! Dramatiq's queues: a list of ids and a hash of messages each, dead letters, and heartbeats of the broker's clients.

mod failed;
mod message;
mod pending;
mod workers;

use super::Queues;
use super::batch::Batch;
use super::discovery::{Discovery, ScanStep};
use crate::checks::redis::link::Link;
use crate::model::CheckError;

pub use failed::failed;
pub use pending::pending;
pub use workers::workers;

/// The queue of the messages of another that are to run later.
const DELAYED: &str = ".DQ";

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

fn scan(batch: &mut Batch, queues: &Queues<'_>, discovery: &Discovery) -> Option<ScanStep> {
    discovery.scan(batch, &format!("{}:", queues.prefix), ".msgs")
}

/// The queue whose hash of messages this is, or of its dead letters, or of those that are to run later.
fn name<'a>(prefix: &str, key: &'a str) -> Option<&'a str> {
    let name = key.strip_prefix(prefix)?.strip_prefix(':')?.strip_suffix(".msgs")?;
    Some(name.strip_suffix(DELAYED).or_else(|| name.strip_suffix(".XQ")).unwrap_or(name))
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
}
