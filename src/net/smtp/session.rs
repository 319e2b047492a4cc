//! One SMTP connection: commands and their replies, STARTTLS, the mechanisms of AUTH, one message.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::protocol::{self, Line, Mechanism};
use crate::model::CheckError;
use crate::net::{self, Limited, ReadBudget, Stream, Tls};
use crate::runtime::Context;

/// What a server may send per run, in bytes. Ten replies of some lines take a few kilobytes.
const LIMIT: usize = 64 * 1024;

pub struct SmtpSession<'a> {
    context: &'a Context,
    target: String,
    stream: BufReader<Limited<Stream>>,
    budget: Arc<ReadBudget>,
    /// What the server offers: the lines of its reply to EHLO.
    offers: Vec<String>,
}

impl<'a> SmtpSession<'a> {
    pub fn new(context: &'a Context, target: String, stream: Stream) -> Self {
        let budget = ReadBudget::new(LIMIT);
        let stream = BufReader::new(Limited::new(stream, budget.clone()));
        Self { context, target, stream, budget, offers: Vec::new() }
    }

    /// Greets, and notes what the server offers.
    pub async fn ehlo(&mut self, name: &str) -> Result<(), CheckError> {
        self.offers = self.command(&format!("EHLO {name}"), 250).await?;
        Ok(())
    }

    /// Whether the server offers an extension.
    pub fn offers(&self, extension: &str) -> bool {
        let mut keywords = self.offers.iter().filter_map(|offer| offer.split_ascii_whitespace().next());
        keywords.any(|keyword| keyword.eq_ignore_ascii_case(extension))
    }

    /// Starts a message. `parameters` stand behind the address, each with a space before it.
    pub async fn mail(&mut self, sender: &str, parameters: &str) -> Result<(), CheckError> {
        self.command(&format!("MAIL FROM:<{sender}>{parameters}"), 250).await.map(drop)
    }

    /// Names one recipient of the message.
    pub async fn recipient(&mut self, address: &str) -> Result<(), CheckError> {
        self.send(format!("RCPT TO:<{address}>\r\n").as_bytes()).await?;
        match self.read().await? {
            // Forwarded, or accepted without knowing the address.
            (251 | 252, _) => Ok(()),
            (code, _) => protocol::judge(&self.target, code, 250),
        }
    }

    /// Requests to send the message, which the server may refuse.
    pub async fn data(&mut self) -> Result<(), CheckError> {
        self.command("DATA", 354).await.map(drop)
    }

    /// Sends the message after [`data`](Self::data), and returns once the server has taken it.
    pub async fn message(&mut self, message: &str) -> Result<(), CheckError> {
        self.send(protocol::dot_stuffed(message).as_bytes()).await?;
        self.reply(250).await.map(drop)
    }

    /// Sends one line and returns the texts of the reply, which must have this code.
    async fn command(&mut self, line: &str, expected: u16) -> Result<Vec<String>, CheckError> {
        self.send(format!("{line}\r\n").as_bytes()).await?;
        self.reply(expected).await
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), CheckError> {
        self.stream.write_all(bytes).await.map_err(|error| self.io_error(&error))?;
        self.stream.flush().await.map_err(|error| self.io_error(&error))
    }

    /// Reads a reply, which must have this code.
    pub async fn reply(&mut self, expected: u16) -> Result<Vec<String>, CheckError> {
        let (code, texts) = self.read().await?;
        protocol::judge(&self.target, code, expected).map(|()| texts)
    }

    /// Reads a reply: lines of one code, each but the last marked as continued.
    async fn read(&mut self) -> Result<(u16, Vec<String>), CheckError> {
        let mut texts = Vec::new();
        let mut first = None;
        loop {
            let line = self.line().await?;
            let line = protocol::parse(&line).filter(|line| *first.get_or_insert(line.code) == line.code);
            let Line { code, last, text } = line.ok_or_else(|| self.protocol())?;
            texts.push(text);
            if last {
                return Ok((code, texts));
            }
        }
    }

