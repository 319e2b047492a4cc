//! A TCP port that accepts connections, and completes a TLS handshake where that is asked for.

use async_trait::async_trait;
use tokio::io::AsyncWriteExt;

use crate::checks::{Check, Context};
use crate::net;
use crate::outcome::{CheckError, Finding, Phase};
use crate::spec;

pub struct Connect(pub spec::Tcp);

#[async_trait]
impl Check for Connect {
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let spec::Tcp { host, port, tls } = &self.0;
        let stream = net::connect(context, host, *port).await?;
        if let Some(tls) = tls {
            let mut stream = net::secure(context, stream, host, *port, tls).await?;
            context.enter(Phase::Close);
            // The handshake is the answer; a server that has closed already is none the worse for it.
            stream.shutdown().await.ok();
        }
        let message = format!("{} accepts connections", net::target(host, *port));
        Ok(Finding::healthy(message).with("host", host.as_str()).with("port", *port))
    }
}
