//! What Slack's Web API answers: the message that it posted, or the word that says why not.

use serde::Deserialize;

use crate::delivery::Attempt;

/// Errors of the Web API that pass.
const TRANSIENT: [&str; 7] = [
    "ratelimited",
    "rate_limited",
    "team_added_to_org",
    "request_timeout",
    "service_unavailable",
    "internal_error",
    "fatal_error",
];
/// Those of them after which a message may have been posted all the same.
const UNCERTAIN: [&str; 4] = ["request_timeout", "service_unavailable", "internal_error", "fatal_error"];

/// A message that the bot has posted: what `chat.update` needs.
#[derive(Debug, PartialEq)]
pub struct PostedMessage {
    pub channel: String,
    pub ts: String,
}

impl PostedMessage {
    pub fn read(reference: &str) -> Option<Self> {
        let (channel, ts) = reference.split_once(' ')?;
        Some(Self { channel: channel.to_owned(), ts: ts.to_owned() })
    }
}

impl std::fmt::Display for PostedMessage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.channel, self.ts)
    }
}

/// Why a call of the Web API did not succeed.
#[derive(Debug, PartialEq)]
pub enum BotFailure {
    Attempt(Attempt),
    /// Slack's word for it.
    Error(String),
}

impl BotFailure {
    pub fn into_attempt(self) -> Attempt {
        let error = match self {
            Self::Attempt(attempt) => return attempt,
            Self::Error(error) => error,
        };
        let answer = format!("200, but not ok: {error}");
        if TRANSIENT.contains(&error.as_str()) {
            let may_have_arrived = UNCERTAIN.contains(&error.as_str());
            Attempt::Failed { answer, retry_after: None, may_have_arrived }
        } else {
            Attempt::Refused { answer }
        }
    }
}

/// What the body of a 200 of the Web API says.
pub fn judge(body: Option<&[u8]>) -> Result<Option<PostedMessage>, BotFailure> {
    #[derive(Deserialize)]
    struct Said {
        ok: bool,
        error: Option<String>,
        channel: Option<String>,
        ts: Option<String>,
    }
    let lost = |answer: &str| {
        BotFailure::Attempt(Attempt::Failed { answer: answer.to_owned(), retry_after: None, may_have_arrived: true })
    };
    let said: Said = serde_json::from_slice(body.ok_or_else(|| lost("200, but the answer broke off"))?)
        .map_err(|_| lost("200, but not the answer of Slack's Web API: is api_url right?"))?;
    if !said.ok {
        let error = said.error.as_deref().and_then(|error| word(error.as_bytes()));
        return Err(BotFailure::Error(error.unwrap_or("an error without a name").to_owned()));
    }
    let plain = |text: &str| !text.is_empty() && text.len() <= 100 && text.chars().all(|c| c.is_ascii_graphic());
    Ok(said
        .channel
        .zip(said.ts)
        .filter(|(channel, ts)| plain(channel) && plain(ts))
        .map(|(channel, ts)| PostedMessage { channel, ts }))
}

/// An error as Slack names them, which is no text of another kind.
pub fn word(text: &[u8]) -> Option<&str> {
    let is_word = |text: &&str| {
        (3..=40).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    std::str::from_utf8(text.trim_ascii()).ok().filter(is_word)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn answer_of_the_web_api() {
        let message = PostedMessage { channel: "C1".to_owned(), ts: "17.01".to_owned() };
        assert_eq!(PostedMessage::read(&message.to_string()), Some(message));
        let said = |text: &str| judge(Some(text.as_bytes())).map(|message| message.map(|message| message.to_string()));
        assert_eq!(said(r#"{"ok": true, "channel": "C1", "ts": "17.01"}"#), Ok(Some("C1 17.01".to_owned())));
        assert_eq!(said(r#"{"ok": true}"#), Ok(None));
        assert_eq!(said(r#"{"ok": true, "channel": "C 1", "ts": "\n"}"#), Ok(None));
        for (text, answer, retried) in [
            (r#"{"ok": false, "error": "invalid_auth"}"#, "200, but not ok: invalid_auth", None),
            (r#"{"ok": false, "error": "xoxb-SECRET"}"#, "200, but not ok: an error without a name", None),
            (r#"{"ok": false}"#, "200, but not ok: an error without a name", None),
            (r#"{"ok": false, "error": "ratelimited"}"#, "200, but not ok: ratelimited", Some(false)),
            (r#"{"ok": false, "error": "fatal_error"}"#, "200, but not ok: fatal_error", Some(true)),
            ("<html>", "200, but not the answer of Slack's Web API: is api_url right?", Some(true)),
        ] {
            let answer = answer.to_owned();
            let expected = match retried {
                None => Attempt::Refused { answer },
                Some(may_have_arrived) => Attempt::Failed { answer, retry_after: None, may_have_arrived },
            };
            assert_eq!(said(text).unwrap_err().into_attempt(), expected);
        }
        let cut_off = judge(None).unwrap_err().into_attempt();
        assert!(matches!(cut_off, Attempt::Failed { may_have_arrived: true, .. }));
    }

    #[test]
    fn word_is_no_text_of_another_kind() {
        assert_eq!(word(b"no_service\n"), Some("no_service"));
        for text in [&b"<html>"[..], b"ok", b"T0/B0/secret", b"two words", b"\xff\xff\xff", b"", &[b'a'; 50]] {
            assert_eq!(word(text), None);
        }
    }
}
