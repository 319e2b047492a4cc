//! PagerDuty, by its Events API v2: <https://developer.pagerduty.com/docs/events-api-v2-overview>.
//!
//! An alert is opened, acknowledged and resolved by the incident's own key, so it does not matter which process does so,
//! nor whether an answer was lost. A reminder is not sent: PagerDuty repeats and escalates by itself. One that the check
//! flaps is, as a trigger, which PagerDuty adds to the alert that is open.

use std::borrow::Cow;

use async_trait::async_trait;
use hyper::header::HeaderMap;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::answer::{self, Answered, post};
use super::message::{self, cut};
use super::{Attempt, Channel};
use crate::checks::fields;
use crate::model::{Notice, NoticeKind, Secret, SpecError};
use crate::net::Tls;
use crate::policy::report::timestamp;
use crate::runtime::Context;

const US: &str = "https://events.pagerduty.com";
const EU: &str = "https://events.eu.pagerduty.com";
/// The longest event that PagerDuty takes, in bytes.
const MAX_EVENT: usize = 512_000;
/// How long a routing key is.
const KEY_LENGTH: usize = 32;

/// A service of PagerDuty.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagerDutySpec {
    /// The 32 characters of an integration of the type "Events API v2".
    pub routing_key: Secret,
    /// Default `https://events.pagerduty.com`; `"eu"` is `https://events.eu.pagerduty.com`.
    #[serde(default)]
    pub api_url: Option<Secret>,
    #[serde(default)]
    pub tls: Tls,
}

impl PagerDutySpec {
    pub fn build(self, name: &str) -> Result<PagerDutyChannel, SpecError> {
        let Self { routing_key, api_url, tls } = self;
        let base = match api_url.as_ref().map_or(US, Secret::expose) {
            "us" => US,
            "eu" => EU,
            other => other,
        };
        // As PagerDuty's own pages show it.
        let base = base.strip_suffix("/v2/enqueue").unwrap_or(base);
        let url = fields::url_below("api_url", base, &["v2", "enqueue"])?;
        check_key(routing_key.expose(), &url)?;
        Ok(PagerDutyChannel { name: name.to_owned(), url, routing_key, tls })
    }
}

/// An error is about a key that PagerDuty refuses for good: a placeholder, a part of one, or one with a line end. What
/// another receiver at `url` takes is its own affair.
fn check_key(key: &str, url: &Url) -> Result<(), SpecError> {
    let is_whole = key.len() == KEY_LENGTH && key.chars().all(|c| c.is_ascii_alphanumeric());
    let is_of_pagerduty = url.host_str().is_some_and(|host| host.ends_with("pagerduty.com"));
    match key.chars().next() {
        None => Err(SpecError::new("routing_key must not be empty")),
        Some(_) if key.contains(|c: char| c.is_whitespace() || c.is_control()) => {
            Err(SpecError::new("routing_key must not have a space or a line end"))
        }
        Some(first) if is_of_pagerduty && (!is_whole || key.chars().all(|c| c == first)) => Err(SpecError(format!(
            "routing_key must be the {KEY_LENGTH} letters and digits of an integration of the type \"Events API v2\""
        ))),
        Some(_) => Ok(()),
    }
}

pub struct PagerDutyChannel {
    name: String,
    url: Url,
    routing_key: Secret,
    tls: Tls,
}

#[async_trait]
impl Channel for PagerDutyChannel {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, context: &Context, notice: &Notice, _reference: Option<&str>) -> Attempt {
        let Some(body) = self.body(notice) else {
            return Attempt::Delivered { answer: "not sent: PagerDuty reminds by itself".to_owned(), reference: None };
        };
        match post(context, &self.url, HeaderMap::new(), body, &self.tls, advice).await {
            Ok(answered) => Attempt::Delivered { answer: answered.text(), reference: None },
            Err(attempt) => attempt,
        }
    }
}

