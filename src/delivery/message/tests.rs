//! What notices say, and that limits cut no character.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::delivery::sample::{notice, resolved};

fn of_objective(notice: Notice) -> Notice {
    Notice { check: format!("objective:{}", notice.check), message: "4 min of it are left.".to_owned(), ..notice }
}

#[test]
fn title_of_each_kind() {
    let degraded = Notice { status: Status::Degraded, severity: Severity::Warning, ..notice() };
    let acknowledged = Notice { kind: NoticeKind::Acknowledged, acknowledged_by: Some("Ada".to_owned()), ..notice() };
    for (given, title_of_it) in [
        (notice(), "[shop] CRITICAL: database_connectivity is failing"),
        (degraded, "[shop] WARNING: database_connectivity is degraded"),
        (Notice { is_flapping: true, ..notice() }, "[shop] CRITICAL: database_connectivity is flapping"),
        (
            Notice { kind: NoticeKind::Reminded, ..notice() },
            "[shop] CRITICAL: database_connectivity is still failing after 12 min",
        ),
        (acknowledged, "[shop] ACKNOWLEDGED by Ada: database_connectivity is failing"),
        (resolved(), "[shop] RESOLVED: database_connectivity is healthy after 12 min"),
        (Notice { status: Status::Skipped, ..resolved() }, "[shop] RESOLVED: database_connectivity after 12 min"),
        (of_objective(notice()), "[shop] CRITICAL: error budget of database_connectivity is burning"),
        (
            of_objective(resolved()),
            "[shop] RESOLVED: error budget of database_connectivity is no longer burning after 12 min",
        ),
    ] {
        assert_eq!(title(&given), title_of_it);
    }
}

#[test]
fn summary_has_the_error_of_what_fails() {
    let title_of = "[shop] CRITICAL: database_connectivity is failing";
    assert_eq!(summary(&notice()), format!("{title_of}: 127.0.0.1:5432 refused the connection"));
    assert_eq!(summary(&Notice { message: " \n".to_owned(), ..notice() }), title_of);
    assert_eq!(summary(&resolved()), title(&resolved()));
}

#[test]
fn test_of_a_channel_is_no_alarm() {
    let message = "This is a test: nothing is wrong".to_owned();
    let trial = Notice { is_test: true, message: message.clone(), ..notice() };
    assert_eq!(summary(&trial), "[shop] TEST: nothing is wrong");
    assert_eq!(paragraph(&trial), message);
    assert_eq!(data(&trial).get("is_test"), Some(&json!(true)));
    assert_eq!(summary(&Notice { is_test: true, ..resolved() }), "[shop] TEST: it is over");
}

#[test]
fn text_says_what_since_when_why_where_and_what_to_do() {
    assert_eq!(
        text(&notice()),
        "database_connectivity of shop is failing since 2026-11-29 14:00:00 UTC (12 min). \
         Last error: 127.0.0.1:5432 refused the connection\n\
         \n\
         Severity: critical\n\
         Failing instances: 2 of 3: web-1, web-2\n\
         Blocked behind it: postgis_extension, connection_pool\n\
         Runbook: https://wiki.example.org/db\n\
         Dashboard: https://shop.example.org/health/dashboard/"
    );
    let over = Notice { runbook: None, url: None, instances: Instances::default(), ..resolved() };
    assert_eq!(
        text(&over),
        "database_connectivity of shop has recovered. The incident lasted 12 min, from 2026-11-29 14:00:00 UTC. \
         Connected\n\nSeverity: critical"
    );
    assert!(text(&resolved()).contains("Severity: critical\nFailed on: web-1, web-2\nRunbook: "));
    assert_eq!(
        paragraph(&of_objective(notice())),
        "error budget of database_connectivity of shop is burning since 2026-11-29 14:00:00 UTC (12 min). \
         4 min of it are left."
    );
    assert_eq!(
        paragraph(&of_objective(resolved())),
        "error budget of database_connectivity of shop is no longer burning. The incident lasted 12 min, \
         from 2026-11-29 14:00:00 UTC. 4 min of it are left."
    );
    let acknowledged = Notice { kind: NoticeKind::Acknowledged, acknowledged_by: None, ..notice() };
    assert!(
        paragraph(&acknowledged).starts_with("somebody has acknowledged that database_connectivity of shop is failing")
    );
    let flapping = Notice { is_flapping: true, message: String::new(), ..notice() };
    assert_eq!(
        paragraph(&flapping),
        "database_connectivity of shop changes too often for a notice of each change, since 2026-11-29 14:00:00 UTC \
         (12 min); there will be one when it ends."
    );
}

