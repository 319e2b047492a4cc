//! The certificate of a TLS server: who it is for, whether it is trusted, how long it is valid.

mod judge;
mod starttls;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;

use super::fields;
use crate::checks::Check;
use crate::model::{CheckError, Finding, Phase, SpecError};
use crate::net::{self, Limited, ReadBudget, Tls};
use crate::runtime::Context;
use judge::{Days, judge};
use starttls::start_tls;

/// What a server may send per run, in bytes: a chain of certificates takes some kilobytes.
const LIMIT: usize = 256 * 1024;

/// The protocol in which TLS is started, where it does not start with the first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartTls {
    Smtp,
    Imap,
    Pop3,
    Postgres,
}

/// The server's certificate is trusted, valid for its name, and valid for some time: fewer than `degraded_days` (30)
/// are degraded, fewer than `error_days` (7) an error.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsCertificateCheck {
    pub host: String,
    /// Default 443; with `starttls` 587 (smtp), 143 (imap), 110 (pop3) or 5432 (postgres).
    #[serde(default)]
    pub port: Option<u16>,
    /// The name that is sent to the server, and that the certificate must be valid for. Default: `host`.
    #[serde(default)]
    pub server_name: Option<String>,
    #[serde(default = "degraded_days")]
    pub degraded_days: u32,
    #[serde(default = "error_days")]
    pub error_days: u32,
    /// The protocol that starts TLS by a command. Default: TLS starts with the first byte.
    #[serde(default)]
    pub starttls: Option<StartTls>,
    #[serde(default)]
    pub tls: Tls,
}

#[async_trait]
impl Check for TlsCertificateCheck {
    fn validate(&self) -> Result<(), SpecError> {
        fields::host("host", &self.host)?;
        fields::port("port", self.port)?;
        if let Some(name) = &self.server_name {
            fields::host("server_name", name)?;
        }
        if self.error_days > self.degraded_days {
            let (error, degraded) = (self.error_days, self.degraded_days);
            return Err(SpecError(format!("error_days ({error}) must not be more than degraded_days ({degraded})")));
        }
        Ok(())
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let port = self.port.unwrap_or(match self.starttls {
            None => 443,
            Some(StartTls::Smtp) => 587,
            Some(StartTls::Imap) => 143,
            Some(StartTls::Pop3) => 110,
            Some(StartTls::Postgres) => 5432,
        });
        let target = net::target(&self.host, port);
        let stream = net::connect(context, &self.host, port).await?;
        let mut stream = Limited::new(stream, ReadBudget::new(LIMIT));
        if let Some(protocol) = self.starttls {
            context.enter(Phase::Query);
            start_tls(&mut stream, protocol, &target).await?;
        }
        let name = self.server_name.as_deref().unwrap_or(&self.host);
        let (secured, presented) = net::secure_recorded(context, stream, name, &target, &self.tls, &[]).await;
        let outcome = match secured {
            Ok(mut stream) => {
                context.enter(Phase::Close);
                // The handshake is the answer: a server that has closed the connection already is healthy as well.
                stream.shutdown().await.ok();
                Ok(())
            }
            Err(error) => Err(error),
        };
        let days = Days { degraded: self.degraded_days, error: self.error_days };
        judge(&target, &presented, outcome, days, Timestamp::now())
    }
}

fn degraded_days() -> u32 {
    30
}

fn error_days() -> u32 {
    7
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn validate_wrong_fields_named() {
        for (fields, said) in [
            (json!({"host": ""}), "host must not be empty"),
            (json!({"host": "h", "port": 0}), "port must be from 1 to 65535, not 0"),
            (
                json!({"host": "h", "server_name": "a/b"}),
                "server_name must be a host name or an address, without spaces, '/', '@', '?' and '#'",
            ),
            (json!({"host": "h", "degraded_days": 3}), "error_days (7) must not be more than degraded_days (3)"),
        ] {
            let check: TlsCertificateCheck = serde_json::from_value(fields).unwrap();
            assert_eq!(check.validate().unwrap_err().to_string(), said);
        }
        let check: TlsCertificateCheck = serde_json::from_value(json!({"host": "h", "starttls": "imap"})).unwrap();
        assert_eq!(check.validate(), Ok(()));
    }
}
