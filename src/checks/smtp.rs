//! An SMTP server that lets us in: EHLO, STARTTLS or implicit TLS, AUTH, QUIT. No mail is sent.

use crate::model::Secret;
use serde::Deserialize;
use std::net::IpAddr;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::checks::Check;
use crate::model::{CheckError, Finding, Phase};
use crate::net::Tls;
use crate::net::{self, Stream};
use crate::runtime::Context;

/// The longest line and the most lines of a reply. RFC 5321 asks for 512 bytes; some greetings are longer.
const MAX_LINE: usize = 4096;
const MAX_LINES: usize = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpSecurity {
    None,
    Starttls,
    Tls,
}

/// The SMTP server (port 25, with `security` "starttls" 587, "tls" 465) accepts the credentials; sends no mail.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpCheck {
    pub host: String,
    /// Default 25, 587 (starttls) or 465 (tls).
    #[serde(default)]
    pub port: Option<u16>,
    #[serde(default)]
    pub username: Option<String>,
    #[serde(default)]
    pub password: Option<Secret>,
    pub security: SmtpSecurity,
    #[serde(default)]
    pub tls: Tls,
}

#[async_trait]
impl Check for SmtpCheck {
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let SmtpCheck { host, port, username, password, security, tls } = self;
        let port = port.unwrap_or(match security {
            SmtpSecurity::None => 25,
            SmtpSecurity::Starttls => 587,
            SmtpSecurity::Tls => 465,
        });
        let target = net::target(host, port);

        let tcp = net::connect(context, host, port).await?;
        let local = tcp.local_addr().map_err(|error| net::io_error(&target, Phase::Connect, &error))?.ip();
        let hello = format!("EHLO {}", address_literal(local));
        let stream = match security {
            SmtpSecurity::Tls => Stream::Tls(Box::new(net::secure(context, tcp, host, port, tls).await?)),
            SmtpSecurity::None | SmtpSecurity::Starttls => Stream::Plain(tcp),
        };
        let mut session = Session { context, target: &target, stream: BufReader::new(stream) };
        context.enter(Phase::Query);
        session.reply(220).await?;
        let mut offers = session.command(&hello, 250).await?;
        if *security == SmtpSecurity::Starttls {
            session = session.encrypt(&offers, host, port, tls).await?;
            context.enter(Phase::Query);
            // Asked again: what was offered before the handshake may have been tampered with.
            offers = session.command(&hello, 250).await?;
        }
        let authentication = match (username, password) {
            (Some(user), Some(password)) if !user.is_empty() && !password.is_empty() => {
                context.enter(Phase::Authenticate);
                session.authenticate(&offers, user, password.expose()).await?;
                "successful"
            }
            _ => "not configured",
        };
        context.enter(Phase::Close);
        session.close().await;

        let message = match authentication {
            "successful" => format!("{target} accepted the login"),
            _ => format!("{target} answers"),
        };
        Ok(Finding::healthy(message)
            .with("host", host.as_str())
            .with("port", port)
            .with("authentication", authentication))
    }
}

struct Session<'a> {
    context: &'a Context,
    target: &'a str,
    stream: BufReader<Stream>,
}

