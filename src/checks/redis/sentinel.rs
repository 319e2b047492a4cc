//! Which server is the master: the answer of Redis Sentinel.

use std::sync::Arc;
use std::time::Duration;

use redis::{Value, cmd};

use super::connect::{KeptSession, target};
use super::errors::refusal;
use super::{RedisAddress, RedisServer};
use crate::model::CheckError;
use crate::net::first_success;
use crate::runtime::Context;

/// How long to wait for a sentinel, or for a node of a cluster, before requesting the same of the next one beside it.
pub const STAGGER: Duration = Duration::from_millis(100);

/// The connection to `server`, kept under the name of the master: its address changes.
pub fn kept(context: &Context, server: &RedisServer, sentinels: &[RedisServer], master: &str) -> Arc<KeptSession> {
    KeptSession::of(context, server, &format!("{master} {sentinels:?}"))
}

/// The address of `master`, by the first sentinel that knows it.
pub async fn master(context: &Context, sentinels: &[RedisServer], master: &str) -> Result<RedisAddress, CheckError> {
    let attempts = sentinels.iter().map(|sentinel| request(context, sentinel, master)).collect();
    // A wrong name or password says more than a sentinel that is down.
    let found = first_success(attempts, STAGGER, |_, known: &CheckError| known.trips_breaker()).await;
    found.map_err(|failure| failure.unwrap_or(CheckError::Configuration("no sentinel is configured".into())))
}

async fn request(context: &Context, sentinel: &RedisServer, master: &str) -> Result<RedisAddress, CheckError> {
    let command = cmd("SENTINEL").arg("get-master-addr-by-name").arg(master).take();
    let kept = KeptSession::of(context, sentinel, "");
    let replies = kept.send(context, sentinel, &[command]).await?;
    let target = target(&sentinel.address);
    match replies.first() {
        Some(Value::Array(parts)) => {
            address(parts).ok_or_else(|| CheckError::Protocol { target, expected: "Redis Sentinel".into() })
        }
        Some(Value::Nil) => {
            Err(CheckError::Rejected { target, reason: format!("it knows no master {master:?}").into() })
        }
        Some(Value::ServerError(error)) => Err(refusal(&target, "SENTINEL", error)),
        _ => Err(CheckError::Protocol { target, expected: "Redis Sentinel".into() }),
    }
}

/// Host and port of an answer. The host will stand in messages, so it must look like one.
fn address(parts: &[Value]) -> Option<RedisAddress> {
    let [Value::BulkString(host), Value::BulkString(port)] = parts else { return None };
    plain_address(str::from_utf8(host).ok()?, str::from_utf8(port).ok()?)
}

/// An address that a server named, if its host looks like one.
pub fn plain_address(host: &str, port: &str) -> Option<RedisAddress> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    let port = port.parse().ok()?;
    let fits = !host.is_empty() && host.len() <= 253 && host.chars().all(plain) && port != 0;
    fits.then(|| RedisAddress::Tcp { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_what_looks_like_one() {
        let parts = |host: &str, port: &str| [Value::BulkString(host.into()), Value::BulkString(port.into())];
        for (host, port, expected) in [
            ("10.0.0.5", "6379", true),
            ("::1", "6379", true),
            ("redis-0.redis", "7000", true),
            ("", "6379", false),
            ("a b", "6379", false),
            ("a", "0", false),
            ("a", "70000", false),
            ("a", "x", false),
        ] {
            assert_eq!(address(&parts(host, port)).is_some(), expected, "{host:?} {port:?}");
        }
        assert_eq!(address(&[Value::Nil, Value::Int(1)]), None);
        assert_eq!(address(&[]), None);
    }
}
