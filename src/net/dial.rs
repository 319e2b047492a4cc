//! Resolve, connect and TLS for every network check: one way to reach a server, and one way to name what failed.

use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::limited::BudgetExceeded;
use super::staggered::first_success;
use super::tls::{HandshakeRecord, Presented, Tls, recording_config, tls_config};
use crate::model::{CheckError, Phase};
use crate::runtime::Context;
use crate::runtime::close_on_fork::NotInherited;

/// How long an address is waited for before the next one is tried beside it (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);

/// A TCP connection of this process: a forked child closes its copy, so that the server sees the end of the connection
/// when the parent closes it.
pub type OwnTcp = NotInherited<TcpStream>;

/// A connection to a server, encrypted or not. A forked child closes its copy.
pub enum Stream {
    Plain(OwnTcp),
    #[cfg(unix)]
    Unix(NotInherited<tokio::net::UnixStream>),
    Tls(Box<TlsStream<OwnTcp>>),
}

/// `host:port` as it stands in messages.
pub fn target(host: &str, port: u16) -> String {
    let host = super::resolve::bare(host);
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Resolves `host` and connects to the first of its addresses that answers. No deadline of its own: the slot has one.
pub async fn connect(context: &Context, host: &str, port: u16) -> Result<OwnTcp, CheckError> {
    connect_named(context, host, port, &target(host, port)).await
}

/// The addresses of a server, in the order in which they are to be tried.
pub async fn addresses(context: &Context, host: &str, port: u16) -> Result<Vec<SocketAddr>, CheckError> {
    context.enter(Phase::Resolve);
    let mut addresses = super::resolve::lookup(&context.process, host).await?;
    addresses.iter_mut().for_each(|address| address.set_port(port));
    Ok(addresses)
}

/// As `connect`, for a server that stands as `target` in messages.
pub async fn connect_named(context: &Context, host: &str, port: u16, target: &str) -> Result<OwnTcp, CheckError> {
    let addresses = addresses(context, host, port).await?;
    context.enter(Phase::Connect);
    let stream = race(&addresses).await.map_err(|error| io_error(target, Phase::Connect, &error))?;
    // Requests are small and answered at once; where it cannot be set, the next read says why.
    stream.set_nodelay(true).ok();
    #[cfg(any(target_os = "linux", target_os = "android"))]
    lose_when_unacknowledged(&stream, context.time_left() / 4);
    Ok(stream)
}

/// Has the kernel end the connection once a request is not acknowledged for so long: nothing reaches the server any more,
/// as behind a gateway that was replaced, and there is time for another connection. The kernel of a server that is only
/// slow acknowledges what it gets.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn lose_when_unacknowledged(stream: &TcpStream, after: Duration) {
    // Where it cannot be set, a run ends by its deadline.
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(after)).ok();
}

