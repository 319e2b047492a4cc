//! A session with an SMTP server: connected, encrypted and authenticated as the settings say.

mod protocol;
mod session;

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use serde::Deserialize;
use tokio::time::timeout;

use super::{NOT_TLS, Stream, Tls, Verify};
use crate::model::{CheckError, Phase, Secret};
use crate::net;
use crate::runtime::Context;
pub use session::SmtpSession;

/// How long to wait for a greeting before trying whether the port speaks TLS instead.
const SILENCE: Duration = Duration::from_millis(400);
/// The port of servers among each other, where some hold back the greeting to catch clients that do not wait for it.
const SERVER_PORT: u16 = 25;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpSecurity {
    None,
    Starttls,
    Tls,
}

/// An SMTP server, and how to log in to it.
pub struct SmtpServer<'a> {
    pub host: &'a str,
    pub port: Option<u16>,
    pub username: Option<&'a str>,
    pub password: Option<&'a Secret>,
    pub security: SmtpSecurity,
    /// The name to greet with; without it the address of this end of the connection.
    pub local_hostname: Option<&'a str>,
    pub tls: &'a Tls,
}

impl SmtpServer<'_> {
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.security {
            SmtpSecurity::None => SERVER_PORT,
            SmtpSecurity::Starttls => 587,
            SmtpSecurity::Tls => 465,
        })
    }

    /// `host:port` as it stands in messages.
    pub fn target(&self) -> String {
        net::target(self.host, self.port())
    }

    /// User and password, where both are set.
    pub fn credentials(&self) -> Option<(&str, &Secret)> {
        let user = self.username.filter(|user| !user.is_empty())?;
        self.password.filter(|password| !password.is_empty()).map(|password| (user, password))
    }

    /// Connects, greets, encrypts and authenticates.
    pub async fn open<'c>(&self, context: &'c Context) -> Result<SmtpSession<'c>, CheckError> {
        let (host, port, target) = (self.host, self.port(), self.target());
        let tcp = net::connect(context, host, port).await?;
        let local = tcp.local_addr().map_err(|error| net::io_error(&target, Phase::Connect, &error))?.ip();
        let name = self.local_hostname.map_or_else(|| protocol::address_literal(local), str::to_owned);
        let stream = match self.security {
            SmtpSecurity::Tls => {
                let secured = net::secure(context, tcp, host, port, self.tls).await;
                Stream::Tls(Box::new(secured.map_err(use_starttls)?))
            }
            SmtpSecurity::None | SmtpSecurity::Starttls => Stream::Plain(tcp),
        };
        let mut session = SmtpSession::new(context, target, stream);
        context.enter(Phase::Query);
        if self.security == SmtpSecurity::Tls || port == SERVER_PORT {
            session.reply(220).await?;
        } else {
            greeting(context, &mut session, host, port).await?;
        }
        session.ehlo(&name).await?;
        if self.security == SmtpSecurity::Starttls {
            session = session.start_tls(host, port, self.tls).await?;
            context.enter(Phase::Query);
            // Requested again: what was offered before the handshake may have been tampered with.
            session.ehlo(&name).await?;
        }
        if let Some((user, password)) = self.credentials() {
            context.enter(Phase::Authenticate);
            session.authenticate(user, password.expose()).await?;
        }
        Ok(session)
    }
}

/// Waits for the greeting. A server that is silent may be waiting itself, for a TLS handshake: a second connection shows
/// it, since both would wait until the deadline otherwise.
async fn greeting(context: &Context, session: &mut SmtpSession<'_>, host: &str, port: u16) -> Result<(), CheckError> {
    let mut reply = pin!(session.reply(220));
    if let Ok(reply) = timeout(SILENCE, &mut reply).await {
        return reply.map(drop);
    }
    match select(reply, pin!(speaks_tls(context, host, port))).await {
        Either::Left((reply, _)) => reply.map(drop),
        Either::Right((true, _)) => Err(CheckError::Tls {
            target: net::target(host, port),
            reason: "this port speaks TLS from the first byte: use implicit TLS (`security=\"tls\"`, in Django EMAIL_USE_SSL)".into(),
        }),
        Either::Right((false, reply)) => reply.await.map(drop),
    }
}

async fn speaks_tls(context: &Context, host: &str, port: u16) -> bool {
    let unverified = Tls { verify: Verify::Nothing, ..Tls::default() };
    // The run is still waiting for the greeting.
    let context = context.beside();
    let Ok(tcp) = net::connect(&context, host, port).await else { return false };
    match net::secure(&context, tcp, host, port, &unverified).await {
        Ok(_) => true,
        Err(CheckError::Tls { reason, .. }) => reason != NOT_TLS,
        Err(_) => false,
    }
}

/// Says what to configure where a server greeted a TLS handshake in plain text.
fn use_starttls(error: CheckError) -> CheckError {
    match error {
        CheckError::Tls { target, reason } if reason == NOT_TLS => {
            let reason = "the server does not speak TLS from the first byte: use STARTTLS (`security=\"starttls\"`, in Django EMAIL_USE_TLS)".into();
            CheckError::Tls { target, reason }
        }
        other => other,
    }
}