impl PagerDutyChannel {
    /// The event; none where there is nothing to send.
    fn body(&self, notice: &Notice) -> Option<Vec<u8>> {
        let action = match notice.kind {
            NoticeKind::Reminded if !notice.is_flapping => return None,
            NoticeKind::Triggered | NoticeKind::Reminded => "trigger",
            NoticeKind::Acknowledged => "acknowledge",
            NoticeKind::Resolved => "resolve",
        };
        let mut event = Map::from_iter([
            ("routing_key".to_owned(), self.routing_key.expose().into()),
            ("event_action".to_owned(), action.into()),
            ("dedup_key".to_owned(), message::key_within(&notice.dedup_key, 255).into()),
        ]);
        if action != "trigger" {
            return Some(answer::json(&event));
        }
        let mut details = message::data(notice);
        open(&mut event, notice, details.clone());
        let whole = answer::json(&event);
        if whole.len() <= MAX_EVENT {
            return Some(whole);
        }
        // Names of thousands of checks or instances.
        details.retain(|key, _| !matches!(key.as_str(), "blocked" | "instances"));
        open(&mut event, notice, details);
        Some(answer::json(&event))
    }
}

/// Adds to an event what opens an alert.
fn open(event: &mut Map<String, Value>, notice: &Notice, details: Map<String, Value>) {
    let text = |text: &str| cut(&message::line(text), 255);
    // Where it happens: an instance, if it is one.
    let source = match notice.instances.names.as_slice() {
        [instance] if !instance.is_empty() => text(instance),
        _ => text(&notice.application),
    };
    let payload = json!({
        "summary": cut(&message::summary(notice), 1024),
        "source": if source.is_empty() { "lifesigns".to_owned() } else { source },
        "severity": message::severity_of(notice),
        "timestamp": timestamp(notice.at),
        "component": text(&notice.check),
        "group": text(&notice.application),
        "class": notice.status,
        "custom_details": details,
    });
    event.insert("payload".to_owned(), payload);
    event.insert("client".to_owned(), "Lifesigns".into());
    let page = |url: &Option<String>| url.as_deref().and_then(message::link);
    if let Some(url) = page(&notice.url) {
        event.insert("client_url".to_owned(), url.into());
    }
    let links = [("Runbook", page(&notice.runbook)), ("Dashboard", page(&notice.url))];
    let links = links.into_iter().filter_map(|(text, url)| Some(json!({"href": url?, "text": text})));
    event.insert("links".to_owned(), links.collect());
}