impl Session<'_> {
    /// Sends one line and returns the texts of the reply, which must have this code.
    async fn command(&mut self, line: &str, expected: u16) -> Result<Vec<String>, CheckError> {
        let sent = self.stream.write_all(format!("{line}\r\n").as_bytes()).await;
        sent.map_err(|error| self.io_error(&error))?;
        self.stream.flush().await.map_err(|error| self.io_error(&error))?;
        self.reply(expected).await
    }

    /// Reads a reply: lines of one code, each but the last marked as continued.
    async fn reply(&mut self, expected: u16) -> Result<Vec<String>, CheckError> {
        let mut texts = Vec::new();
        let mut first = None;
        while texts.len() < MAX_LINES {
            let line = self.line().await?;
            let line = parse(&line).filter(|line| *first.get_or_insert(line.code) == line.code);
            let Line { code, last, text } = line.ok_or_else(|| self.protocol())?;
            texts.push(text);
            if last {
                return judge(self.target, code, expected).map(|()| texts);
            }
        }
        Err(CheckError::TooLarge { target: self.target.to_owned(), limit: MAX_LINES * MAX_LINE })
    }

    async fn line(&mut self) -> Result<Vec<u8>, CheckError> {
        let mut line = Vec::new();
        let read = (&mut self.stream).take(MAX_LINE as u64).read_until(b'\n', &mut line).await;
        match read.map_err(|error| self.io_error(&error))? {
            _ if line.ends_with(b"\n") => Ok(line),
            MAX_LINE => Err(CheckError::TooLarge { target: self.target.to_owned(), limit: MAX_LINE }),
            _ => Err(CheckError::Closed { target: self.target.to_owned(), phase: self.context.phase() }),
        }
    }

    /// STARTTLS. Whatever came before the handshake was sent by nobody we know: it must not be taken for a reply.
    async fn encrypt(mut self, offers: &[String], host: &str, port: u16, tls: &Tls) -> Result<Self, CheckError> {
        if !offers.iter().any(|offer| offer.eq_ignore_ascii_case("STARTTLS")) {
            return Err(self.rejected("it does not offer STARTTLS"));
        }
        self.command("STARTTLS", 220).await?;
        if !self.stream.buffer().is_empty() {
            return Err(self.protocol());
        }
        match self.stream.into_inner() {
            Stream::Plain(tcp) => {
                let stream = Stream::Tls(Box::new(net::secure(self.context, tcp, host, port, tls).await?));
                Ok(Self { stream: BufReader::new(stream), ..self })
            }
            encrypted => Ok(Self { stream: BufReader::new(encrypted), ..self }),
        }
    }

    async fn authenticate(&mut self, offers: &[String], user: &str, password: &str) -> Result<(), CheckError> {
        let mechanisms = mechanisms(offers);
        let offered = |name| mechanisms.iter().any(|mechanism| mechanism.eq_ignore_ascii_case(name));
        if offered("PLAIN") {
            let initial = BASE64.encode(format!("\0{user}\0{password}"));
            self.command(&format!("AUTH PLAIN {initial}"), 235).await?;
        } else if offered("LOGIN") {
            self.command("AUTH LOGIN", 334).await?;
            self.command(&BASE64.encode(user), 334).await?;
            self.command(&BASE64.encode(password), 235).await?;
        } else {
            return Err(self.rejected("it offers neither AUTH PLAIN nor AUTH LOGIN on this connection"));
        }
        Ok(())
    }

    /// The work is done: a server that closes first is none the worse for it.
    async fn close(mut self) {
        if self.command("QUIT", 221).await.is_ok() {
            self.stream.shutdown().await.ok();
        }
    }

    fn io_error(&self, error: &std::io::Error) -> CheckError {
        net::io_error(self.target, self.context.phase(), error)
    }

    fn protocol(&self) -> CheckError {
        CheckError::Protocol { target: self.target.to_owned(), expected: "SMTP".into() }
    }

    fn rejected(&self, reason: &'static str) -> CheckError {
        CheckError::Rejected { target: self.target.to_owned(), reason: reason.into() }
    }
}

/// One line of a reply: `250-text` where more follow, `250 text` or `250` at the end.
#[derive(Debug, PartialEq)]
struct Line {
    code: u16,
    last: bool,
    text: String,
}

fn parse(line: &[u8]) -> Option<Line> {
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
fn judge(target: &str, code: u16, expected: u16) -> Result<(), CheckError> {
    let target = target.to_owned();
    let reason = format!("SMTP reply {code}").into();
    match code {
        _ if code == expected => Ok(()),
        530 | 534 | 535 | 538 => Err(CheckError::Authentication { target, reason }.with("authentication", "failed")),
        400..=499 => Err(CheckError::Unavailable { target, reason }),
        500..=599 => Err(CheckError::Rejected { target, reason }),
        _ => Err(CheckError::Protocol { target, expected: "SMTP".into() }),
    }
}

/// What stands behind `AUTH`; some servers also write `AUTH=`, for clients older than RFC 2554.
fn mechanisms(offers: &[String]) -> Vec<&str> {
    offers
        .iter()
        .filter_map(|offer| offer.split_at_checked(5))
        .filter(|(keyword, _)| keyword.eq_ignore_ascii_case("AUTH ") || keyword.eq_ignore_ascii_case("AUTH="))
        .flat_map(|(_, mechanisms)| mechanisms.split_ascii_whitespace())
        .collect()
}

/// Our name in EHLO: the address, since a host's own name is often not one that others know (RFC 5321, 4.1.3).
fn address_literal(address: IpAddr) -> String {
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
    fn our_name_is_our_address() {
        for (address, literal) in
            [("192.0.2.1", "[192.0.2.1]"), ("2001:db8::1", "[IPv6:2001:db8::1]"), ("::ffff:192.0.2.1", "[192.0.2.1]")]
        {
            assert_eq!(address_literal(address.parse().unwrap()), literal);
        }
    }
}