/// Tries the addresses in turn, the next one as soon as one fails or stays silent for a stagger. All failed: a refusal
/// says more than the network's errors, since there is a host that answered.
async fn race(addresses: &[SocketAddr]) -> io::Result<OwnTcp> {
    let open = async |address: &SocketAddr| TcpStream::connect(*address).await.map(NotInherited::new);
    let attempts = addresses.iter().map(open).collect();
    let says_more = |_: &io::Error, known: &io::Error| known.kind() != io::ErrorKind::ConnectionRefused;
    let found = first_success(attempts, STAGGER, says_more).await;
    found.map_err(|failure| failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}

/// Connects to a Unix socket.
#[cfg(unix)]
pub async fn connect_unix(context: &Context, path: &Path) -> Result<NotInherited<tokio::net::UnixStream>, CheckError> {
    context.enter(Phase::Connect);
    tokio::net::UnixStream::connect(path)
        .await
        .map(NotInherited::new)
        .map_err(|error| io_error(&path.display().to_string(), Phase::Connect, &error))
}

/// The TLS handshake on an open connection.
pub async fn secure(
    context: &Context,
    stream: OwnTcp,
    host: &str,
    port: u16,
    tls: &Tls,
) -> Result<TlsStream<OwnTcp>, CheckError> {
    secure_alpn(context, stream, host, port, tls, &[]).await
}

/// As `secure`, offering application protocols.
pub async fn secure_alpn(
    context: &Context,
    stream: OwnTcp,
    host: &str,
    port: u16,
    tls: &Tls,
    protocols: &[&[u8]],
) -> Result<TlsStream<OwnTcp>, CheckError> {
    secure_named(context, stream, host, &target(host, port), tls, protocols).await
}

/// As `secure_alpn`, on any stream, with a server that stands as `target` in messages.
pub async fn secure_named<S: AsyncRead + AsyncWrite + Unpin>(
    context: &Context,
    stream: S,
    host: &str,
    target: &str,
    tls: &Tls,
    protocols: &[&[u8]],
) -> Result<TlsStream<S>, CheckError> {
    context.enter(Phase::Tls);
    let config = tls_config(&context.process, tls).await?;
    shake_hands(stream, host, target, config, protocols).await
}

/// As `secure_named`, in a full handshake, with what the server presented in it: also where that was refused.
pub async fn secure_recorded<S: AsyncRead + AsyncWrite + Unpin>(
    context: &Context,
    stream: S,
    host: &str,
    target: &str,
    tls: &Tls,
    protocols: &[&[u8]],
) -> (Result<TlsStream<S>, CheckError>, Presented) {
    context.enter(Phase::Tls);
    let record = HandshakeRecord::default();
    let secured = match recording_config(&context.process, tls, record.clone()).await {
        Ok(config) => shake_hands(stream, host, target, config, protocols).await,
        Err(error) => Err(error),
    };
    (secured, record.take())
}

async fn shake_hands<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    host: &str,
    target: &str,
    config: Arc<ClientConfig>,
    protocols: &[&[u8]],
) -> Result<TlsStream<S>, CheckError> {
    // Certificates know no root dot.
    let name = super::resolve::ascii(super::resolve::bare(host)).map(|name| name.trim_end_matches('.').to_owned());
    let name = name.and_then(|name| rustls_pki_types::ServerName::try_from(name).ok());
    let invalid = || CheckError::Tls { target: target.to_owned(), reason: "the host is no valid server name".into() };
    let name = name.ok_or_else(invalid)?;
    tokio_rustls::TlsConnector::from(config)
        .with_alpn(protocols.iter().map(|protocol| protocol.to_vec()).collect())
        .connect(name, stream)
        .await
        .map_err(|error| io_error(target, Phase::Tls, &error))
}

/// What an I/O error on a connection to `target` means, in our words: nothing in them comes from the server.
pub fn io_error(target: &str, phase: Phase, error: &io::Error) -> CheckError {
    let target = target.to_owned();
    if let Some(inner) = error.get_ref() {
        if let Some(error) = inner.downcast_ref::<rustls::Error>() {
            return CheckError::Tls { target, reason: super::tls::reason(error) };
        }
        if let Some(BudgetExceeded { limit }) = inner.downcast_ref() {
            return CheckError::TooLarge { target, limit: *limit };
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
        _ => CheckError::Unreachable { target, reason: super::os_error::text(error).into() },
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn targets_as_they_stand_in_messages() {
        for (host, text) in [("mail.example.org", "mail.example.org:25"), ("::1", "[::1]:25"), ("[::1]", "[::1]:25")] {
            assert_eq!(target(host, 25), text);
        }
    }

    #[tokio::test]
    async fn addresses_are_tried_in_turn() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let answers = listener.local_addr().unwrap();
        let refuses = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        // TEST-NET-1: lost or unreachable, whatever the network here is like.
        let lost: SocketAddr = "192.0.2.1:9".parse().unwrap();
        for addresses in [&[answers][..], &[refuses, answers], &[lost, answers], &[lost, refuses, lost, answers]] {
            assert_eq!(race(addresses).await.unwrap().peer_addr().unwrap(), answers);
        }
        for addresses in [&[refuses][..], &[refuses, refuses]] {
            assert_eq!(race(addresses).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        }
        assert_eq!(race(&[]).await.unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn errors_of_the_system_and_of_tls() {
        let expired = rustls::Error::from(rustls::CertificateError::Expired);
        for (error, code) in [
            (io::ErrorKind::ConnectionRefused.into(), "ConnectionRefusedError"),
            (io::ErrorKind::UnexpectedEof.into(), "ConnectionResetError"),
            (io::ErrorKind::BrokenPipe.into(), "ConnectionResetError"),
            (io::ErrorKind::HostUnreachable.into(), "ConnectionError"),
            (io::Error::other("secret"), "ConnectionError"),
            (io::Error::other(expired.clone()), "TLSError"),
            (io::Error::other(io::Error::other(expired)), "TLSError"),
        ] {
            let found = io_error("host:1", Phase::Query, &error);
            assert_eq!(found.code(), code, "{error:?}");
            assert!(!found.to_string().contains("secret"));
        }
    }
}