    /// A line with its end; its length is bounded by the budget of the stream.
    async fn line(&mut self) -> Result<Vec<u8>, CheckError> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await.map_err(|error| self.io_error(&error))?;
        match line.ends_with(b"\n") {
            true => Ok(line),
            false => Err(CheckError::Closed { target: self.target.clone(), phase: self.context.phase() }),
        }
    }

    /// STARTTLS. Bytes that came before the handshake are not authenticated: they must not be taken for a reply.
    pub async fn start_tls(mut self, host: &str, port: u16, tls: &Tls) -> Result<Self, CheckError> {
        if !self.offers("STARTTLS") {
            return Err(self.rejected("it does not offer STARTTLS"));
        }
        self.command("STARTTLS", 220).await?;
        if !self.stream.buffer().is_empty() {
            return Err(self.protocol());
        }
        let stream = match self.stream.into_inner().into_inner() {
            Stream::Plain(tcp) => {
                let secured = net::secure(self.context, tcp, host, port, tls).await?;
                Stream::Tls(Box::new(secured))
            }
            encrypted => encrypted,
        };
        Ok(Self { stream: BufReader::new(Limited::new(stream, self.budget.clone())), ..self })
    }

    /// Authenticates by the first offered mechanism that succeeds, in smtplib's order: some servers offer CRAM-MD5 for
    /// accounts whose passwords they know only as hashes, so that PLAIN succeeds after it has failed.
    pub async fn authenticate(&mut self, user: &str, password: &str) -> Result<(), CheckError> {
        let offered = protocol::mechanisms(&self.offers);
        let is_offered = |mechanism: &Mechanism| offered.iter().any(|name| name.eq_ignore_ascii_case(mechanism.name()));
        let mechanisms: Vec<Mechanism> = Mechanism::IN_ORDER.into_iter().filter(is_offered).collect();
        let mut failure = self.rejected("it offers none of AUTH CRAM-MD5, PLAIN and LOGIN on this connection");
        for mechanism in mechanisms {
            match self.authenticate_by(mechanism, user, password).await {
                Ok(()) => return Ok(()),
                Err(error) if protocol::is_refusal(&error) => failure = error,
                Err(error) => return Err(error),
            }
        }
        Err(failure)
    }

    async fn authenticate_by(&mut self, mechanism: Mechanism, user: &str, password: &str) -> Result<(), CheckError> {
        match mechanism {
            Mechanism::CramMd5 => {
                let challenge = self.command("AUTH CRAM-MD5", 334).await?.concat();
                let challenge = BASE64.decode(challenge.trim()).map_err(|_| self.protocol())?;
                let digest = protocol::hmac_md5(password.as_bytes(), &challenge);
                self.command(&BASE64.encode(format!("{user} {digest}")), 235).await?;
            }
            Mechanism::Plain => {
                let initial = BASE64.encode(format!("\0{user}\0{password}"));
                self.command(&format!("AUTH PLAIN {initial}"), 235).await?;
            }
            Mechanism::Login => {
                self.command("AUTH LOGIN", 334).await?;
                self.command(&BASE64.encode(user), 334).await?;
                self.command(&BASE64.encode(password), 235).await?;
            }
        }
        Ok(())
    }

    /// Ends the session. The result is known: a server that closes the connection first is healthy as well.
    pub async fn close(mut self) {
        if self.command("QUIT", 221).await.is_ok() {
            self.stream.shutdown().await.ok();
        }
    }

    fn io_error(&self, error: &std::io::Error) -> CheckError {
        net::io_error(&self.target, self.context.phase(), error)
    }

    fn protocol(&self) -> CheckError {
        CheckError::Protocol { target: self.target.clone(), expected: "SMTP".into() }
    }

    fn rejected(&self, reason: &'static str) -> CheckError {
        CheckError::Rejected { target: self.target.clone(), reason: reason.into() }
    }
}
