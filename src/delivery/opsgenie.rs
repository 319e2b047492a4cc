//! Opsgenie's alert API, as Jira Service Management has it: create, acknowledge and close by alias.
//!
//! Opsgenie itself ends on 2027-04-05; its heir takes the same requests at another address, which is the default. An
//! alert with the alias of one that is open adds to its count, so that a lost answer does no harm. A reminder is not
//! sent: Opsgenie repeats and escalates by itself. One that the check flaps is, as an alert.

use std::borrow::Cow;

use async_trait::async_trait;
use hyper::header::{AUTHORIZATION, HeaderMap};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::answer::{self, Answered, post};
use super::message::{self, cut};
use super::{Attempt, Channel};
use crate::checks::fields;
use crate::model::{Notice, NoticeKind, Secret, Severity, SpecError};
use crate::net::Tls;
use crate::runtime::Context;

const JSM: &str = "https://api.atlassian.com/jsm/ops/integration";
const JSM_EU: &str = "https://api.eu.atlassian.com/jsm/ops/integration";
const CLASSIC: &str = "https://api.opsgenie.com";
const CLASSIC_EU: &str = "https://api.eu.opsgenie.com";

/// An integration of Jira Service Management or of Opsgenie.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpsgenieSpec {
    /// The key of an integration of the type "API", which may create and update alerts.
    pub api_key: Secret,
    /// Default `https://api.atlassian.com/jsm/ops/integration`, `"eu"` the same of the EU; `"classic"` and `"classic-eu"`
    /// are Opsgenie's own, `https://api.opsgenie.com` and `https://api.eu.opsgenie.com`.
    #[serde(default)]
    pub api_url: Option<Secret>,
    #[serde(default)]
    pub tls: Tls,
}

impl OpsgenieSpec {
    pub fn build(self, name: &str) -> Result<OpsgenieChannel, SpecError> {
        let Self { api_key, api_url, tls } = self;
        if api_key.is_empty() {
            return Err(SpecError::new("api_key must not be empty"));
        }
        let base = match api_url.as_ref().map_or(JSM, Secret::expose) {
            "eu" => JSM_EU,
            "classic" => CLASSIC,
            "classic-eu" => CLASSIC_EU,
            other => other,
        };
        // As Opsgenie's own pages show it.
        let base = base.strip_suffix("/v2/alerts").unwrap_or(base);
        let alerts = fields::url_below("api_url", base, &["v2", "alerts"])?;
        let key = fields::header_value("api_key", &format!("GenieKey {}", api_key.expose()))?;
        let headers = HeaderMap::from_iter([(AUTHORIZATION, key)]);
        Ok(OpsgenieChannel { name: name.to_owned(), alerts, headers, tls })
    }
}

pub struct OpsgenieChannel {
    name: String,
    alerts: Url,
    headers: HeaderMap,
    tls: Tls,
}

#[async_trait]
impl Channel for OpsgenieChannel {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, context: &Context, notice: &Notice, _reference: Option<&str>) -> Attempt {
        let Some((url, body)) = self.request(notice) else {
            return Attempt::Delivered { answer: "not sent: Opsgenie reminds by itself".to_owned(), reference: None };
        };
        match post(context, &url, self.headers.clone(), answer::json(&body), &self.tls, advice).await {
            Ok(answered) => Attempt::Delivered { answer: answered.text(), reference: None },
            Err(attempt) => attempt,
        }
    }
}

impl OpsgenieChannel {
    /// Where to send what; none where there is nothing to send.
    fn request(&self, notice: &Notice) -> Option<(Url, Value)> {
        let source = cut(&message::line(&notice.application), 100);
        Some(match notice.kind {
            NoticeKind::Reminded if !notice.is_flapping => return None,
            NoticeKind::Triggered | NoticeKind::Reminded => (self.alerts.clone(), alert(notice, source)),
            NoticeKind::Acknowledged => {
                let (user, note) = (message::author(notice), message::title(notice));
                (self.of_alert(notice, "acknowledge"), json!({"user": user, "source": source, "note": note}))
            }
            NoticeKind::Resolved => {
                let note = cut(&message::text(notice), 25_000);
                (self.of_alert(notice, "close"), json!({"source": source, "note": note}))
            }
        })
    }

