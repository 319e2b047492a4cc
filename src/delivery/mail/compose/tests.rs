//! Messages byte by byte: headers, threads, encodings, and that nothing can be injected.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::delivery::sample::{notice, resolved};

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse("to", text).unwrap()
}

fn letter(notice: &Notice, reference: Option<&str>, takes_8bit: bool) -> Letter {
    let to = [mailbox("ops@example.org"), mailbox("\"Ops, second\" <ops2@example.org>")];
    compose(&mailbox("Shop <noreply@shop.example>"), &to, notice, reference, takes_8bit)
}

/// The value of a header, unfolded.
fn header(letter: &Letter, name: &str) -> Option<String> {
    let head = letter.text.split_once("\r\n\r\n").unwrap().0.replace("\r\n ", " ");
    let value = head.split("\r\n").find_map(|line| line.strip_prefix(&format!("{name}: ")));
    value.map(str::to_owned)
}

#[test]
fn message_of_a_trigger() {
    let sent = letter(&notice(), None, false);
    assert_eq!(
        sent.text,
        "From: Shop <noreply@shop.example>\r\n\
         To: ops@example.org,\r\n \"Ops, second\" <ops2@example.org>\r\n\
         Subject: [shop] CRITICAL: database_connectivity is failing: 127.0.0.1:5432\r\n refused the connection\r\n\
         Date: Sun, 29 Nov 2026 14:12:30 +0000\r\n\
         Message-ID: <lifesigns.notice-1@shop.example>\r\n\
         References: <lifesigns.incident-7@shop.example>\r\n\
         Auto-Submitted: auto-generated\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 7bit\r\n\
         \r\n\
         database_connectivity of shop is failing since 2026-11-29 14:00:00 UTC (12 min). \
         Last error: 127.0.0.1:5432 refused the connection\r\n\
         \r\n\
         Severity: critical\r\n\
         Failing instances: 2 of 3: web-1, web-2\r\n\
         Blocked behind it: postgis_extension, connection_pool\r\n\
         Runbook: https://wiki.example.org/db\r\n\
         Dashboard: https://shop.example.org/health/dashboard/"
    );
    assert_eq!(sent.id, "<lifesigns.notice-1@shop.example>");
}

#[test]
fn incident_is_one_thread_with_and_without_the_first_message() {
    let first = "<lifesigns.notice-1@shop.example>";
    let root = "<lifesigns.incident-7@shop.example>";
    let answer = letter(&resolved(), Some(first), false);
    assert_eq!(header(&answer, "Message-ID").unwrap(), "<lifesigns.notice-2@shop.example>");
    assert_eq!(header(&answer, "In-Reply-To").unwrap(), first);
    assert_eq!(header(&answer, "References").unwrap(), format!("{root} {first}"));
    for reference in [None, Some("C1 17.01"), Some("<a@b>\r\nBcc: <c@d>"), Some("<>")] {
        let answer = letter(&resolved(), reference, false);
        assert_eq!(header(&answer, "In-Reply-To").unwrap(), root);
        assert_eq!(header(&answer, "References").unwrap(), root);
    }
    assert_eq!(header(&letter(&notice(), None, false), "In-Reply-To"), None);
}

#[test]
fn body_beyond_ascii_as_it_is_only_where_the_server_takes_it() {
    let message = "größer als 80 %: 🙂".to_owned();
    let given = Notice { message: message.clone(), ..notice() };
    let raw = letter(&given, None, true);
    assert!(raw.is_8bit && raw.text.contains(&message));
    let encoded = letter(&given, None, false);
    assert!(!encoded.is_8bit && encoded.text.is_ascii());
    assert_eq!(header(&encoded, "Content-Transfer-Encoding").unwrap(), "base64");
    let body = encoded.text.split_once("\r\n\r\n").unwrap().1;
    assert!(body.split("\r\n").all(|line| line.len() <= WIDTH));
    let decoded = String::from_utf8(BASE64_STANDARD.decode(body.replace("\r\n", "")).unwrap()).unwrap();
    assert_eq!(decoded, text(&given).replace('\n', "\r\n"));
}

#[test]
fn no_line_is_too_long_and_no_header_can_be_injected() {
    let evil = "x\r\nBcc: evil@example.org\r\n\r\n.\r\nQUIT\u{2028}\u{202e}";
    for name in [evil.to_owned(), "a".repeat(600), "ä🙂".repeat(300), "=?utf-8?Q?=0D=0ABcc:?=".to_owned()] {
        let mut given = notice();
        (given.id, given.incident_id) = (name.clone(), name.clone());
        (given.application, given.check, given.message) = (name.clone(), name.clone(), name.repeat(5));
        given.blocked = vec![name.clone(); 100];
        given.instances.names = vec![name.clone(); 100];
        (given.runbook, given.url, given.acknowledged_by) = (Some(name.clone()), Some(name.clone()), Some(name));
        for kind in [NoticeKind::Triggered, NoticeKind::Acknowledged, NoticeKind::Reminded, NoticeKind::Resolved] {
            for takes_8bit in [false, true] {
                let sent = letter(&Notice { kind, ..given.clone() }, None, takes_8bit);
                let (head, body) = sent.text.split_once("\r\n\r\n").unwrap();
                let unfolded = head.replace("\r\n ", " ");
                let mut names: Vec<&str> =
                    unfolded.split("\r\n").map(|line| line.split_once(": ").unwrap().0).collect();
                names.retain(|name| *name != "In-Reply-To");
                assert_eq!(
                    names,
                    [
                        "From",
                        "To",
                        "Subject",
                        "Date",
                        "Message-ID",
                        "References",
                        "Auto-Submitted",
                        "MIME-Version",
                        "Content-Type",
                        "Content-Transfer-Encoding",
                    ]
                );
                assert!(head.is_ascii() && head.split("\r\n").all(|line| line.len() <= 300), "{head}");
                assert!(head.split("\r\n").filter(|line| !line.contains('@')).all(|line| line.len() <= 78), "{head}");
                assert!(body.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])));
            }
        }
    }
}

#[test]
fn subject_folded_at_spaces_or_in_encoded_words() {
    let words = "word ".repeat(30);
    let folded = unstructured(9, &words);
    assert!(folded.contains("\r\n ") && folded.split("\r\n").all(|line| line.len() <= WIDTH));
    assert_eq!(folded.replace("\r\n ", " "), words.trim());
    let text = "größer als 80 % auf allen Rechnern im Rechenzentrum von Nürnberg 🙂🙂🙂";
    let encoded = unstructured(9, text);
    let decoded = encoded.split("\r\n ").map(|word| {
        let inner = word.strip_prefix("=?utf-8?B?").and_then(|word| word.strip_suffix("?=")).unwrap();
        assert!(word.len() <= 75);
        String::from_utf8(BASE64_STANDARD.decode(inner).unwrap()).unwrap()
    });
    assert_eq!(decoded.collect::<String>(), text);
}

#[test]
fn names_of_mailboxes() {
    for (text, expected) in [
        ("ops@example.org", "ops@example.org"),
        ("On call <ops@example.org>", "On call <ops@example.org>"),
        ("a \"b\" \\c <ops@example.org>", "\"a \\\"b\\\" \\\\c\" <ops@example.org>"),
        ("Müller <ops@example.org>", "=?utf-8?B?TcO8bGxlcg==?=\r\n <ops@example.org>"),
    ] {
        assert_eq!(shown(&mailbox(text)), expected);
    }
}
