//! An SMTP server that accepts the login: EHLO, STARTTLS or implicit TLS, AUTH, QUIT. No mail is sent.

mod spec;

use async_trait::async_trait;

use crate::checks::{Check, fields};
use crate::model::{CheckError, Finding, Phase, SpecError};
use crate::net::smtp::SmtpServer;
use crate::runtime::Context;
pub use spec::SmtpCheck;

#[async_trait]
impl Check for SmtpCheck {
    fn validate(&self) -> Result<(), SpecError> {
        fields::host("host", &self.host)?;
        fields::port("port", self.port)?;
        self.local_hostname.as_deref().map_or(Ok(()), |name| fields::host("local_hostname", name))
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let server = self.server();
        let session = server.open(context).await?;
        context.enter(Phase::Close);
        session.close().await;

        let target = server.target();
        let (message, authentication) = match server.credentials() {
            Some(_) => (format!("{target} accepted the login"), "successful"),
            None => (format!("Connected to {target}"), "not configured"),
        };
        Ok(Finding::healthy(message)
            .with("host", self.host.as_str())
            .with("port", server.port())
            .with("authentication", authentication))
    }
}

impl SmtpCheck {
    /// The server that it names, for whatever is done there.
    pub fn server(&self) -> SmtpServer<'_> {
        SmtpServer {
            host: &self.host,
            port: self.port,
            username: self.username.as_deref(),
            password: self.password.as_ref(),
            security: self.security,
            local_hostname: self.local_hostname.as_deref(),
            tls: &self.tls,
        }
    }
}