    /// The URL of an action on the alert of an incident.
    fn of_alert(&self, notice: &Notice, action: &str) -> Url {
        let mut url = self.alerts.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend([&*alias(notice), action]);
        }
        url.query_pairs_mut().append_pair("identifierType", "alias");
        url
    }
}

/// The key of the incident, without the slashes: in the path of a URL not every gateway lets an encoded one through.
fn alias(notice: &Notice) -> String {
    message::plain_or_hashed(&notice.dedup_key.replace('/', ":"), &[':', '.'], 512).into_owned()
}

/// A new alert.
fn alert(notice: &Notice, source: String) -> Value {
    let priority = match notice.severity {
        Severity::Critical => "P1",
        Severity::Error => "P2",
        Severity::Warning => "P3",
    };
    json!({
        "message": cut(&message::summary(notice), 130),
        "alias": alias(notice),
        "description": cut(&message::text(notice), 15_000),
        "details": details(notice),
        "entity": cut(&message::line(&notice.check), 512),
        "source": source,
        "priority": priority,
        "tags": ["lifesigns", message::severity_of(notice)],
    })
}

/// The data of the notice as texts, which is all that this API takes, and of 8,000 characters in all.
fn details(notice: &Notice) -> Value {
    let listed = message::facts(notice);
    let fact = |label: &str| listed.iter().find(|(known, _)| *known == label).map(|(_, text)| text.as_str());
    let texts = message::data(notice).into_iter().map(|(key, value)| {
        let text = match (key.as_str(), &value) {
            ("blocked", _) => fact(message::BLOCKED).unwrap_or_default().to_owned(),
            ("actions", _) => fact(message::ACTIONS).unwrap_or_default().to_owned(),
            ("instances", _) => fact(message::INSTANCES).unwrap_or_default().to_owned(),
            (_, Value::String(text)) => text.clone(),
            (_, Value::Null) => String::new(),
            (_, other) => other.to_string(),
        };
        (key, Value::from(cut(&text, 560)))
    });
    Value::Object(texts.collect())
}

