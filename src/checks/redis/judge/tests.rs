//! Answers of real servers, cut and wrong ones.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::json;

use super::*;

const REAL: &str = "# Server\r\nredis_version:7.0.15\r\nuptime_in_seconds:86400\r\n\r\n# Clients\r\nconnected_clients:12\r\n\
    # Memory\r\nused_memory:1048576\r\nused_memory_human:1.00M\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n\
    # Replication\r\nrole:master\r\n# Keyspace\r\ndb0:keys=5,expires=0,avg_ttl=0\r\n";

fn both(info: &str, cluster: &str) -> Seen {
    Seen { info: Some(Info::parse(info)), cluster: Some(Cluster::parse(cluster)), ..Seen::default() }
}

fn finding(info: &str) -> Finding {
    judge("h:1", &Seen { info: Some(Info::parse(info)), ..Seen::default() }).unwrap()
}

#[test]
fn info_details_of_a_real_server() {
    let finding = finding(REAL);
    assert_eq!(finding.status, Status::Healthy);
    assert_eq!(
        serde_json::Value::Object(finding.details),
        json!({
            "redis_version": "7.0.15", "uptime_seconds": 86400, "connected_clients": 12,
            "used_memory_human": "1.00M", "role": "master",
        })
    );
}

#[test]
fn info_what_is_missing_or_odd_is_null() {
    for text in [
        "",
        "redis_version",
        "redis_version:",
        "connected_clients:-1\r\nuptime_in_seconds:1e9",
        "used_memory_human:1\u{202e}M\r\nrole:\u{0}",
        "# redis_version:7",
    ] {
        let finding = finding(text);
        assert_eq!(finding.status, Status::Healthy, "{text:?}");
        assert!(finding.details.values().all(serde_json::Value::is_null), "{text:?}: {:?}", finding.details);
    }
    let long = format!("redis_version:{}", "7".repeat(1000));
    assert_eq!(Info::parse(&long).version, None);
}

#[test]
fn judge_degraded_ones() {
    for (text, degraded) in [
        ("role:slave\r\nmaster_link_status:up", false),
        ("role:slave\r\nmaster_link_status:down", true),
        ("used_memory:11\r\nmaxmemory:10\r\nmaxmemory_policy:noeviction", true),
        ("used_memory:10\r\nmaxmemory:10\r\nmaxmemory_policy:noeviction", false),
        ("used_memory:11\r\nmaxmemory:10\r\nmaxmemory_policy:allkeys-lru", false),
        ("used_memory:11\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction", false),
        ("used_memory:11\r\nmaxmemory_policy:noeviction", false),
    ] {
        assert_eq!(finding(text).status == Status::Degraded, degraded, "{text:?}");
    }
}

#[test]
fn judge_without_info() {
    let finding = judge("h:1", &Seen { forbidden: vec!["PING", "INFO"], ..Seen::default() }).unwrap();
    assert_eq!(finding.status, Status::Healthy);
    assert_eq!(finding.message, "Connected to Redis; PING, INFO not allowed");
    assert_eq!(finding.details.get("redis_version"), Some(&serde_json::Value::Null));
}

#[test]
fn judge_clusters() {
    let judged = |text: &str| judge("h:1", &both(REAL, text));
    assert_eq!(judged("cluster_state:ok\r\ncluster_slots_ok:16384").unwrap().status, Status::Healthy);
    let partial = judged("cluster_state:ok\r\ncluster_slots_ok:16000").unwrap();
    assert_eq!(partial.status, Status::Degraded);
    assert!(partial.message.contains("16000 of 16384"));
    let failed = judged("cluster_state:fail\r\ncluster_slots_assigned:0\r\ncluster_slots_ok:0").unwrap_err();
    assert_eq!(failed.code(), "UnavailableError");
    assert_eq!(judged("nonsense").unwrap_err().code(), "ProtocolError");
}

proptest! {
    #[test]
    fn parse_any_text(text in "(?s).*", lines in proptest::collection::vec("(role|maxmemory|used_memory|redis_version|cluster_state):.*", 0..9)) {
        for text in [text, lines.join("\r\n")] {
            let _ = judge("h:1", &both(&text, &text));
        }
    }

    #[test]
    fn text_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(answer) = redis::parse_redis_value(&bytes) {
            let _ = text("h:1", "INFO", answer);
        }
        let _ = text("h:1", "INFO", Value::BulkString(bytes));
    }
}
