//! Mail over SMTP: one message for each notice, to all recipients, with the incident as one thread.
//!
//! It is delivered as soon as the server takes it for one recipient; the answer names the others. Where none is taken, it
//! is refused if all were refused for good. Up to the end of its text nothing has arrived; after it, without the
//! server's reply, it may have.

mod address;
mod compose;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use tokio::time::{timeout, timeout_at};

use self::address::Mailbox;
use self::compose::{Letter, compose};
use super::answer::{failed, timed_out};
use super::{Attempt, Channel};
use crate::checks::{Check, SmtpCheck};
use crate::model::{CheckError, Notice, Phase, SpecError};
use crate::net::smtp::SmtpSession;
use crate::runtime::Context;

/// As many recipients of one message as every server takes.
const MAX_RECIPIENTS: usize = 50;
/// How long the server's reply to QUIT is waited for once the result is known.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Recipients of mail, and the server that takes it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailSpec {
    /// `"ops@example.org"`, or with a name: `"On call <ops@example.org>"`.
    pub to: Vec<String>,
    /// The sender, likewise.
    pub from: String,
    /// The SMTP server, with the fields of the check of that kind.
    pub server: SmtpCheck,
}

impl MailSpec {
    pub fn build(self, name: &str) -> Result<MailChannel, SpecError> {
        let Self { to, from, server } = self;
        if !(1..=MAX_RECIPIENTS).contains(&to.len()) {
            let given = to.len();
            return Err(SpecError(format!("to must be a list of 1 to {MAX_RECIPIENTS} addresses, not of {given}")));
        }
        server.validate().map_err(|error| SpecError(format!("server.{error}")))?;
        let to = to.iter().enumerate().map(|(number, text)| Mailbox::parse(&format!("to[{number}]"), text));
        let (from, to) = (Mailbox::parse("from", &from)?, to.collect::<Result<_, _>>()?);
        Ok(MailChannel { name: name.to_owned(), from, to, server })
    }
}

pub struct MailChannel {
    name: String,
    from: Mailbox,
    to: Vec<Mailbox>,
    server: SmtpCheck,
}

#[async_trait]
impl Channel for MailChannel {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, context: &Context, notice: &Notice, reference: Option<&str>) -> Attempt {
        let is_sent = AtomicBool::new(false);
        let exchange = self.exchange(context, notice, reference, &is_sent);
        match timeout_at(context.deadline(), exchange).await {
            Ok(result) => result.unwrap_or_else(|attempt| attempt),
            Err(_elapsed) => timed_out(context, is_sent.load(Ordering::Relaxed)),
        }
    }
}

impl MailChannel {
    /// Sends the message; `is_sent` is set before its text is. An attempt that ended before is an error.
    async fn exchange(
        &self,
        context: &Context,
        notice: &Notice,
        reference: Option<&str>,
        is_sent: &AtomicBool,
    ) -> Result<Attempt, Attempt> {
        let server = self.server.server();
        let mut session = server.open(context).await.map_err(|error| login_failed(&error))?;
        context.enter(Phase::Query);
        let takes_utf8 = session.offers("SMTPUTF8");
        if self.from.needs_utf8() && !takes_utf8 {
            let answer = "the server does not offer SMTPUTF8, which the address of the sender needs".to_owned();
            return Err(Attempt::Refused { answer });
        }
        let (to, beyond): (Vec<&Mailbox>, Vec<&Mailbox>) =
            self.to.iter().partition(|recipient| takes_utf8 || !recipient.needs_utf8());
        let shown: Vec<Mailbox> = to.iter().map(|recipient| (*recipient).clone()).collect();
        let letter = compose(&self.from, &shown, notice, reference, session.offers("8BITMIME"));
        let mut parameters = String::new();
        let needs_utf8 = self.from.needs_utf8() || to.iter().any(|recipient| recipient.needs_utf8());
        if letter.is_8bit || needs_utf8 {
            parameters += " BODY=8BITMIME";
        }
        if needs_utf8 {
            parameters += " SMTPUTF8";
        }
        session.mail(&self.from.address(), &parameters).await.map_err(|error| judge(&error, false))?;
        let mut refused = Refusals::default();
        for recipient in beyond {
            refused.add(recipient, "the server does not offer SMTPUTF8", false);
        }
        for recipient in to {
            if let Err(error) = session.recipient(&recipient.address()).await {
                refused.note(recipient, &error)?;
            }
        }
        if refused.texts.len() == self.to.len() {
            finish(context, session).await;
            return Err(refused.attempt());
        }
        session.data().await.map_err(|error| judge(&error, false))?;
        is_sent.store(true, Ordering::Relaxed);
        session.message(&letter.text).await.map_err(|error| judge(&error, true))?;
        finish(context, session).await;
        Ok(delivered(letter, reference, &refused))
    }
}

