//! The URL forms of Redis' clients, and each way to get one wrong.

#![allow(clippy::unwrap_used)]

use crate::model::Secret;
use crate::net::Tls;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn parse(fields: Value) -> Result<RedisServerOptions, String> {
    serde_json::from_value(fields).map_err(|error| error.to_string())
}

fn url(text: &str) -> RedisServerOptions {
    parse(json!({ "url": text })).unwrap()
}

fn tcp(host: &str, port: u16) -> RedisAddress {
    RedisAddress::Tcp { host: host.into(), port }
}

#[cfg(unix)]
#[test]
fn url_addresses_and_databases() {
    for (text, address, tls, database) in [
        ("redis://", tcp("localhost", 6379), false, None),
        ("redis:///1", tcp("localhost", 6379), false, Some(1)),
        ("redis://cache_1", tcp("cache_1", 6379), false, None),
        ("redis://cache:7000/2", tcp("cache", 7000), false, Some(2)),
        ("redis://cache:7000/2?db=3", tcp("cache", 7000), false, Some(3)),
        ("redis://127.0.0.1?db=4&health_check_interval=5", tcp("127.0.0.1", 6379), false, Some(4)),
        ("rediss://[::1]:6380/0", tcp("::1", 6380), true, Some(0)),
        ("valkeys://cache", tcp("cache", 6379), true, None),
        ("unix:///run/redis/redis.sock", RedisAddress::Unix("/run/redis/redis.sock".into()), false, None),
        ("unix:///run/a%20b.sock?db=5", RedisAddress::Unix("/run/a b.sock".into()), false, Some(5)),
        ("redis+socket:///r.sock", RedisAddress::Unix("/r.sock".into()), false, None),
        ("unix://u:p@/r.sock?db=5", RedisAddress::Unix("/r.sock".into()), false, Some(5)),
    ] {
        let redis = url(text);
        assert_eq!(
            (redis.server.address, redis.server.tls.is_some(), redis.database),
            (address, tls, database),
            "{text}"
        );
    }
}

#[cfg(unix)]
#[test]
fn url_credentials() {
    for (text, username, password) in [
        ("redis://h", None, None),
        ("redis://:p@h", None, Some("p")),
        ("redis://u:p%40%2F%25@h", Some("u"), Some("p@/%")),
        ("redis://u%20v:p+q@h", Some("u v"), Some("p+q")),
        ("redis://:pa;ss@127.0.0.1:6379/1", None, Some("pa;ss")),
        ("redis://u@h", Some("u"), None),
        ("redis://h?username=u&password=p%26", Some("u"), Some("p&")),
        ("unix://u:p@/r.sock", Some("u"), Some("p")),
        ("unix:///r.sock?password=p", None, Some("p")),
    ] {
        let Credentials { username: name, password: secret } = url(text).server.credentials;
        assert_eq!((name.as_deref(), secret.as_ref().map(Secret::expose)), (username, password), "{text}");
    }
    let redis = parse(json!({"url": "redis://u:p@h", "username": "v", "password": "q"})).unwrap();
    assert_eq!(redis.server.credentials, Credentials::new(Some("v".into()), Some(Secret::new("q"))));
}

#[test]
fn url_tls_options_of_redis_py() {
    let tls = |text: &str| url(text).server.tls.unwrap();
    for none in ["none", "None", "CERT_NONE", "cert_none", "ssl.CERT_NONE", "VerifyMode.CERT_NONE", "0"] {
        assert_eq!(tls(&format!("rediss://h?ssl_cert_reqs={none}")).verify, Verify::Nothing, "{none}");
        assert_eq!(tls(&format!("rediss://h?ssl_cert_reqs={none}&ssl_check_hostname=True")).verify, Verify::Nothing);
    }
    for no in ["false", "False", "FALSE", "f", "no", "n", "0"] {
        assert_eq!(tls(&format!("rediss://h?ssl_check_hostname={no}")).verify, Verify::Chain, "{no}");
        assert_eq!(tls(&format!("rediss://h?ssl_check_hostname={no}&ssl_cert_reqs=required")).verify, Verify::Chain);
    }
    assert_eq!(tls("rediss://h?ssl_check_hostname=true").verify, Verify::Full);
    assert_eq!(tls("rediss://h?ssl_cert_reqs=required").verify, Verify::Full);
    assert_eq!(tls("rediss://h?ssl_ca_certs=/ca.pem").ca, Some("/ca.pem".into()));
    let redis = parse(json!({"url": "rediss://h?ssl_cert_reqs=none", "tls": {"ca": "/ca.pem"}})).unwrap();
    assert_eq!(redis.server.tls.unwrap().verify, Verify::Full);
}

#[test]
fn sentinels_addresses_master_and_credentials() {
    let redis = parse(json!({
        "url": "rediss://u:p@mymaster/3",
        "sentinels": ["one", "two:26380", "[::1]:26381", "::1"],
        "sentinel_password": "s",
    }));
    let redis = redis.unwrap();
    let Topology::Sentinel { sentinels, master } = redis.topology else { unreachable!() };
    let addresses: Vec<_> = sentinels.iter().map(|sentinel| sentinel.address.clone()).collect();
    assert_eq!(addresses, [tcp("one", 26379), tcp("two", 26380), tcp("::1", 26381), tcp("::1", 26379)]);
    assert_eq!((master.as_str(), redis.database), ("mymaster", Some(3)));
    let of_sentinels = Credentials::new(None, Some(Secret::new("s")));
    assert!(sentinels.iter().all(|sentinel| sentinel.credentials == of_sentinels && sentinel.tls.is_some()));
}