fn advice(answered: &Answered) -> Option<Cow<'static, str>> {
    match answered.status {
        400 => Some("is routing_key that of an integration of the type \"Events API v2\"?".into()),
        404 => Some("is api_url that of PagerDuty's Events API?".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::sample::{notice, resolved};
    use super::*;

    const KEY: &str = "R0123456789abcdef0123456789abcde";

    fn channel(fields: Value) -> Result<PagerDutyChannel, String> {
        let spec: PagerDutySpec = serde_json::from_value(fields).unwrap();
        spec.build("oncall").map_err(|error| error.0)
    }

    fn event(notice: &Notice) -> Option<Value> {
        let channel = channel(json!({"routing_key": KEY})).unwrap();
        channel.body(notice).map(|body| serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn trigger_is_the_whole_event() {
        assert_eq!(
            event(&notice()).unwrap(),
            json!({
                "routing_key": KEY,
                "event_action": "trigger",
                "dedup_key": "lifesigns/shop/database_connectivity",
                "payload": {
                    "summary": "[shop] CRITICAL: database_connectivity is failing: 127.0.0.1:5432 refused the connection",
                    "source": "shop",
                    "severity": "critical",
                    "timestamp": "2026-11-29T14:12:30.000000Z",
                    "component": "database_connectivity",
                    "group": "shop",
                    "class": "error",
                    "custom_details": message::data(&notice()),
                },
                "client": "Lifesigns",
                "client_url": "https://shop.example.org/health/dashboard/",
                "links": [
                    {"href": "https://wiki.example.org/db", "text": "Runbook"},
                    {"href": "https://shop.example.org/health/dashboard/", "text": "Dashboard"},
                ],
            })
        );
    }

    #[test]
    fn acknowledge_and_resolve_name_the_key() {
        for (kind, action) in [(NoticeKind::Acknowledged, "acknowledge"), (NoticeKind::Resolved, "resolve")] {
            let sent = event(&Notice { kind, ..resolved() }).unwrap();
            let key = "lifesigns/shop/database_connectivity";
            assert_eq!(sent, json!({"routing_key": KEY, "event_action": action, "dedup_key": key}));
        }
    }

    #[test]
    fn reminder_is_not_sent_unless_the_check_flaps() {
        assert_eq!(event(&Notice { kind: NoticeKind::Reminded, ..notice() }), None);
        let flapping = event(&Notice { kind: NoticeKind::Reminded, is_flapping: true, ..notice() }).unwrap();
        assert_eq!(flapping["event_action"], "trigger");
        assert_eq!(flapping["payload"]["custom_details"]["is_flapping"], true);
    }

    #[test]
    fn text_that_is_no_url_is_no_link() {
        let given = Notice { runbook: Some("see the wiki".to_owned()), url: None, ..notice() };
        let sent = event(&given).unwrap();
        assert_eq!((&sent["links"], sent.get("client_url")), (&json!([]), None));
        assert_eq!(sent["payload"]["custom_details"]["runbook"], "see the wiki");
    }

    #[test]
    fn limits_hold_for_long_names() {
        let long = "ä🙂".repeat(300);
        let many: Vec<String> = (0..100).map(|number| format!("{long}{number}")).collect();
        let mut given = notice();
        (given.application, given.check, given.message) = (long.clone(), long.clone(), long.clone());
        given.dedup_key = format!("lifesigns/{long}/{long}");
        (given.blocked, given.instances.names) = (many.clone(), vec![long]);
        let sent = event(&given).unwrap();
        let length = |value: &Value| message::length(value.as_str().unwrap());
        assert_eq!(length(&sent["dedup_key"]), 255);
        assert_eq!(
            sent["dedup_key"],
            event(&Notice { kind: NoticeKind::Resolved, ..given.clone() }).unwrap()["dedup_key"]
        );
        assert!(length(&sent["payload"]["summary"]) <= 1024);
        assert!(length(&sent["payload"]["source"]) <= 255);
        assert_eq!(sent["payload"]["custom_details"]["blocked"], json!(many));
        given.blocked = vec!["b".repeat(1000); 600];
        let body = channel(json!({"routing_key": KEY})).unwrap().body(&given).unwrap();
        assert!(body.len() <= MAX_EVENT);
        let sent: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(sent["payload"]["custom_details"].get("blocked"), None);
        assert_eq!(sent["payload"]["severity"], "critical");
    }

    #[test]
    fn spec_each_form() {
        for (api_url, url) in [
            (json!(null), "https://events.pagerduty.com/v2/enqueue"),
            (json!("eu"), "https://events.eu.pagerduty.com/v2/enqueue"),
            (json!("https://events.eu.pagerduty.com/v2/enqueue"), "https://events.eu.pagerduty.com/v2/enqueue"),
            (json!("http://127.0.0.1:8000/"), "http://127.0.0.1:8000/v2/enqueue"),
        ] {
            let fields = json!({"routing_key": KEY, "api_url": api_url});
            assert_eq!(channel(fields).unwrap().url.as_str(), url);
        }
        for (fields, said) in [
            (json!({"routing_key": ""}), "routing_key must not be empty"),
            (
                json!({"routing_key": format!("{KEY}\n"), "api_url": "http://127.0.0.1"}),
                "routing_key must not have a space or a line end",
            ),
            (json!({"routing_key": KEY, "api_url": "mars"}), "api_url must start with http:// or https://"),
        ] {
            assert_eq!(channel(fields).err().unwrap(), said);
        }
    }

    #[test]
    fn key_that_pagerduty_would_refuse_is_no_key() {
        let error = "routing_key must be the 32 letters and digits of an integration of the type \"Events API v2\"";
        for key in ["0".repeat(32).as_str(), "abc", "...", &KEY[1..], "R0123456789-bcdef0123456789abcde"] {
            for api_url in [json!(null), json!("eu")] {
                let fields = json!({"routing_key": key, "api_url": api_url});
                assert_eq!(channel(fields).err().unwrap(), error, "{key}");
            }
            assert!(channel(json!({"routing_key": key, "api_url": "https://events.example.org"})).is_ok(), "{key}");
        }
    }
}