fn delivered(letter: Letter, reference: Option<&str>, refused: &Refusals) -> Attempt {
    let answer = match refused.texts.as_slice() {
        [] => "250".to_owned(),
        texts => format!("250, but not to {}", texts.join(", ")),
    };
    Attempt::Delivered { answer, reference: Some(reference.map_or(letter.id, str::to_owned)) }
}

/// Ends a session whose result is known.
async fn finish(context: &Context, session: SmtpSession<'_>) {
    context.enter(Phase::Close);
    timeout(CLOSE_TIMEOUT.min(context.time_left() / 2), session.close()).await.ok();
}

/// The recipients that the server does not take.
#[derive(Default)]
struct Refusals {
    texts: Vec<String>,
    may_be_taken_later: bool,
}

impl Refusals {
    fn add(&mut self, recipient: &Mailbox, reason: &str, later: bool) {
        self.texts.push(format!("{} ({reason})", recipient.address()));
        self.may_be_taken_later |= later;
    }

    /// Notes a refusal; any other error ends the attempt.
    fn note(&mut self, recipient: &Mailbox, error: &CheckError) -> Result<(), Attempt> {
        let (reason, later) = match error {
            CheckError::Rejected { reason, .. } => (reason, false),
            CheckError::Unavailable { reason, .. } if reason != "SMTP reply 421" => (reason, true),
            other => return Err(judge(other, false)),
        };
        self.add(recipient, reason, later);
        Ok(())
    }

    /// What it means that no recipient is left.
    fn attempt(&self) -> Attempt {
        let answer = format!("no recipient was accepted: {}", self.texts.join(", "));
        match self.may_be_taken_later {
            true => Attempt::Failed { answer, retry_after: None, may_have_arrived: false },
            false => Attempt::Refused { answer },
        }
    }
}

/// What an error before the message means: only the login can be refused for good, since a server that is full also
/// refuses to talk.
fn login_failed(error: &CheckError) -> Attempt {
    match error.code() {
        "AuthenticationError" => Attempt::Refused { answer: format!("{}: {error}", error.code()) },
        _ => failed(error, false),
    }
}

/// What an error of the message means.
fn judge(error: &CheckError, is_sent: bool) -> Attempt {
    match error.code() {
        "RequestRejectedError" | "AuthenticationError" => {
            Attempt::Refused { answer: format!("{}: {error}", error.code()) }
        }
        "UnavailableError" => failed(error, false),
        _ => failed(error, is_sent),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn channel(fields: Value) -> Result<MailChannel, String> {
        serde_json::from_value::<MailSpec>(fields).unwrap().build("mail").map_err(|error| error.0)
    }

    #[test]
    fn spec_each_form() {
        let server = json!({"url": "smtp://127.0.0.1:25"});
        let fields = json!({"to": ["ops@example.org", "B <b@example.org>"], "from": "a@b", "server": server});
        assert_eq!(channel(fields).unwrap().to.len(), 2);
        for (to, from, host, said) in [
            (json!([]), "a@b", "h", "to must be a list of 1 to 50 addresses, not of 0"),
            (json!(["a@b", "b"]), "a@b", "h", "to[1] must be an address of mail such as"),
            (json!(["a@b"]), "shop", "h", "from must be an address of mail such as"),
            (
                json!(["a@b"]),
                "a@b",
                "a b",
                "server.host must be a host name or an address, without spaces, '/', '@', '?' and '#'",
            ),
        ] {
            let fields = json!({"to": to, "from": from, "server": {"host": host, "security": "none"}});
            let error = channel(fields).err().unwrap();
            assert!(error.starts_with(said), "{error}");
        }
    }

    #[test]
    fn reply_of_the_server() {
        let error = |make: fn(String) -> CheckError| make("mail:25".to_owned());
        let rejected = error(|target| CheckError::Rejected { target, reason: "SMTP reply 554".into() });
        let busy = error(|target| CheckError::Unavailable { target, reason: "SMTP reply 452".into() });
        let closed = error(|target| CheckError::Closed { target, phase: Phase::Query });
        let login = error(|target| CheckError::Authentication { target, reason: "SMTP reply 535".into() })
            .with("authentication", "failed");
        let refused = |attempt| matches!(attempt, Attempt::Refused { .. });
        let retried = |attempt| match attempt {
            Attempt::Failed { may_have_arrived, .. } => Some(may_have_arrived),
            _ => None,
        };
        assert!(refused(judge(&rejected, true)) && refused(login_failed(&login)));
        assert_eq!(retried(login_failed(&rejected)), Some(false));
        assert_eq!(retried(judge(&busy, true)), Some(false));
        assert_eq!(retried(judge(&closed, false)), Some(false));
        assert_eq!(retried(judge(&closed, true)), Some(true));
    }
}
