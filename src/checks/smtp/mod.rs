//! An SMTP server that accepts the login: EHLO, STARTTLS or implicit TLS, AUTH, QUIT. No mail is sent.

mod protocol;
mod session;
mod spec;

use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, select};
use tokio::time::timeout;

use crate::checks::{Check, fields};
use crate::model::{CheckError, Finding, Phase, SpecError};
use crate::net::{self, NOT_TLS, Stream, Tls, Verify};
use crate::runtime::Context;
use session::SmtpSession;
pub use spec::{SmtpCheck, SmtpSecurity};

/// How long to wait for a greeting before trying whether the port speaks TLS instead.
const SILENCE: Duration = Duration::from_millis(400);
/// The port of servers among each other, where some hold back the greeting to catch clients that do not wait for it.
const SERVER_PORT: u16 = 25;

#[async_trait]
impl Check for SmtpCheck {
    fn validate(&self) -> Result<(), SpecError> {
        fields::host("host", &self.host)?;
        fields::port("port", self.port)?;
        self.local_hostname.as_deref().map_or(Ok(()), |name| fields::host("local_hostname", name))
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let SmtpCheck { host, username, password, security, tls, .. } = self;
        let port = self.port.unwrap_or(match security {
            SmtpSecurity::None => 25,
            SmtpSecurity::Starttls => 587,
            SmtpSecurity::Tls => 465,
        });
        let target = net::target(host, port);

        let tcp = net::connect(context, host, port).await?;
        let local = tcp.local_addr().map_err(|error| net::io_error(&target, Phase::Connect, &error))?.ip();
        let name = self.local_hostname.clone().unwrap_or_else(|| protocol::address_literal(local));
        let stream = match security {
            SmtpSecurity::Tls => {
                let secured = net::secure(context, tcp, host, port, tls).await;
                Stream::Tls(Box::new(secured.map_err(use_starttls)?))
            }
            SmtpSecurity::None | SmtpSecurity::Starttls => Stream::Plain(tcp),
        };
        let mut session = SmtpSession::new(context, &target, stream);
        context.enter(Phase::Query);
        if *security == SmtpSecurity::Tls || port == SERVER_PORT {
            session.reply(220).await?;
        } else {
            greeting(context, &mut session, host, port).await?;
        }
        let mut offers = session.ehlo(&name).await?;
        if *security == SmtpSecurity::Starttls {
            session = session.start_tls(&offers, host, port, tls).await?;
            context.enter(Phase::Query);
            // Requested again: what was offered before the handshake may have been tampered with.
            offers = session.ehlo(&name).await?;
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
            _ => format!("Connected to {target}"),
        };
        Ok(Finding::healthy(message)
            .with("host", host.as_str())
            .with("port", port)
            .with("authentication", authentication))
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
            reason: "this port speaks TLS from the first byte: use implicit TLS (EMAIL_USE_SSL)".into(),
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
            let reason = "the server does not speak TLS from the first byte: use STARTTLS (EMAIL_USE_TLS)".into();
            CheckError::Tls { target, reason }
        }
        other => other,
    }
}
