//! Resolve, connect and TLS for every network check: one way to reach a server, and one way to name what failed.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::checks::Context;
use crate::outcome::{CheckError, Phase};
use crate::process::Process;
use crate::spec::Tls;

/// A connection to a server, encrypted or not.
pub enum Stream {
    Plain(TcpStream),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Resolves `host` and connects to the first of its addresses that answers. No deadline of its own: the slot has one.
pub async fn connect(context: &Context, host: &str, port: u16) -> Result<TcpStream, CheckError> {
    context.enter(Phase::Resolve);
    let addresses: Vec<_> = tokio::net::lookup_host((host, port))
        .await
        .map_err(|_| CheckError::NameResolution { host: host.to_owned() })?
        .collect();
    context.enter(Phase::Connect);
    let target = format!("{host}:{port}");
    TcpStream::connect(&*addresses).await.map_err(|error| io_error(&target, Phase::Connect, &error))
}

/// Connects to a Unix socket.
#[cfg(unix)]
pub async fn connect_unix(context: &Context, path: &Path) -> Result<tokio::net::UnixStream, CheckError> {
    context.enter(Phase::Connect);
    tokio::net::UnixStream::connect(path)
        .await
        .map_err(|error| io_error(&path.display().to_string(), Phase::Connect, &error))
}

/// The TLS handshake on an open connection.
pub async fn secure(
    context: &Context,
    stream: TcpStream,
    host: &str,
    port: u16,
    tls: &Tls,
) -> Result<TlsStream<TcpStream>, CheckError> {
    context.enter(Phase::Tls);
    let target = format!("{host}:{port}");
    let name = rustls_pki_types::ServerName::try_from(host.to_owned())
        .map_err(|_| CheckError::Tls { target: target.clone(), reason: "the host is no valid server name".into() })?;
    let config = tls_config(&context.process, tls)?;
    tokio_rustls::TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|error| io_error(&target, Phase::Tls, &error))
}

/// The TLS configuration for these options, made once per process (the first costs 8-10 ms).
pub fn tls_config(_process: &Process, _tls: &Tls) -> Result<Arc<ClientConfig>, CheckError> {
    Err(CheckError::Configuration("TLS is not written yet".into()))
}

/// What an I/O error on a connection to `target` means, in our words.
pub fn io_error(target: &str, phase: Phase, error: &io::Error) -> CheckError {
    let target = target.to_owned();
    match error.kind() {
        io::ErrorKind::ConnectionRefused => CheckError::Refused { target },
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => CheckError::Closed { target, phase },
        kind => CheckError::Unreachable { target, reason: kind.to_string().into() },
    }
}

macro_rules! each {
    ($stream:expr, $inner:ident => $body:expr) => {
        match $stream {
            Stream::Plain($inner) => $body,
            #[cfg(unix)]
            Stream::Unix($inner) => $body,
            Stream::Tls($inner) => $body,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, task: &mut Task<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_read(task, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, task: &mut Task<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_write(task, data))
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_flush(task))
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_shutdown(task))
    }
}
