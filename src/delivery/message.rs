//! What a notice says: texts for a person on call, each within a limit, and the data for programs.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};
use url::Url;

use crate::model::{Instances, Notice, NoticeKind, OBJECTIVE, Severity, Status, check_of};
use crate::policy::report::timestamp;

/// How many names of a list stand in a text; the data has all.
const NAMED: usize = 20;

/// Labels of facts.
pub const INSTANCES: &str = "Failing instances";
const FAILED_ON: &str = "Failed on";
pub const BLOCKED: &str = "Blocked behind it";
pub const ACTIONS: &str = "Actions";

/// One line: "[shop] CRITICAL: database_connectivity is failing".
pub fn title(notice: &Notice) -> String {
    let (subject, severity) = (subject(notice), severity_of(notice).to_uppercase());
    let doing = if notice.is_flapping { "flapping" } else { state(notice) };
    let time = in_words(duration(notice));
    let said = match notice.kind {
        NoticeKind::Triggered => format!("{severity}: {subject} is {doing}"),
        NoticeKind::Reminded => format!("{severity}: {subject} is still {doing} after {time}"),
        NoticeKind::Acknowledged => format!("ACKNOWLEDGED by {}: {subject} is {doing}", author(notice)),
        NoticeKind::Resolved if notice.status == Status::Healthy => {
            let well = if is_of_objective(notice) { "no longer burning" } else { "healthy" };
            format!("RESOLVED: {subject} is {well} after {time}")
        }
        NoticeKind::Resolved => format!("RESOLVED: {subject} after {time}"),
    };
    let said = match notice.kind {
        _ if !notice.is_test => said,
        NoticeKind::Resolved => "TEST: it is over".to_owned(),
        _ => "TEST: nothing is wrong".to_owned(),
    };
    format!("[{}] {said}", cut(&line(&notice.application), 60))
}

/// The title and the error, as one line: what a locked phone shows.
pub fn summary(notice: &Notice) -> String {
    match line(&notice.message) {
        error if error.is_empty() || notice.is_test || notice.kind == NoticeKind::Resolved => title(notice),
        error => format!("{}: {error}", title(notice)),
    }
}

/// What is wrong, since when, and the last error, as one paragraph.
pub fn paragraph(notice: &Notice) -> String {
    let name = format!("{} of {}", subject(notice), line(&notice.application));
    let (since, time) = (point_in_time(notice), in_words(duration(notice)));
    let state = state(notice);
    let what = match notice.kind {
        NoticeKind::Resolved => {
            let well = if is_of_objective(notice) { "is no longer burning" } else { "has recovered" };
            format!("{name} {well}. The incident lasted {time}, from {since}.")
        }
        _ if notice.is_flapping => format!(
            "{name} changes too often for a notice of each change, since {since} ({time}); there will be one when it ends."
        ),
        NoticeKind::Acknowledged => {
            format!("{} has acknowledged that {name} is {state}, since {since} ({time}).", author(notice))
        }
        NoticeKind::Reminded => format!("{name} is still {state}, since {since} ({time})."),
        NoticeKind::Triggered => format!("{name} is {state} since {since} ({time})."),
    };
    let message = line(&notice.message);
    match notice.kind {
        _ if notice.is_test => message,
        _ if message.is_empty() => what,
        NoticeKind::Resolved => format!("{what} {message}"),
        _ if is_of_objective(notice) => format!("{what} {message}"),
        _ => format!("{what} Last error: {message}"),
    }
}

/// What a notice is about, in words.
fn subject(notice: &Notice) -> String {
    let check = cut(&line(check_of(&notice.check)), 100);
    if is_of_objective(notice) { format!("error budget of {check}") } else { check }
}

fn is_of_objective(notice: &Notice) -> bool {
    notice.check.starts_with(OBJECTIVE)
}

fn state(notice: &Notice) -> &'static str {
    match notice.status {
        _ if is_of_objective(notice) => "burning",
        Status::Degraded => "degraded",
        _ => "failing",
    }
}

/// What else is known, each with its label.
pub fn facts(notice: &Notice) -> Vec<(&'static str, String)> {
    let Instances { failing, total, names } = &notice.instances;
    let on = if names.is_empty() { String::new() } else { format!(": {}", list(names)) };
    let instances = match notice.kind {
        NoticeKind::Resolved => (FAILED_ON, list(names)),
        _ if *total == 0 => (INSTANCES, String::new()),
        _ => (INSTANCES, format!("{failing} of {total}{on}")),
    };
    let given = |text: &Option<String>| text.as_deref().map(line).unwrap_or_default();
    let facts = [
        ("Severity", severity_of(notice).to_owned()),
        instances,
        (BLOCKED, list(&notice.blocked)),
        (ACTIONS, history(&notice.actions)),
        ("Acknowledged by", given(&notice.acknowledged_by)),
        ("Runbook", given(&notice.runbook)),
        ("Dashboard", given(&notice.url)),
    ];
    facts.into_iter().filter(|(_, text)| !text.is_empty()).collect()
}

/// All of it: the paragraph, then a line for each fact.
pub fn text(notice: &Notice) -> String {
    let mut text = paragraph(notice);
    text.push('\n');
    for (label, fact) in facts(notice) {
        text += &format!("\n{label}: {fact}");
    }
    text
}

