//! Notices what a server that hangs up has said first: its answer and the end of the connection race.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::task::{Context as Task, Poll, ready};

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
    /// Why the server takes nothing any more, until what it said before is read.
    refused: Option<io::Error>,
}

impl<S> Noting<S> {
    pub fn new(stream: S) -> (Self, FirstByte) {
        let first = FirstByte(Arc::new(AtomicU16::new(NONE)));
        (Self { stream, first: first.clone(), refused: None }, first)
    }
}

impl<S: AsyncRead + Unpin> Noting<S> {
    /// What a write came to; one that failed since the server has hung up has come to that once the first of what it said is read.
    fn written<T>(&mut self, task: &mut Task<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let Poll::Ready(Err(error)) = polled else { return polled };
        let has_hung_up = matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset);
        if has_hung_up && self.poll_first(task).is_pending() {
            self.refused = Some(error);
            return Poll::Pending;
        }
        Poll::Ready(Err(error))
    }

    /// Reads the first byte. Nothing is read from the stream after this.
    fn poll_first(&mut self, task: &mut Task<'_>) -> Poll<()> {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        // That it was reset is known.
        let _: io::Result<()> = ready!(Pin::new(&mut self.stream).poll_read(task, &mut buffer));
        self.first.note(buffer.filled());
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noting<S> {
    fn poll_read(self: Pin<&mut Self>, task: &mut Task<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, first, .. } = self.get_mut();
        let before = buffer.filled().len();
        let polled = Pin::new(stream).poll_read(task, buffer);
        first.note(buffer.filled().get(before..).unwrap_or_default());
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Noting<S> {
    fn poll_write(self: Pin<&mut Self>, task: &mut Task<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = match this.refused.take() {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut this.stream).poll_write(task, bytes),
        };
        this.written(task, polled)
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = match this.refused.take() {
            Some(error) => Poll::Ready(Err(error)),
            None => Pin::new(&mut this.stream).poll_flush(task),
        };
        this.written(task, polled)
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(task)
    }
}
