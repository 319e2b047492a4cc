//! Resolve, connect and TLS for every network check: one way to reach a server, and one way to name what failed.

pub mod http;
mod resolve;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::client::TlsStream;

pub use resolve::Resolver;
pub use tls::tls_config;

use crate::checks::Context;
use crate::outcome::{CheckError, Phase};
use crate::spec::Tls;

/// How long an address is waited for before the next one is tried beside it (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);

/// A connection to a server, encrypted or not.
pub enum Stream {
    Plain(TcpStream),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// `host:port` as it stands in messages.
pub fn target(host: &str, port: u16) -> String {
    let host = resolve::bare(host);
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Resolves `host` and connects to the first of its addresses that answers. No deadline of its own: the slot has one.
pub async fn connect(context: &Context, host: &str, port: u16) -> Result<TcpStream, CheckError> {
    context.enter(Phase::Resolve);
    let mut addresses = resolve::lookup(&context.process, host).await?;
    addresses.iter_mut().for_each(|address| address.set_port(port));
    context.enter(Phase::Connect);
    let stream = race(&addresses).await.map_err(|error| io_error(&target(host, port), Phase::Connect, &error))?;
    // Requests are small and answered at once; where it cannot be set, the next read says why.
    stream.set_nodelay(true).ok();
    Ok(stream)
}

/// Tries the addresses in turn, the next one as soon as one fails or stays silent for a stagger. All failed: a refusal
/// says more than the network's errors, since there is a host that answered.
async fn race(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut waiting = addresses.iter();
    let mut attempts = FuturesUnordered::new();
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        match waiting.next() {
            Some(address) => attempts.push(TcpStream::connect(*address)),
            None if attempts.is_empty() => return Err(failure),
            None => {}
        }
        tokio::select! {
            Some(outcome) = attempts.next() => match outcome {
                Ok(stream) => return Ok(stream),
                Err(error) if failure.kind() != io::ErrorKind::ConnectionRefused => failure = error,
                Err(_) => {}
            },
            () = sleep(STAGGER), if waiting.len() > 0 => {}
        }
    }
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
    let target = target(host, port);
    // Certificates know no root dot.
    let name = resolve::ascii(resolve::bare(host)).map(|name| name.trim_end_matches('.').to_owned());
    let name = name
        .and_then(|name| rustls_pki_types::ServerName::try_from(name).ok())
        .ok_or_else(|| CheckError::Tls { target: target.clone(), reason: "the host is no valid server name".into() })?;
    let config = tls_config(&context.process, tls)?;
    tokio_rustls::TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|error| io_error(&target, Phase::Tls, &error))
}

/// What an I/O error on a connection to `target` means, in our words. The operating system's are made from its error
/// number, so that they hold nothing that the server sent.
pub fn io_error(target: &str, phase: Phase, error: &io::Error) -> CheckError {
    let target = target.to_owned();
    if let Some(inner) = error.get_ref() {
        if let Some(error) = inner.downcast_ref::<rustls::Error>() {
            return CheckError::Tls { target, reason: tls::reason(error) };
        }
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            return io_error(&target, phase, error);
        }
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => CheckError::Refused { target },
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => CheckError::Closed { target, phase },
        kind => {
            let system = error.raw_os_error().map(|code| io::Error::from_raw_os_error(code).to_string());
            CheckError::Unreachable { target, reason: system.unwrap_or_else(|| kind.to_string()).into() }
        }
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
