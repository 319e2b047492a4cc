//! A notice as a message of Slack: a line of text, and what is known beside a bar in the colour of its state.

use serde_json::{Map, Value, json};

use crate::delivery::message::{cut, facts, length, link, paragraph, severity_of, summary};
use crate::model::{Notice, NoticeKind};

/// The longest text of a section, and of a field of one, in characters.
const MAX_SECTION: usize = 3_000;
const MAX_FIELD: usize = 1_000;

/// The fields of the message. The text stands in notifications, too, and is what screen readers read.
pub fn message(notice: &Notice) -> Map<String, Value> {
    let fields: Vec<Value> = facts(notice)
        .iter()
        .map(|(label, fact)| {
            let shown = linked(fact).unwrap_or_else(|| escaped(fact, MAX_FIELD));
            json!({"type": "mrkdwn", "text": format!("*{label}*\n{shown}")})
        })
        .collect();
    let what = json!({"type": "section", "text": {"type": "mrkdwn", "text": escaped(&paragraph(notice), MAX_SECTION)}});
    let blocks = json!([what, {"type": "section", "fields": fields}]);
    Map::from_iter([
        ("text".to_owned(), escaped(&summary(notice), MAX_SECTION).into()),
        ("attachments".to_owned(), json!([{"color": colour(notice), "blocks": blocks}])),
        ("unfurl_links".to_owned(), false.into()),
    ])
}

fn colour(notice: &Notice) -> &'static str {
    match (notice.kind, severity_of(notice)) {
        (NoticeKind::Resolved, _) => "#2eb886",
        (NoticeKind::Acknowledged, _) => "#3b82f6",
        (_, "critical") => "#cc0000",
        (_, "error") => "#e8590c",
        _ => "#f2c744",
    }
}

/// A URL as a link.
fn linked(text: &str) -> Option<String> {
    let url = link(text)?.replace('<', "%3C").replace('>', "%3E").replace('|', "%7C").replace('&', "&amp;");
    (length(&url) < MAX_FIELD).then(|| format!("<{url}>"))
}

/// A text with the three characters escaped that mean something to Slack, of at most `limit` characters.
fn escaped(text: &str, limit: usize) -> String {
    let escape = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        c => c.to_string(),
    };
    let whole: String = text.chars().map(escape).collect();
    if length(&whole) <= limit {
        return whole;
    }
    // Cut before it is escaped, so that no entity is: at the most that fits.
    let (mut fits, mut too_long) = (0, length(text));
    while fits + 1 < too_long {
        let middle = usize::midpoint(fits, too_long);
        let shorter: String = cut(text, middle).chars().map(escape).collect();
        if length(&shorter) <= limit { fits = middle } else { too_long = middle }
    }
    cut(text, fits).chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::delivery::sample::{notice, resolved};

    #[test]
    fn message_of_a_trigger() {
        assert_eq!(
            Value::from(message(&notice())),
            json!({
                "text": "[shop] CRITICAL: database_connectivity is failing: 127.0.0.1:5432 refused the connection",
                "attachments": [{
                    "color": "#cc0000",
                    "blocks": [
                        {"type": "section", "text": {"type": "mrkdwn", "text":
                            "database_connectivity of shop is failing since 2026-11-29 14:00:00 UTC (12 min). \
                             Last error: 127.0.0.1:5432 refused the connection"}},
                        {"type": "section", "fields": [
                            {"type": "mrkdwn", "text": "*Severity*\ncritical"},
                            {"type": "mrkdwn", "text": "*Failing instances*\n2 of 3: web-1, web-2"},
                            {"type": "mrkdwn", "text": "*Blocked behind it*\npostgis_extension, connection_pool"},
                            {"type": "mrkdwn", "text": "*Runbook*\n<https://wiki.example.org/db>"},
                            {"type": "mrkdwn", "text": "*Dashboard*\n<https://shop.example.org/health/dashboard/>"},
                        ]},
                    ],
                }],
                "unfurl_links": false,
            })
        );
        assert_eq!(message(&resolved())["attachments"][0]["color"], "#2eb886");
    }

    #[test]
    fn escaped_within_the_limit_and_never_inside_an_entity() {
        assert_eq!(escaped("a < b & c > d", 100), "a &lt; b &amp; c &gt; d");
        assert_eq!(escaped("<!channel> *a* _b_", 100), "&lt;!channel&gt; *a* _b_");
        assert_eq!(escaped("&&&&", 15), "&amp;&amp;…");
        for limit in 6..40 {
            let text = escaped(&"<🙂ä&".repeat(20), limit);
            assert!(length(&text) <= limit && text.ends_with('…'), "{text}");
            assert!(text.matches('&').count() == text.matches(';').count(), "{text}");
        }
    }

    #[test]
    fn links_are_only_of_urls() {
        assert_eq!(linked("https://a/?b=c&d|e>f").unwrap(), "<https://a/?b=c&amp;d%7Ce%3Ef>");
        assert_eq!(linked("see the wiki"), None);
        assert_eq!(linked(&format!("https://a/{}", "&".repeat(500))), None);
    }

    #[test]
    fn limits_hold_for_long_names() {
        let long = "&<🙂".repeat(300);
        let mut given = notice();
        (given.application, given.check, given.message) = (long.clone(), long.clone(), long.repeat(5));
        given.blocked = vec![long.clone(); 100];
        given.instances.names = vec![long.clone(); 100];
        (given.runbook, given.url, given.acknowledged_by) = (Some(long.clone()), Some(long.clone()), Some(long));
        let sent = message(&given);
        let text = |value: &Value| length(value.as_str().unwrap());
        let blocks = sent["attachments"][0]["blocks"].as_array().unwrap();
        assert!(text(&sent["text"]) <= 3_000);
        assert!(text(&blocks[0]["text"]["text"]) <= 3_000);
        let fields = blocks[1]["fields"].as_array().unwrap();
        assert!(fields.len() <= 10 && fields.iter().all(|field| text(&field["text"]) <= 2_000));
        assert!(length(&Value::from(sent).to_string()) <= 13_200);
    }
}
