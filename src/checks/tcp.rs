//! A TCP port that accepts connections, and completes a TLS handshake where that is configured.

use crate::net::Tls;
use async_trait::async_trait;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;

use super::fields;
use crate::checks::Check;
use crate::model::{CheckError, Finding, Phase, SpecError};
use crate::net;
use crate::runtime::Context;

/// A TCP connection, and with `tls` a handshake, succeeds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpCheck {
    pub host: String,
    pub port: u16,
    #[serde(default)]
    pub tls: Option<Tls>,
}

#[async_trait]
impl Check for TcpCheck {
    fn validate(&self) -> Result<(), SpecError> {
        fields::host("host", &self.host)?;
        fields::port("port", Some(self.port))
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let TcpCheck { host, port, tls } = self;
        let stream = net::connect(context, host, *port).await?;
        if let Some(tls) = tls {
            let mut stream = net::secure(context, stream, host, *port, tls).await?;
            context.enter(Phase::Close);
            // The handshake is the answer: a server that has closed the connection already is healthy as well.
            stream.shutdown().await.ok();
        }
        let message = format!("{} accepts connections", net::target(host, *port));
        Ok(Finding::healthy(message).with("host", host.as_str()).with("port", *port))
    }
}
