//! The only registry of the channels there are, each made of its settings.

use serde::{Deserialize, Deserializer};

use super::Channel;
use super::mail::MailSpec;
use super::opsgenie::OpsgenieSpec;
use super::pagerduty::PagerDutySpec;
use super::slack::SlackSpec;
use super::webhook::WebhookSpec;

/// Generates the types of channels: each is one struct, deserialized from the fields beside `type`.
macro_rules! registry {
    ($($name:literal => $spec:ty,)*) => {
        /// Every type of channel that is native.
        pub const TYPES: &[&str] = &[$($name),*];

        /// The channel `name` of a type with these fields; `None` if there is no such type.
        pub fn build<'de, D, E>(kind: &str, name: &str, fields: D) -> Option<Result<Box<dyn Channel>, E>>
        where
            D: Deserializer<'de, Error = E>,
            E: serde::de::Error,
        {
            match kind {
                $($name => Some(<$spec>::deserialize(fields).and_then(|spec| match spec.build(name) {
                    Ok(channel) => Ok(Box::new(channel) as Box<dyn Channel>),
                    Err(error) => Err(E::custom(error)),
                })),)*
                _ => None,
            }
        }
    };
}

registry! {
    "pagerduty" => PagerDutySpec,
    "opsgenie" => OpsgenieSpec,
    "slack" => SlackSpec,
    "mail" => MailSpec,
    "webhook" => WebhookSpec,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn examples() -> Vec<(&'static str, Value)> {
        vec![
            ("pagerduty", json!({"routing_key": "PLANTED", "api_url": "https://u:PLANTED@h"})),
            ("opsgenie", json!({"api_key": "PLANTED", "api_url": "https://u:PLANTED@h"})),
            ("slack", json!({"webhook_url": "https://hooks.slack.com/services/PLANTED"})),
            ("slack", json!({"bot_token": "xoxb-PLANTED", "channel": "C1"})),
            ("mail", json!({"to": ["a@b"], "from": "a@b", "server": {"url": "submission://u:PLANTED@h"}})),
            (
                "webhook",
                json!({"url": "https://u:PLANTED@h/PLANTED", "secrets": ["whsec_PLANTED+PLANTED+PLANTED+PLANTED+"]}),
            ),
        ]
    }

    #[test]
    fn each_type_is_built_with_its_name() {
        let types: std::collections::BTreeSet<_> = examples().into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(types, TYPES.iter().copied().collect());
        for (kind, fields) in examples() {
            let channel =
                build(kind, "a channel", fields).unwrap().map_err(|error: serde_json::Error| error.to_string());
            assert_eq!(channel.map(|channel| channel.name().to_owned()), Ok("a channel".to_owned()), "{kind}");
        }
        assert!(build::<_, serde_json::Error>("pager", "a", json!({})).is_none());
    }

    #[test]
    fn secrets_are_in_no_debug_output() {
        macro_rules! debug {
            ($spec:ty, $fields:expr) => {
                format!("{:?}", serde_json::from_value::<$spec>($fields).unwrap())
            };
        }
        for (kind, fields) in examples() {
            assert!(fields.to_string().contains("PLANTED"));
            let text = match kind {
                "pagerduty" => debug!(PagerDutySpec, fields),
                "opsgenie" => debug!(OpsgenieSpec, fields),
                "slack" => debug!(SlackSpec, fields),
                "mail" => debug!(MailSpec, fields),
                _ => debug!(WebhookSpec, fields),
            };
            assert!(!text.contains("PLANTED"), "{text}");
        }
    }
}
