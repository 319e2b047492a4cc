//! An MQTT broker as configured.

use serde::Deserialize;

use crate::checks::fields;
use crate::checks::server_url::ServerUrl;
use crate::model::{Secret, SpecError};
use crate::net::Tls;

/// The version of MQTT that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum MqttProtocol {
    #[default]
    #[serde(rename = "3.1.1")]
    V311,
    #[serde(rename = "5")]
    V5,
}

/// What carries the packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MqttTransport {
    #[default]
    Tcp,
    Websockets,
}

/// What a specification says, field by field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MqttFields {
    /// `mqtt://` or `mqtts://` (with TLS), with user and password. What the other fields say comes before it.
    #[serde(default)]
    url: Option<Secret>,
    /// Required without `url`.
    #[serde(default)]
    host: Option<String>,
    /// Default 1883, with TLS 8883; over websockets 80, with TLS 443.
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<Secret>,
    /// `None`: no TLS, unless the URL says so.
    #[serde(default)]
    tls: Option<Tls>,
    /// Application protocols to offer in the TLS handshake: `x-amzn-mqtt-ca` for AWS IoT on port 443.
    #[serde(default)]
    alpn: Vec<String>,
    #[serde(default)]
    transport: MqttTransport,
    /// Path, and query, of the websocket. Default `/mqtt`.
    #[serde(default)]
    path: Option<Secret>,
    #[serde(default)]
    protocol: MqttProtocol,
    /// Publish below this topic and receive it back, e.g. `lifesigns/`; a unique name is appended.
    #[serde(default)]
    round_trip_topic: Option<String>,
}

/// The MQTT broker (port 1883, with `tls` 8883) accepts the credentials; with `round_trip_topic`, a message published
/// below it comes back.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "MqttFields")]
pub struct MqttCheck {
    pub host: String,
    pub port: Option<u16>,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub tls: Option<Tls>,
    pub alpn: Vec<String>,
    pub transport: MqttTransport,
    pub path: Option<Secret>,
    pub protocol: MqttProtocol,
    pub round_trip_topic: Option<String>,
}

impl TryFrom<MqttFields> for MqttCheck {
    type Error = SpecError;

    fn try_from(fields: MqttFields) -> Result<Self, SpecError> {
        let url = fields.url.map(|url| ServerUrl::parse(&url, &["mqtt", "mqtts"])).transpose()?;
        let (port, username, password, tls, host) = match url {
            Some(url) => (url.port, url.username, url.password, url.scheme == "mqtts", Some(url.host)),
            None => (None, None, None, false, None),
        };
        Ok(Self {
            host: fields.host.or(host).ok_or_else(|| SpecError("host or url is required".to_owned()))?,
            port: fields.port.or(port),
            username: fields.username.or(username),
            password: fields.password.or(password),
            tls: fields.tls.or(tls.then(Tls::default)),
            alpn: fields.alpn,
            transport: fields.transport,
            path: fields.path,
            protocol: fields.protocol,
            round_trip_topic: fields.round_trip_topic,
        })
    }
}

/// The longest string that MQTT can carry.
const MAX_STRING: usize = u16::MAX as usize;
/// Room that a unique name needs at the end of a topic: a slash and a UUID.
const UNIQUE_NAME: usize = 37;

impl MqttCheck {
    pub(super) fn port(&self) -> u16 {
        self.port.unwrap_or(match (self.transport, &self.tls) {
            (MqttTransport::Tcp, None) => 1883,
            (MqttTransport::Tcp, Some(_)) => 8883,
            (MqttTransport::Websockets, None) => 80,
            (MqttTransport::Websockets, Some(_)) => 443,
        })
    }

