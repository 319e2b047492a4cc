//! A notice as a message of mail (RFC 5322): headers into which nothing can be injected, and the text in a form that the
//! server takes.

use std::fmt::Write;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;

use super::address::Mailbox;
use crate::delivery::message::{cut, id, line, plain_or_hashed, summary, text};
use crate::model::{Notice, NoticeKind};

/// The longest line that mail may have is of 998 bytes.
const MAX_LINE: usize = 990;
/// As long as lines of headers and of base64 should be.
const WIDTH: usize = 76;

/// A message as it is sent.
pub struct Letter {
    pub id: String,
    pub text: String,
    /// Whether the body has bytes beyond ASCII.
    pub is_8bit: bool,
}

/// Writes the message of a notice; `takes_8bit` is whether the server offers 8BITMIME. All messages of an incident are
/// one thread: they refer to the first, and to the incident's own id, which no message has.
pub fn compose(from: &Mailbox, to: &[Mailbox], notice: &Notice, reference: Option<&str>, takes_8bit: bool) -> Letter {
    let message_id = |name: &str| format!("<{name}@{}>", from.domain);
    let own = message_id(&format!("lifesigns.{}", id(notice)));
    let root = message_id(&format!("lifesigns.{}", plain_or_hashed(&notice.incident_id, &[], 200)));
    let first = reference.filter(|id| is_message_id(id));
    let recipients: Vec<String> = to.iter().map(shown).collect();
    let (encoding, body) = encoded_body(&text(notice), takes_8bit);

    let mut headers = String::new();
    let mut header = |name: &str, value: &str| _ = write!(headers, "{name}: {value}\r\n");
    header("From", &shown(from));
    header("To", &recipients.join(",\r\n "));
    header("Subject", &unstructured("Subject: ".len(), &cut(&summary(notice), 200)));
    header("Date", &date(notice));
    header("Message-ID", &own);
    if first.is_some() || notice.kind != NoticeKind::Triggered {
        header("In-Reply-To", first.unwrap_or(&root));
    }
    header("References", &first.map_or_else(|| root.clone(), |first| format!("{root}\r\n {first}")));
    header("Auto-Submitted", "auto-generated");
    header("MIME-Version", "1.0");
    header("Content-Type", "text/plain; charset=utf-8");
    header("Content-Transfer-Encoding", encoding);
    Letter { id: own, text: format!("{headers}\r\n{body}"), is_8bit: encoding == "8bit" }
}

/// When the notice was made: the same in all attempts.
fn date(notice: &Notice) -> String {
    let at = Timestamp::try_from(notice.at).unwrap_or_default();
    at.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// The text, and how it is encoded: as it is where the server takes that, else as base64.
fn encoded_body(text: &str, takes_8bit: bool) -> (&'static str, String) {
    let is_short = text.lines().all(|line| line.len() <= MAX_LINE);
    match (text.is_ascii(), takes_8bit) {
        (true, _) if is_short => ("7bit", text.replace('\n', "\r\n")),
        (false, true) if is_short => ("8bit", text.replace('\n', "\r\n")),
        _ => {
            let encoded = BASE64_STANDARD.encode(text.replace('\n', "\r\n"));
            let lines: Vec<&str> = pieces(&encoded, WIDTH).collect();
            ("base64", lines.join("\r\n"))
        }
    }
}

/// A text in pieces of at most `limit` bytes, none of which ends inside a character.
fn pieces(text: &str, limit: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, left) = rest.split_at_checked(rest.floor_char_boundary(limit))?;
        rest = left;
        (!piece.is_empty()).then_some(piece)
    })
}

/// A mailbox as it stands in a header.
fn shown(mailbox: &Mailbox) -> String {
    let (name, address) = (line(&mailbox.name), mailbox.address());
    let is_atom = |c: char| c.is_ascii_alphanumeric() || " !#$%&'*+-/=?^_`{|}~".contains(c);
    if name.is_empty() {
        address
    } else if !name.is_ascii() || name.len() > WIDTH || name.contains("=?") {
        format!("{}\r\n <{address}>", encoded_words(&name))
    } else if name.chars().all(is_atom) {
        format!("{name} <{address}>")
    } else {
        format!("\"{}\" <{address}>", name.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// A text as the value of a header that starts with `used` characters: folded at spaces, or in encoded words.
fn unstructured(used: usize, text: &str) -> String {
    let text = line(text);
    let has_long_word = text.split_whitespace().any(|word| word.len() > WIDTH);
    if !text.is_ascii() || has_long_word || text.contains("=?") {
        return encoded_words(&text);
    }
    let (mut value, mut width) = (String::new(), used);
    for word in text.split_whitespace() {
        if !value.is_empty() {
            let fits = width + 1 + word.len() <= WIDTH;
            value.push_str(if fits { " " } else { "\r\n " });
            width = if fits { width + 1 } else { 1 };
        }
        value.push_str(word);
        width += word.len();
    }
    value
}

/// A text as encoded words (RFC 2047), each of whole characters and a line of its own.
fn encoded_words(text: &str) -> String {
    let words = pieces(text, 42).map(|piece| format!("=?utf-8?B?{}?=", BASE64_STANDARD.encode(piece)));
    words.collect::<Vec<_>>().join("\r\n ")
}

fn is_message_id(text: &str) -> bool {
    let inner = text.strip_prefix('<').and_then(|text| text.strip_suffix('>'));
    let plain = |c: char| c.is_ascii_graphic() && !"<>()".contains(c);
    inner.is_some_and(|inner| (3..=400).contains(&inner.len()) && inner.contains('@') && inner.chars().all(plain))
}

#[cfg(test)]
mod tests;