fn advice(answered: &Answered) -> Option<Cow<'static, str>> {
    match answered.status {
        401 | 403 => Some("is api_key that of an API integration of the account that api_url names?".into()),
        404 => Some("is api_url right (\"eu\", \"classic\", \"classic-eu\")?".into()),
        422 => Some("is api_key that of an integration that may create alerts?".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::sample::{notice, resolved};
    use super::*;

    fn channel(fields: Value) -> Result<OpsgenieChannel, String> {
        let spec: OpsgenieSpec = serde_json::from_value(fields).unwrap();
        spec.build("ops").map_err(|error| error.0)
    }

    fn request(notice: &Notice) -> Option<(String, Value)> {
        let (url, body) = channel(json!({"api_key": "key"})).unwrap().request(notice)?;
        Some((url.to_string(), body))
    }

    const ALERTS: &str = "https://api.atlassian.com/jsm/ops/integration/v2/alerts";

    #[test]
    fn trigger_creates_an_alert() {
        let (url, body) = request(&notice()).unwrap();
        assert_eq!(url, ALERTS);
        assert_eq!(
            body,
            json!({
                "message": "[shop] CRITICAL: database_connectivity is failing: 127.0.0.1:5432 refused the connection",
                "alias": "lifesigns:shop:database_connectivity",
                "description": message::text(&notice()),
                "details": {
                    "dedup_key": "lifesigns/shop/database_connectivity",
                    "incident_id": "incident-7",
                    "application": "shop",
                    "check": "database_connectivity",
                    "status": "error",
                    "severity": "critical",
                    "since": "2026-11-29T14:00:00.000000Z",
                    "message": "127.0.0.1:5432 refused the connection",
                    "blocked": "postgis_extension, connection_pool",
                    "instances": "2 of 3: web-1, web-2",
                    "runbook": "https://wiki.example.org/db",
                    "url": "https://shop.example.org/health/dashboard/",
                },
                "entity": "database_connectivity",
                "source": "shop",
                "priority": "P1",
                "tags": ["lifesigns", "critical"],
            })
        );
    }

    #[test]
    fn acknowledge_and_close_by_alias() {
        let acknowledged =
            Notice { kind: NoticeKind::Acknowledged, acknowledged_by: Some("Ada".to_owned()), ..notice() };
        let (url, body) = request(&acknowledged).unwrap();
        assert_eq!(url, format!("{ALERTS}/lifesigns:shop:database_connectivity/acknowledge?identifierType=alias"));
        let note = "[shop] ACKNOWLEDGED by Ada: database_connectivity is failing";
        assert_eq!(body, json!({"user": "Ada", "source": "shop", "note": note}));
        let (url, body) = request(&resolved()).unwrap();
        assert_eq!(url, format!("{ALERTS}/lifesigns:shop:database_connectivity/close?identifierType=alias"));
        assert_eq!(body, json!({"source": "shop", "note": message::text(&resolved())}));
        assert_eq!(request(&Notice { kind: NoticeKind::Reminded, ..notice() }), None);
    }

    #[test]
    fn limits_hold_for_long_names() {
        let long = "ä🙂\"".repeat(300);
        let mut given = notice();
        (given.application, given.check, given.message) = (long.clone(), long.clone(), long.clone());
        given.dedup_key = format!("lifesigns/{long}/{long}");
        given.blocked = vec![long.clone(); 100];
        (given.runbook, given.url, given.acknowledged_by) = (Some(long.clone()), Some(long.clone()), Some(long));
        let (_, body) = request(&given).unwrap();
        for (key, limit) in
            [("message", 130), ("alias", 512), ("description", 15_000), ("entity", 512), ("source", 100)]
        {
            assert!(message::length(body[key].as_str().unwrap()) <= limit, "{key}");
        }
        let details = body["details"].as_object().unwrap();
        let length: usize = details.iter().map(|(key, text)| key.len() + message::length(text.as_str().unwrap())).sum();
        assert!(length <= 8000, "{length}");
        let alias = body["alias"].as_str().unwrap();
        for kind in [NoticeKind::Acknowledged, NoticeKind::Resolved] {
            let (url, body) = request(&Notice { kind, ..given.clone() }).unwrap();
            assert!(url.starts_with(&format!("{ALERTS}/{alias}/")), "{url}");
            assert!(message::length(body["note"].as_str().unwrap()) <= 25_000);
        }
    }

    #[test]
    fn priority_by_severity() {
        for (severity, priority) in [(Severity::Critical, "P1"), (Severity::Error, "P2"), (Severity::Warning, "P3")] {
            assert_eq!(request(&Notice { severity, ..notice() }).unwrap().1["priority"], priority);
        }
    }

    #[test]
    fn spec_each_form() {
        for (api_url, url) in [
            (json!(null), ALERTS),
            (json!("eu"), "https://api.eu.atlassian.com/jsm/ops/integration/v2/alerts"),
            (json!("classic"), "https://api.opsgenie.com/v2/alerts"),
            (json!("classic-eu"), "https://api.eu.opsgenie.com/v2/alerts"),
            (json!("https://api.opsgenie.com/v2/alerts"), "https://api.opsgenie.com/v2/alerts"),
            (json!("http://127.0.0.1:8000"), "http://127.0.0.1:8000/v2/alerts"),
        ] {
            assert_eq!(channel(json!({"api_key": "key", "api_url": api_url})).unwrap().alerts.as_str(), url);
        }
        for (fields, said) in [
            (json!({"api_key": ""}), "api_key must not be empty"),
            (
                json!({"api_key": "a\nb"}),
                "api_key holds characters that an HTTP header cannot carry, such as a line end",
            ),
            (json!({"api_key": "key", "api_url": "EU"}), "api_url must start with http:// or https://"),
        ] {
            assert_eq!(channel(fields).err().unwrap(), said);
        }
    }
}
