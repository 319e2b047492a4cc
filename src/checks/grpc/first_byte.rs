//! Notices what a server that hangs up has said first: its answer and the end of the connection race.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::task::{Context as Task, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The first byte that HTTP/2 says: of the length of its settings, which are far shorter than 64 KiB.
const OF_SETTINGS: u16 = 0;
/// Nothing was read yet: no byte has this value.
const NONE: u16 = u16::MAX;

/// What a server has said first, as far as it is known.
#[derive(Clone)]
pub struct FirstByte(Arc<AtomicU16>);

impl FirstByte {
    /// Whether the server has said something, and not in HTTP/2.
    pub fn is_foreign(&self) -> bool {
        !matches!(self.0.load(Ordering::Relaxed), NONE | OF_SETTINGS)
    }

    fn note(&self, bytes: &[u8]) {
        if let (Some(byte), NONE) = (bytes.first(), self.0.load(Ordering::Relaxed)) {
            self.0.store(u16::from(*byte), Ordering::Relaxed);
        }
    }
}

/// `stream`, and what was read from it first. What a server said before it refused to read is read then.
pub struct Noting<S> {
    stream: S,
    first: FirstByte,
}

impl<S> Noting<S> {
    pub fn new(stream: S) -> (Self, FirstByte) {
        let first = FirstByte(Arc::new(AtomicU16::new(NONE)));
        (Self { stream, first: first.clone() }, first)
    }
}

impl<S: AsyncRead + Unpin> Noting<S> {
    fn look<T>(&mut self, task: &mut Task<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if matches!(polled, Poll::Ready(Err(_))) {
            let mut byte = [0];
            let mut buffer = ReadBuf::new(&mut byte);
            // Nothing is read from the stream after this.
            let _ = Pin::new(&mut self.stream).poll_read(task, &mut buffer);
            self.first.note(buffer.filled());
        }
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noting<S> {
    fn poll_read(self: Pin<&mut Self>, task: &mut Task<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, first } = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(stream).poll_read(task, buffer);
        first.note(buffer.filled().get(before..).unwrap_or_default());
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Noting<S> {
    fn poll_write(self: Pin<&mut Self>, task: &mut Task<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(task, bytes);
        this.look(task, polled)
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_flush(task);
        this.look(task, polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(task)
    }
}