/// What programs are given: the `data` of a webhook, and the details of other services.
pub fn data(notice: &Notice) -> Map<String, Value> {
    let Instances { failing, total, names } = &notice.instances;
    let Value::Object(mut data) = json!({
        "dedup_key": notice.dedup_key,
        "incident_id": notice.incident_id,
        "application": notice.application,
        "check": notice.check,
        "status": notice.status,
        "severity": notice.severity,
        "since": timestamp(notice.since),
        "message": notice.message,
        "blocked": notice.blocked,
        "instances": {"failing": failing, "total": total, "names": names},
        "runbook": notice.runbook,
        "url": notice.url,
    }) else {
        return Map::new();
    };
    if !notice.actions.is_empty() {
        data.insert("actions".to_owned(), json!(notice.actions));
    }
    if notice.is_test {
        data.insert("is_test".to_owned(), true.into());
    }
    if notice.is_flapping {
        data.insert("is_flapping".to_owned(), true.into());
    }
    if let Some(author) = &notice.acknowledged_by {
        data.insert("acknowledged_by".to_owned(), author.as_str().into());
    }
    data
}

pub fn severity_of(notice: &Notice) -> &'static str {
    match notice.severity {
        Severity::Warning => "warning",
        Severity::Error => "error",
        Severity::Critical => "critical",
    }
}

/// The notice's id in letters, digits, `-` and `_`, as headers and signatures need it.
pub fn id(notice: &Notice) -> Cow<'_, str> {
    plain_or_hashed(&notice.id, &[], 200)
}

/// A text if it has at most `limit` letters, digits, `-`, `_` and those `also` allowed; else its hash behind its start.
pub fn plain_or_hashed<'a>(text: &'a str, also: &[char], limit: usize) -> Cow<'a, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || also.contains(&c);
    if !text.is_empty() && text.len() <= limit && text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let start: String = text.chars().filter(|c| is_plain(*c)).take(limit.saturating_sub(65)).collect();
    Cow::Owned(format!("{start}-{}", sha256(text)))
}

/// A key of at most `limit` characters: a longer one ends with its hash.
pub fn key_within(key: &str, limit: usize) -> Cow<'_, str> {
    if length(key) <= limit {
        return Cow::Borrowed(key);
    }
    Cow::Owned(format!("{}{}", cut(key, limit.saturating_sub(64)), sha256(key)))
}

fn sha256(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How long a text is as UTF-16 counts: no service counts more.
pub fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// A text of at most `limit` characters. One that is longer ends with an ellipsis, and with a whole character before it:
/// neither an accent nor the skin of an emoji is cut off.
pub fn cut(text: &str, limit: usize) -> String {
    if length(text) <= limit {
        return text.to_owned();
    }
    let (mut used, mut end, mut joined) = (1, 0, false);
    for (at, c) in text.char_indices() {
        if !joined && !continues(c) {
            end = at;
        }
        joined = c == ZERO_WIDTH_JOINER;
        used += c.len_utf16();
        if used > limit {
            break;
        }
    }
    format!("{}…", text.get(..end).unwrap_or_default())
}

const ZERO_WIDTH_JOINER: char = '\u{200d}';

/// Whether it is drawn as part of the character before it.
fn continues(c: char) -> bool {
    matches!(
        c,
        ZERO_WIDTH_JOINER | '\u{300}'..='\u{36f}' | '\u{20d0}'..='\u{20ff}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0020}'..='\u{e007f}'
    )
}

/// A text as one line: nothing in it starts another, moves a cursor or turns the direction of what follows.
pub fn line(text: &str) -> String {
    let stray = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let spaced: String = text.chars().map(|c| if stray(c) { ' ' } else { c }).collect();
    spaced.trim().to_owned()
}

/// A text as the URL of a web page, if it is one: a service may refuse a notice with another.
pub fn link(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    Some(String::from(url)).filter(|url| length(url) <= 1_000)
}

fn list(names: &[String]) -> String {
    let named: Vec<String> = names.iter().take(NAMED).map(|name| cut(&line(name), 100)).collect();
    match names.len().checked_sub(NAMED) {
        None | Some(0) => named.join(", "),
        Some(more) => format!("{} and {more} more", named.join(", ")),
    }
}

/// What was done, in order.
fn history(actions: &[String]) -> String {
    let actions: Vec<String> = actions.iter().map(|text| cut(&line(text), 200)).collect();
    actions.join("; ")
}

/// Who has acknowledged it.
pub fn author(notice: &Notice) -> String {
    let name = notice.acknowledged_by.as_deref().map(|name| cut(&line(name), 60)).unwrap_or_default();
    if name.is_empty() { "somebody".to_owned() } else { name }
}

/// How long the check had failed when the notice was made.
fn duration(notice: &Notice) -> Duration {
    notice.at.duration_since(notice.since).unwrap_or_default()
}

fn point_in_time(notice: &Notice) -> String {
    let since = Timestamp::try_from(notice.since).unwrap_or_default();
    since.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A duration in its two largest units: "45 s", "12 min", "4 h 10 min", "2 d 3 h".
pub fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let two = |large: u64, unit: &str, small: u64, below: &str| match small {
        0 => format!("{large} {unit}"),
        small => format!("{large} {unit} {small} {below}"),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

#[cfg(test)]
mod tests;