#[test]
fn sentinel_tls_apart_from_the_servers() {
    for (mut fields, server, sentinel) in [
        (json!({"url": "rediss://m"}), Some(Verify::Full), Some(Verify::Full)),
        (json!({"url": "rediss://m", "sentinel_encrypted": false}), Some(Verify::Full), None),
        (json!({"url": "redis://m", "sentinel_encrypted": true}), None, Some(Verify::Full)),
        (json!({"url": "redis://m", "sentinel_tls": {"verify": "chain"}}), None, Some(Verify::Chain)),
        (
            json!({"url": "rediss://m", "tls": {"verify": "nothing"}, "sentinel_tls": {"verify": "chain"}}),
            Some(Verify::Nothing),
            Some(Verify::Chain),
        ),
    ] {
        fields.as_object_mut().unwrap().insert("sentinels".into(), json!(["s"]));
        let redis = parse(fields.clone()).unwrap();
        let Topology::Sentinel { sentinels, .. } = redis.topology else { unreachable!() };
        let verify = |tls: &Option<Tls>| tls.as_ref().map(|tls| tls.verify);
        assert_eq!(verify(&redis.server.tls), server, "{fields}");
        assert_eq!(sentinels.iter().map(|each| verify(&each.tls)).collect::<Vec<_>>(), [sentinel], "{fields}");
    }
}

#[test]
fn cluster_nodes_beside_the_urls_host() {
    for (fields, addresses) in [
        (json!({"url": "redis://a", "cluster": true}), vec![tcp("a", 6379)]),
        (json!({"url": "redis://", "cluster": true}), vec![tcp("localhost", 6379)]),
        (json!({"url": "redis://a", "nodes": ["b:7000", "a"]}), vec![tcp("b", 7000), tcp("a", 6379)]),
        (json!({"url": "redis://a:1", "nodes": ["b:2"]}), vec![tcp("a", 1), tcp("b", 2)]),
        (json!({"url": "redis://:p@/0", "nodes": ["[::1]:7000"]}), vec![tcp("::1", 7000)]),
    ] {
        let redis = parse(fields.clone()).unwrap();
        let Topology::Cluster { nodes } = redis.topology else { unreachable!() };
        assert_eq!(nodes.into_iter().map(|node| node.address).collect::<Vec<_>>(), addresses, "{fields}");
    }
}

#[cfg(unix)]
#[test]
fn fields_each_wrong_one_is_named_and_no_password_shown() {
    for (fields, named) in [
        (json!({"url": "localhost:6379"}), "redis://"),
        (json!({"url": "http://:hunter2@h"}), "redis://"),
        (json!({"url": ""}), "URL"),
        (json!({"url": "redis://:hunter2@h:99999"}), "port"),
        (json!({"url": "redis://:hunter2@h:0"}), "port"),
        (json!({"url": "redis://:hunt/er2@h"}), "%-encoded"),
        (json!({"url": "redis://:hunter2#@h"}), "%"),
        (json!({"url": "redis://:hunter2@h#x"}), "%23"),
        (json!({"url": "redis://:hunter2@h/first"}), "number"),
        (json!({"url": "redis://:hunter2@h/-1"}), "number"),
        (json!({"url": "redis://:%ffhunter2@h"}), "UTF-8"),
        (json!({"url": "unix://:hunter2@run/redis.sock"}), "three slashes"),
        (json!({"url": "unix://"}), "three slashes"),
        (json!({"url": ["hunter2"]}), "expected a string"),
        (json!({"password": "hunter2"}), "missing field `url`"),
        (json!({"url": "redis://:hunter2@h", "sentinel": []}), "sentinels"),
        (json!({"url": "redis://:hunter2@h", "master": "m"}), "sentinels"),
        (json!({"url": "redis://:hunter2@h", "sentinel_tls": {}}), "sentinels"),
        (json!({"url": "redis://:hunter2@h", "nodes": ["a:b"]}), "each of nodes must be host:port"),
        (json!({"url": "redis://:hunter2@h", "nodes": ["a"], "sentinels": ["a"]}), "exclude"),
        (json!({"url": "unix://:hunter2@/r.sock", "nodes": ["a"]}), "Unix socket"),
        (json!({"url": "redis://:hunter2@h", "sentinels": ["a:b"]}), "host:port"),
        (json!({"url": "redis://:hunter2@/0", "sentinels": ["a"]}), "master"),
        (json!({"url": "redis://:hunter2@h", "sentinels": ["a"], "cluster": true}), "exclude"),
        (json!({"url": "unix://:hunter2@/r.sock", "sentinels": ["a"]}), "Unix socket"),
    ] {
        let error = parse(fields.clone()).unwrap_err();
        assert!(error.contains(named) && !error.contains("hunt"), "{fields}: {error}");
    }
}

#[test]
fn debug_no_password() {
    let shown = format!("{:?}", url("redis://u:hunter2@h"));
    assert!(!shown.contains("hunter2"), "{shown}");
}

proptest! {
    #[test]
    fn url_any_text_is_read_or_refused(text in ".*", scheme in "(redis|rediss|unix)://") {
        let _ = parse_url(&text, &Tls::default());
        let _ = parse_url(&format!("{scheme}{text}"), &Tls::default());
        let _ = host_and_port("nodes", &text, 6379);
    }
}
