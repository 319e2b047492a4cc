//! The times of dramatiq's messages, of those that are small enough to be read.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::checks::redis::link::Link;
use crate::checks::redis::queues::batch::Batch;
use crate::model::CheckError;

/// Messages that are larger are not read for their times.
const LARGEST: u64 = 8 * 1024;
/// How many bytes of messages are read in all.
const BYTES: u64 = 128 * 1024;

/// A message by the key of its hash, and its id.
pub type Place = (String, String);

/// Since when each of the messages could run, or when it can, in seconds since 1970; `None` where that is not known: of
/// one that is large, gone, or not JSON. The first ones are read before the budget of bytes is spent.
pub async fn due_times(link: &Link<'_>, places: &[Place]) -> Result<Vec<Option<f64>>, CheckError> {
    let mut batch = Batch::default();
    let sizes: Vec<_> = places.iter().map(|(key, id)| batch.add("HSTRLEN", &[key, id])).collect();
    let replies = batch.send(link).await?;
    let mut batch = Batch::default();
    let (mut ignored, mut bytes) = (BTreeSet::new(), 0);
    let mut reads = Vec::new();
    for ((key, id), sent) in places.iter().zip(sizes) {
        let size = if replies.is_known(sent, &mut ignored)? { replies.count(sent)? } else { 0 };
        let is_read = size > 0 && size <= LARGEST && bytes + size <= BYTES;
        bytes += if is_read { size } else { 0 };
        reads.push(is_read.then(|| batch.add("HGET", &[key, id])));
    }
    let replies = batch.send(link).await?;
    let mut times = Vec::new();
    for sent in reads {
        times.push(match sent {
            Some(sent) if replies.is_known(sent, &mut ignored)? => replies.text(sent)?.and_then(due),
            _ => None,
        });
    }
    Ok(times)
}

/// When a message was sent, or when it was to run at the earliest: a retry is due later than it was sent.
fn due(message: &str) -> Option<f64> {
    #[derive(Deserialize)]
    struct Message {
        message_timestamp: f64,
        #[serde(default)]
        options: Options,
    }
    #[derive(Default, Deserialize)]
    struct Options {
        eta: Option<f64>,
    }
    let message: Message = serde_json::from_str(message).ok()?;
    Some(message.options.eta.unwrap_or(message.message_timestamp) / 1000.0).filter(|at| at.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_of_messages() {
        for (options, expected) in [("{}", 1.5), (r#"{"eta":9000,"retries":1}"#, 9.0), (r#"{"eta":null}"#, 1.5)] {
            let message = format!(r#"{{"queue_name":"q","args":[1],"options":{options},"message_timestamp":1500}}"#);
            assert_eq!(due(&message), Some(expected));
        }
        for other in ["", "{}", "\u{80}pickle", r#"{"message_timestamp":"x"}"#] {
            assert_eq!(due(other), None, "{other}");
        }
    }
}
