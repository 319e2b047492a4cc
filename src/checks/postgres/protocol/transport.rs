//! The bytes of a PostgreSQL session, on which only PostgreSQL's messages pass.

use std::future::Ready;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context as Task, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use super::frames::Frames;
use crate::model::{CheckError, Phase};
use crate::net::{self, Stream};

/// "Authentication ok": what tokio-postgres reads first on a connection that is logged in.
const AUTHENTICATION_OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";

/// Why a session ended; set once, by the first to see it.
pub type SessionError = Arc<OnceLock<CheckError>>;

/// A connection that only PostgreSQL's messages pass.
pub struct Transport {
    stream: Stream,
    target: String,
    frames: Frames,
    error: SessionError,
    /// The next message that is written is a start-up message that the server has had already.
    skips_startup: bool,
    /// What is read before anything of the server's.
    replayed: &'static [u8],
}

impl Transport {
    pub fn new(stream: Stream, target: String) -> Self {
        Self {
            stream,
            target,
            frames: Frames::default(),
            error: SessionError::default(),
            skips_startup: false,
            replayed: b"",
        }
    }

    pub fn error(&self) -> SessionError {
        self.error.clone()
    }

    pub fn is_encrypted(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// What binds a login to the server's certificate; `None` without TLS, or where its signature has no hash.
    pub fn end_point(&self) -> Option<Vec<u8>> {
        let Stream::Tls(stream) = &self.stream else { return None };
        net::end_point(stream.get_ref().1.peer_certificates()?.first()?)
    }

    /// Hands a connection that is logged in to tokio-postgres, which knows only how to start one: its start-up message
    /// is dropped, and answered here.
    pub fn replay_login(&mut self) {
        self.skips_startup = true;
        self.replayed = AUTHENTICATION_OK;
    }

    fn fails(&self, error: &io::Error) {
        let phase = if self.frames.ready { Phase::Query } else { Phase::Authenticate };
        self.error.set(net::io_error(&self.target, phase, error)).ok();
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, task: &mut Task<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.replayed.is_empty() {
            let (now, later) = this.replayed.split_at(this.replayed.len().min(buffer.remaining()));
            buffer.put_slice(now);
            this.replayed = later;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        if let Err(error) = ready!(Pin::new(&mut this.stream).poll_read(task, buffer)) {
            this.fails(&error);
            return Poll::Ready(Err(error));
        }
        let followed = match buffer.filled().get(before..).unwrap_or_default() {
            [] => {
                this.fails(&io::ErrorKind::UnexpectedEof.into());
                return Poll::Ready(Ok(()));
            }
            bytes => this.frames.follow(bytes),
        };
        Poll::Ready(followed.map_err(|stray| {
            this.error.set(stray.error(this.target.clone())).ok();
            io::ErrorKind::InvalidData.into()
        }))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, task: &mut Task<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.skips_startup) {
            return Poll::Ready(Ok(data.len()));
        }
        let written = ready!(Pin::new(&mut this.stream).poll_write(task, data));
        Poll::Ready(written.inspect_err(|error| this.fails(error)))
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = ready!(Pin::new(&mut this.stream).poll_flush(task));
        Poll::Ready(flushed.inspect_err(|error| this.fails(error)))
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(task)
    }
}

/// The TLS handshake is done before tokio-postgres gets the connection; this says so.
pub struct Secured;

impl<S: TlsStream + Unpin> TlsConnect<S> for Secured {
    type Stream = S;
    type Error = io::Error;
    type Future = Ready<io::Result<S>>;

    fn connect(self, stream: S) -> Self::Future {
        std::future::ready(Ok(stream))
    }
}

/// A connection that is written to and then kept: its user cannot close it.
pub struct Lent<'a>(pub &'a mut Transport);

impl AsyncRead for Lent<'_> {
    fn poll_read(self: Pin<&mut Self>, task: &mut Task<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().0).poll_read(task, buffer)
    }
}

impl AsyncWrite for Lent<'_> {
    fn poll_write(self: Pin<&mut Self>, task: &mut Task<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.get_mut().0).poll_write(task, data)
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().0).poll_flush(task)
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(task)
    }
}

impl TlsStream for Lent<'_> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

/// Logins are bound to the certificate before tokio-postgres gets the connection.
impl TlsStream for Transport {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}
