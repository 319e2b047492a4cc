//! Brokers by URL and by fields, and what is wrong with a specification.

#![allow(clippy::unwrap_used)]
use super::*;
use serde_json::{Value, json};

fn server(fields: &Value) -> Result<AmqpServer, String> {
    serde_json::from_value(fields.clone()).map_err(|error| error.to_string())
}

#[test]
fn server_of_each_url() {
    for (url, host, port, username, password, vhost, encrypted) in [
        ("amqp://h", "h", 5672, "guest", "guest", "/", false),
        ("amqp://h/", "h", 5672, "guest", "guest", "/", false),
        ("amqp://h//", "h", 5672, "guest", "guest", "/", false),
        ("amqp://u:p@h:5673/%2F", "h", 5673, "u", "p", "/", false),
        ("amqp://u:p%40%2F%23@h/shop", "h", 5672, "u", "p@/#", "shop", false),
        ("amqp://u:@h/a%2Fb", "h", 5672, "u", "guest", "a/b", false),
        ("amqps://u:p@[::1]/%C3%BC", "::1", 5671, "u", "p", "ü", true),
    ] {
        let found = server(&json!({"url": url})).unwrap();
        let expected = AmqpServer {
            host: host.into(),
            port,
            username: username.into(),
            password: Secret::new(password),
            vhost: vhost.into(),
            tls: encrypted.then(Tls::default),
            login: AmqpLogin::Plain,
        };
        assert_eq!(found, expected, "{url}");
    }
}

#[test]
fn server_fields_before_the_url() {
    let found = server(&json!({
        "url": "amqp://u:p@h/a", "host": "other", "port": 1, "username": "v", "password": "q", "vhost": "b", "tls": {},
    }));
    let AmqpServer { host, port, username, password, vhost, tls, .. } = found.unwrap();
    assert_eq!((host.as_str(), port, username.as_str(), vhost.as_str()), ("other", 1, "v", "b"));
    assert_eq!((password.expose(), tls), ("q", Some(Tls::default())));
    assert_eq!(server(&json!({"host": "h", "tls": {}})).unwrap().port, 5671);
}

#[test]
fn wrong_fields_named_without_secrets() {
    for (fields, said) in [
        (json!({}), "host or url is required"),
        (json!({"url": "h:5672/hunter2"}), "url must start with amqp:// or amqps://"),
        (json!({"url": "redis://u:hunter2@h"}), "url must start with amqp:// or amqps://, not redis:"),
        (json!({"url": "amqp://u:hunter2#@h"}), "%-encoded"),
        (json!({"url": "amqp://u:hunter2@h/#"}), "%23"),
        (json!({"url": "amqp://u:hunter2@"}), "url"),
        (json!({"url": "amqp:hunter2"}), "url has no host"),
        (json!({"url": "amqp://u:hunter2@h:0"}), "port must be from 1 to 65535"),
        (json!({"url": "amqp://u:hunter2@h:99999"}), "url cannot be read"),
        (json!({"host": ""}), "host must not be empty"),
        (json!({"host": "h", "vhost": "v".repeat(256)}), "vhost"),
        (json!({"host": "h", "password": "hunter2\0"}), "null character"),
        (json!({"host": "h", "login": "external"}), "needs tls"),
    ] {
        let error = server(&fields).unwrap_err();
        assert!(error.contains(said) && !error.contains("hunter2"), "{fields}: {error}");
    }
}

#[test]
fn wrong_queues() {
    for (queues, said) in [
        (json!([""]), "1 to 255 bytes"),
        (json!(["q".repeat(256)]), "1 to 255 bytes"),
        (json!(["a", "b", "a"]), "\"a\" twice"),
        (json!(vec!["q"; 501]), "at most 500, not 501"),
    ] {
        let check = serde_json::from_value::<AmqpCheck>(json!({"host": "h", "queues": queues}));
        assert!(check.unwrap_err().to_string().contains(said), "{queues}");
    }
    for (fields, said) in [
        (json!({"servers": [], "queues": ["q"]}), "servers must name"),
        (json!({"servers": [{"host": "h"}], "queues": []}), "queues must name"),
        (json!({"servers": [{"host": "h"}], "queues": ["q"], "management_url": "h"}), "management_url must start"),
        (json!({"servers": [{"host": "h"}], "queues": ["q"], "oldest_seconds": -1}), "oldest_seconds must be"),
    ] {
        let check = serde_json::from_value::<AmqpPendingTasksCheck>(fields);
        assert!(check.unwrap_err().to_string().contains(said), "{said}");
    }
}
