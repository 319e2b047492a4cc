//! Settings of alerts, right and wrong.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;
use crate::delivery::callable::CallableChannel;

fn parse(fields: Value) -> Result<AlertSettings, String> {
    let channels: Vec<Arc<dyn Channel>> =
        vec![Arc::new(CallableChannel::new("oncall", 1)), Arc::new(CallableChannel::new("chat", 2))];
    AlertSettings::parse("shop", fields, channels).map_err(|error: serde_json::Error| error.to_string())
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let settings = parse(json!({})).unwrap_or_else(|error| unreachable!("{error}"));
    let Rules { failures, successes, seconds, reminder, .. } = settings.rules;
    assert_eq!((failures, successes, seconds.as_secs(), reminder.as_secs()), (3, 2, 0, 14_400));
    assert_eq!((settings.timeout.as_secs(), settings.wedged_after.as_secs()), (15, 30));
    assert_eq!(settings.retries, RETRIES);
}

#[test]
fn alerts_go_to_the_channels_of_every_route_that_matches_or_to_all() {
    let settings = parse(json!({"ROUTES": [
        {"checks": ["database_*"], "severity": ["critical"], "channels": ["oncall"]},
        {"checks": "database_*", "channels": ["chat"]},
        {"group": ["worker"], "channels": ["oncall"]},
        {"checks": ["readiness"], "channels": []},
    ]}));
    let settings = settings.unwrap_or_else(|error| unreachable!("{error}"));
    for (check, severity, groups, expected) in [
        ("database_1", Severity::Critical, &[][..], &["chat", "oncall"][..]),
        ("database_1", Severity::Warning, &[], &["chat"]),
        ("cache", Severity::Warning, &["worker"], &["oncall"]),
        ("cache", Severity::Warning, &[], &["chat", "oncall"]),
        ("readiness", Severity::Critical, &[], &[]),
    ] {
        let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        let routed: Vec<String> = settings.routed(check, severity, &groups).into_iter().collect();
        assert_eq!(routed, expected, "{check} {severity:?}");
    }
}

#[test]
fn url_is_that_of_the_dashboard_or_of_a_page_for_each_check() {
    let url_of =
        |url: Value| parse(json!({"URL": url})).unwrap_or_else(|error| unreachable!("{error}")).url_of("cache");
    assert_eq!(url_of(json!(null)), None);
    let whole = "https://shop.example/health/dashboard/";
    assert_eq!(url_of(json!(whole)).as_deref(), Some(whole));
    assert_eq!(url_of(json!(format!("{whole}{{check}}/"))), Some(format!("{whole}cache/")));
}

#[test]
fn wrong_settings_are_named() {
    let (start, end) = ("2026-12-01T22:00Z", "2026-12-02T01:00Z");
    assert!(
        parse(json!({"MAINTENANCE": [{"start": start, "end": end}, {"cron": "0 3 * * SUN", "minutes": 60}]})).is_ok()
    );
    for (fields, expected) in [
        (json!({"FAILURES": 0}), "must be an int from 1 to 1000, not 0"),
        (json!({"SECONDS": -1}), "must be a number of seconds from 0"),
        (json!({"FAILURE": 1}), "unknown field `FAILURE`"),
        (json!({"ROUTES": [{"checks": ["a b"], "channels": ["chat"]}]}), "ROUTES[0].checks has \"a b\""),
        (
            json!({"ROUTES": [{"channels": ["onkall"]}]}),
            "ROUTES[0].channels has \"onkall\", which is no channel: did you mean \"oncall\"?",
        ),
        (json!({"ROUTES": [{"channels": ["x"]}]}), "CHANNELS has oncall, chat"),
        (json!({"ROUTES": [{"severity": ["bad"], "channels": []}]}), "expected one of `warning`, `error`, `critical`"),
        (json!({"MAINTENANCE": [{"start": start}]}), "MAINTENANCE[0] must have start and end, or cron and minutes"),
        (json!({"MAINTENANCE": [{"start": end, "end": start}]}), "MAINTENANCE[0].end must be after start"),
        (
            json!({"MAINTENANCE": [{"start": "2026-12-01T22:00", "end": end}]}),
            "MAINTENANCE[0].start must be a time with its zone",
        ),
        (
            json!({"MAINTENANCE": [{"cron": "* * *", "minutes": 5}]}),
            "MAINTENANCE[0].cron must be a cron expression of five fields",
        ),
        (
            json!({"MAINTENANCE": [{"cron": "* * * * *", "minutes": 0}]}),
            "MAINTENANCE[0].minutes must be from 1 to 10080, not 0",
        ),
        (
            json!({"MAINTENANCE": [{"start": start, "end": end, "checks": []}]}),
            "MAINTENANCE[0].checks must name a check or a pattern; left out it means all",
        ),
        (json!({"URL": "javascript:alert(1)"}), "URL must begin with https:// or http://"),
        (json!({"URL": "https://h/{chek}/"}), "URL must have no other braces than {check}"),
        (json!({"PING_URL": "hc-ping.example/secret"}), "PING_URL must be a URL that starts with http:// or https://"),
        (json!({"RETRIES": []}), "RETRIES must be a list of 1 to 20"),
        (json!({"TIMEOUT": 0}), "TIMEOUT must be a number of seconds above 0"),
    ] {
        let error = parse(fields.clone()).err().unwrap_or_default();
        assert!(error.contains(expected), "{fields}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