#[test]
fn lists_name_twenty_and_count_the_others() {
    let blocked = |number: usize| (0..number).map(|number| format!("c{number}")).collect();
    let said = |number| facts(&Notice { blocked: blocked(number), ..notice() }).remove(2).1;
    assert_eq!(said(1), "c0");
    assert!(said(20).ends_with("c18, c19"));
    assert!(said(100).ends_with("c18, c19 and 80 more"));
    assert!(facts(&Notice { blocked: Vec::new(), ..notice() }).iter().all(|(label, _)| *label != BLOCKED));
}

#[test]
fn actions_are_listed_in_order() {
    let actions = vec!["warm started: it fails".to_owned(), "warm did not help".to_owned()];
    let given = Notice { actions: actions.clone(), ..notice() };
    assert!(text(&given).contains("\nActions: warm started: it fails; warm did not help\n"));
    assert_eq!(data(&given).get("actions"), Some(&json!(actions)));
    assert_eq!(data(&notice()).get("actions"), None);
}

#[test]
fn data_has_the_documented_keys() {
    let keys = |notice: &Notice| data(notice).keys().cloned().collect::<Vec<_>>();
    let documented = [
        "dedup_key",
        "incident_id",
        "application",
        "check",
        "status",
        "severity",
        "since",
        "message",
        "blocked",
        "instances",
        "runbook",
        "url",
    ];
    assert_eq!(keys(&notice()), documented);
    let more = Notice { is_flapping: true, acknowledged_by: Some("Ada".to_owned()), ..notice() };
    assert_eq!(keys(&more).split_off(12), ["is_flapping", "acknowledged_by"]);
}

#[test]
fn cut_at_whole_characters() {
    for (text, limit, expected) in [
        ("abc", 3, "abc"),
        ("abcd", 3, "ab…"),
        ("äöü", 2, "ä…"),
        // Two units of UTF-16 each.
        ("🙂🙂", 4, "🙂🙂"),
        ("🙂🙂", 3, "🙂…"),
        ("🙂🙂🙂", 4, "🙂…"),
        // An accent, a skin colour and the members of a family belong to what they follow.
        ("ae\u{301}x", 3, "a…"),
        ("a👍🏽b", 4, "a…"),
        ("a👨\u{200d}👩\u{200d}👧bcd", 8, "a…"),
        ("", 3, ""),
    ] {
        assert_eq!(cut(text, limit), expected, "{text:?}");
        assert!(length(&cut(text, limit)) <= limit);
    }
}

#[test]
fn key_within_a_limit_stays_apart_from_others() {
    let long = |end: &str| format!("lifesigns/{}/{end}", "ä".repeat(600));
    assert_eq!(key_within("lifesigns/shop/a", 255), "lifesigns/shop/a");
    assert_eq!(length(&key_within(&long("a"), 255)), 255);
    assert_ne!(key_within(&long("a"), 255), key_within(&long("b"), 255));
    assert_eq!(plain_or_hashed("a:b-1", &[':'], 10), "a:b-1");
    for text in ["a.b", "a:b", "ä", "", "aaaaaaaaaaaa"] {
        let hashed = plain_or_hashed(text, &[], 10);
        assert!(hashed.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{hashed}");
        assert!(hashed.len() >= 65, "{hashed}");
    }
    assert!(plain_or_hashed(&"ä:x".repeat(600), &[':'], 512).len() <= 512);
}

#[test]
fn line_has_no_control_and_turns_no_direction() {
    assert_eq!(line(" a\r\nb\tc\u{1b}[31m\u{2028}d\u{202e}e\u{2066}f "), "a  b c [31m d e f");
}

#[test]
fn links_are_only_of_pages() {
    assert_eq!(link("https://wiki.example.org/a b?c=<d>").unwrap(), "https://wiki.example.org/a%20b?c=%3Cd%3E");
    for text in ["see the wiki", "javascript:alert(1)", "wiki.example.org", "http://", ""] {
        assert_eq!(link(text), None, "{text}");
    }
    assert_eq!(link(&format!("https://{}", "a/".repeat(1000))), None);
}

#[test]
fn durations_in_words() {
    for (seconds, words) in [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3_599, "59 min"),
        (3_600, "1 h"),
        (15_000, "4 h 10 min"),
        (86_400, "1 d"),
        (183_600, "2 d 3 h"),
    ] {
        assert_eq!(in_words(Duration::from_secs(seconds)), words);
    }
}
