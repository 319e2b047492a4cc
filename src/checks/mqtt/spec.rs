//! An MQTT broker as configured.

use serde::Deserialize;

use crate::checks::fields;
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

/// The MQTT broker (port 1883, with `tls` 8883) accepts the credentials; with `round_trip_topic`, a message published
/// below it comes back.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttCheck {
    pub host: String,
    /// Default 1883, with TLS 8883.
    #[serde(default)]
    pub port: Option<u16>,
    #[serde(default)]
    pub username: Option<String>,
    #[serde(default)]
    pub password: Option<Secret>,
    /// `None`: no TLS.
    #[serde(default)]
    pub tls: Option<Tls>,
    #[serde(default)]
    pub protocol: MqttProtocol,
    /// Publish below this topic and receive it back, e.g. `lifesigns/`; a unique name is appended.
    #[serde(default)]
    pub round_trip_topic: Option<String>,
}

/// The longest string that MQTT can carry.
const MAX_STRING: usize = u16::MAX as usize;
/// Room that a unique name needs at the end of a topic: a slash and a UUID.
const UNIQUE_NAME: usize = 37;

impl MqttCheck {
    pub(super) fn check_fields(&self) -> Result<(), SpecError> {
        let wrong = |text: &str| Err(SpecError(format!("mqtt: {text}")));
        let name = self.username.as_deref().unwrap_or_default();
        let password = self.password.as_ref().map_or("", Secret::expose);
        let topic = self.round_trip_topic.as_deref().unwrap_or_default();
        fields::host("mqtt: host", &self.host)?;
        fields::port("mqtt: port", self.port)?;
        if name.is_empty() && !password.is_empty() && self.protocol == MqttProtocol::V311 {
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
            json!({"host": "h", "password": "p", "protocol": "5", "round_trip_topic": "lifesigns/"}),
        ] {
            assert_eq!(parse(&fields).check_fields(), Ok(()), "{fields}");
        }
    }

    fn parse(fields: &Value) -> MqttCheck {
        serde_json::from_value(fields.clone()).unwrap()
    }
}