    pub(super) fn check_fields(&self) -> Result<(), SpecError> {
        let wrong = |text: &str| Err(SpecError(format!("mqtt: {text}")));
        let name = self.username.as_deref().unwrap_or_default();
        let password = self.password.as_ref().map_or("", Secret::expose);
        let topic = self.round_trip_topic.as_deref().unwrap_or_default();
        fields::host("mqtt: host", &self.host)?;
        fields::port("mqtt: port", self.port)?;
        let path = self.path.as_ref().map_or("/", Secret::expose);
        let is_target = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        let is_protocol = |name: &String| (1..=usize::from(u8::MAX)).contains(&name.len());
        if self.path.is_some() && self.transport == MqttTransport::Tcp {
            wrong("path needs transport \"websockets\"")
        } else if !is_target {
            wrong("path must start with '/' and be without spaces and '#'; other characters are %-encoded")
        } else if !self.alpn.is_empty() && self.tls.is_none() {
            wrong("alpn needs tls")
        } else if !self.alpn.iter().all(is_protocol) {
            wrong("alpn must be names of 1 to 255 bytes")
        } else if name.is_empty() && !password.is_empty() && self.protocol == MqttProtocol::V311 {
            wrong("a password needs a username (MQTT 3.1.1 knows no password alone; protocol \"5\" does)")
        } else if name.contains('\0') || name.len() > MAX_STRING || password.len() > MAX_STRING {
            wrong("username and password must be at most 65535 bytes long, the username without a null character")
        } else if self.round_trip_topic.as_deref() == Some("") {
            wrong("round_trip_topic must not be empty; leave it out for no round trip")
        } else if topic.contains(['+', '#', '\0']) || topic.len() + UNIQUE_NAME > MAX_STRING {
            wrong("round_trip_topic is a topic to publish to: no wildcards '+' and '#', no null character, not longer")
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::MqttCheck;
    use serde_json::{Value, json};

    #[test]
    fn validate_each_wrong_field() {
        for (fields, named) in [
            (json!({"host": ""}), "host"),
            (json!({"host": "h", "port": 0}), "port"),
            (json!({"host": "h", "password": "hunter2"}), "username"),
            (json!({"host": "h", "username": "a\u{0}", "password": "hunter2"}), "username"),
            (json!({"host": "h", "round_trip_topic": ""}), "round_trip_topic"),
            (json!({"host": "h", "round_trip_topic": "a/#"}), "round_trip_topic"),
            (json!({"host": "h", "round_trip_topic": "a/+/b"}), "round_trip_topic"),
            (json!({"host": "h", "path": "/hunter2"}), "transport"),
            (json!({"host": "h", "transport": "websockets", "path": "hunter2"}), "path must start"),
            (json!({"host": "h", "transport": "websockets", "path": "/hunter2 HTTP/1.1\r\n"}), "path must start"),
            (json!({"host": "h", "alpn": ["mqtt"]}), "alpn needs tls"),
            (json!({"host": "h", "alpn": [""], "tls": {}}), "alpn must be names"),
        ] {
            let error = parse(&fields).check_fields().unwrap_err().to_string();
            assert!(error.contains(named) && !error.contains("hunter2"), "{fields}: {error}");
        }
    }

    #[test]
    fn validate_right_ones() {
        for fields in [
            json!({"host": "h"}),
            json!({"host": "h", "username": "u", "password": "p", "tls": {}}),
            json!({"host": "h", "username": "", "password": ""}),
            json!({"host": "h", "transport": "websockets", "path": "/mqtt?signature=a%2Fb"}),
            json!({"host": "h", "tls": {}, "alpn": ["x-amzn-mqtt-ca"]}),
            json!({"host": "h", "password": "p", "protocol": "5", "round_trip_topic": "lifesigns/"}),
        ] {
            assert_eq!(parse(&fields).check_fields(), Ok(()), "{fields}");
        }
    }

    #[test]
    fn url_and_fields_beside_it() {
        for (fields, same) in [
            (json!({"url": "mqtt://h"}), json!({"host": "h"})),
            (
                json!({"url": "mqtts://u:p%40@h:1"}),
                json!({"host": "h", "port": 1, "username": "u", "password": "p@", "tls": {}}),
            ),
            (
                json!({"url": "mqtts://u:p@h", "host": "i", "port": 2, "password": "q", "tls": {"verify": "chain"}}),
                json!({"host": "i", "port": 2, "username": "u", "password": "q", "tls": {"verify": "chain"}}),
            ),
        ] {
            assert_eq!(parse(&fields), parse(&same), "{fields}");
        }
        for (fields, said) in [
            (json!({}), "host or url is required"),
            (json!({"url": "http://h"}), "url must start with mqtt:// or mqtts://"),
        ] {
            let error = serde_json::from_value::<MqttCheck>(fields).map(drop).unwrap_err().to_string();
            assert_eq!(error, said);
        }
    }

    #[test]
    fn port_of_each_transport() {
        for (fields, port) in [
            (json!({"host": "h"}), 1883),
            (json!({"host": "h", "tls": {}}), 8883),
            (json!({"host": "h", "transport": "websockets"}), 80),
            (json!({"host": "h", "transport": "websockets", "tls": {}}), 443),
            (json!({"host": "h", "transport": "websockets", "port": 9001}), 9001),
        ] {
            assert_eq!(parse(&fields).port(), port, "{fields}");
        }
    }

    fn parse(fields: &Value) -> MqttCheck {
        serde_json::from_value(fields.clone()).unwrap()
    }
}
