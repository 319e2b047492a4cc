//! The text of SMTP: reply lines and codes, what EHLO offers, what AUTH and DATA send.

use std::fmt::Write;
use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

use crate::model::CheckError;

/// How to authenticate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mechanism {
    CramMd5,
    Plain,
    Login,
}

impl Mechanism {
    /// The order of Python's smtplib, by which Django sends mail.
    pub const IN_ORDER: [Self; 3] = [Self::CramMd5, Self::Plain, Self::Login];

    pub fn name(self) -> &'static str {
        match self {
            Self::CramMd5 => "CRAM-MD5",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }
}

/// Whether a mechanism was refused, so that the next one can be tried.
pub fn is_refusal(error: &CheckError) -> bool {
    match error {
        CheckError::Authentication { .. } | CheckError::Rejected { .. } => true,
        CheckError::Detailed { error, .. } => is_refusal(error),
        _ => false,
    }
}

/// HMAC-MD5 in hexadecimal digits, as CRAM-MD5 wants it (RFC 2195).
pub fn hmac_md5(key: &[u8], message: &[u8]) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Md5>::new_from_slice(key) else { return String::new() };
    mac.update(message);
    mac.finalize().into_bytes().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// One line of a reply: `250-text` where more follow, `250 text` or `250` at the end.
#[derive(Debug, PartialEq)]
pub struct Line {
    pub code: u16,
    pub last: bool,
    pub text: String,
}

pub fn parse(line: &[u8]) -> Option<Line> {
    let line = line.trim_ascii_end();
    let (code, rest) = line.split_at_checked(3)?;
    let code = match code {
        [b'2'..=b'5', b'0'..=b'5', b'0'..=b'9'] => std::str::from_utf8(code).ok()?.parse().ok()?,
        _ => return None,
    };
    let (last, text) = match rest {
        [] => (true, rest),
        [b' ', text @ ..] => (true, text),
        [b'-', text @ ..] => (false, text),
        _ => return None,
    };
    Some(Line { code, last, text: String::from_utf8_lossy(text).into_owned() })
}

/// What a reply code means where another was expected.
pub fn judge(target: &str, code: u16, expected: u16) -> Result<(), CheckError> {
    let target = target.to_owned();
    let reason = format!("SMTP reply {code}").into();
    match code {
        _ if code == expected => Ok(()),
        // Authenticated already, which smtplib takes for success.
        503 if expected == 235 => Ok(()),
        530 | 534 | 535 | 538 => Err(CheckError::Authentication { target, reason }.with("authentication", "failed")),
        400..=499 => Err(CheckError::Unavailable { target, reason }),
        500..=599 => Err(CheckError::Rejected { target, reason }),
        _ => Err(CheckError::Protocol { target, expected: "SMTP".into() }),
    }
}

/// What stands behind `AUTH`; some servers also write `AUTH=`, for clients older than RFC 2554.
pub fn mechanisms(offers: &[String]) -> Vec<&str> {
    offers
        .iter()
        .filter_map(|offer| offer.split_at_checked(5))
        .filter(|(keyword, _)| keyword.eq_ignore_ascii_case("AUTH ") || keyword.eq_ignore_ascii_case("AUTH="))
        .flat_map(|(_, mechanisms)| mechanisms.split_ascii_whitespace())
        .collect()
}

/// A message as DATA sends it: lines end with CRLF, one that starts with a dot gets another, and a dot alone ends it. A
/// line end of another kind is one as well, so that no server takes part of the message for a command.
pub fn dot_stuffed(message: &str) -> String {
    let mut stuffed = String::with_capacity(message.len() + 8);
    for line in message.replace("\r\n", "\n").replace('\r', "\n").trim_end_matches('\n').split('\n') {
        if line.starts_with('.') {
            stuffed.push('.');
        }
        stuffed.push_str(line);
        stuffed.push_str("\r\n");
    }
    stuffed.push_str(".\r\n");
    stuffed
}

/// Our name in EHLO: the address, since other servers often do not know a host's own name (RFC 5321, 4.1.3).
pub fn address_literal(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => format!("[IPv6:{address}]"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reply_lines() {
        let line = |code, last, text: &str| Some(Line { code, last, text: text.into() });
        for (given, parsed) in [
            (&b"220 mail.example.org ESMTP\r\n"[..], line(220, true, "mail.example.org ESMTP")),
            (b"250-SIZE 100\n", line(250, false, "SIZE 100")),
            (b"250\r\n", line(250, true, "")),
            (b"250 \xff\r\n", line(250, true, "\u{fffd}")),
            (b"", None),
            (b"25\r\n", None),
            (b"2500\r\n", None),
            (b"199 no\r\n", None),
            (b"260 no\r\n", None),
            (b"600 no\r\n", None),
            (b"+25 no\r\n", None),
            (b"HTTP/1.1 400 Bad Request\r\n", None),
        ] {
            assert_eq!(parse(given), parsed, "{}", String::from_utf8_lossy(given));
        }
    }

    #[test]
    fn reply_codes() {
        for (code, expected, error) in [
            (250, 250, None),
            (250, 235, Some("ProtocolError")),
            (354, 250, Some("ProtocolError")),
            (421, 220, Some("UnavailableError")),
            (454, 235, Some("UnavailableError")),
            (530, 250, Some("AuthenticationError")),
            (534, 235, Some("AuthenticationError")),
            (535, 235, Some("AuthenticationError")),
            (538, 235, Some("AuthenticationError")),
            (550, 250, Some("RequestRejectedError")),
            (554, 220, Some("RequestRejectedError")),
        ] {
            let judged = judge("mail:25", code, expected);
            assert_eq!(judged.err().as_ref().map(CheckError::code), error, "{code} for {expected}");
        }
    }

    #[test]
    fn offered_mechanisms() {
        for (offers, found) in [
            (&["PIPELINING", "AUTH PLAIN LOGIN", "8BITMIME"][..], &["PLAIN", "LOGIN"][..]),
            (&["auth=login"], &["login"]),
            (&["AUTH"], &[]),
            (&["AUTHENTICATE PLAIN", "äöü"], &[]),
            (&[], &[]),
        ] {
            let offers: Vec<_> = offers.iter().map(ToString::to_string).collect();
            assert_eq!(mechanisms(&offers), found);
        }
    }

    #[test]
    fn dot_stuffed_ends_with_the_only_dot_alone() {
        for (message, sent) in [
            ("a\r\nb\r\n", "a\r\nb\r\n.\r\n"),
            ("a\n.\n..b\n.c", "a\r\n..\r\n...b\r\n..c\r\n.\r\n"),
            ("a\r.\rQUIT\n\n", "a\r\n..\r\nQUIT\r\n.\r\n"),
            ("", "\r\n.\r\n"),
        ] {
            assert_eq!(dot_stuffed(message), sent, "{message:?}");
        }
    }

    #[test]
    fn our_name_is_our_address() {
        for (address, literal) in
            [("192.0.2.1", "[192.0.2.1]"), ("2001:db8::1", "[IPv6:2001:db8::1]"), ("::ffff:192.0.2.1", "[192.0.2.1]")]
        {
            assert_eq!(address_literal(address.parse().unwrap()), literal);
        }
    }

    #[test]
    fn hmac_md5_of_the_rfc() {
        let challenge = b"<1896.697170952@postoffice.reston.mci.net>";
        assert_eq!(hmac_md5(b"tanstaaftanstaaf", challenge), "b913a602c7eda7a495b4e6e7334d3890");
    }
}
