//! A stream on which the answer of a server counts that answers before it has read the request, or without reading it.
//!
//! A server that is full answers as soon as it has accepted, and closes. hyper takes bytes that come before its request for
//! another protocol, and a write that fails for the end of the connection, so it would be chance which of the two, or the
//! answer, is seen. Here nothing is read before the first write, and a write that the server does not read any more
//! succeeds: what follows, the answer or the end, is what the next read finds.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context as Task, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub struct RequestFirst<S> {
    stream: S,
    has_written: bool,
    /// The task that waits to read until there was a write.
    reader: Option<Waker>,
}

impl<S> RequestFirst<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, has_written: false, reader: None }
    }

    pub fn into_inner(self) -> S {
        self.stream
    }
}

/// Whether the other side has closed the connection, as opposed to a fault on the way.
fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted)
}

impl<S: AsyncRead + Unpin> AsyncRead for RequestFirst<S> {
    fn poll_read(self: Pin<&mut Self>, task: &mut Task<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.has_written {
            this.reader = Some(task.waker().clone());
            return Poll::Pending;
        }
        Pin::new(&mut this.stream).poll_read(task, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for RequestFirst<S> {
    fn poll_write(self: Pin<&mut Self>, task: &mut Task<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = match ready!(Pin::new(&mut this.stream).poll_write(task, data)) {
            Err(error) if is_closed(&error) => Ok(data.len()),
            written => written,
        };
        this.has_written = true;
        if let Some(reader) = this.reader.take() {
            reader.wake();
        }
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.get_mut().stream).poll_flush(task)) {
            Err(error) if is_closed(&error) => Poll::Ready(Ok(())),
            flushed => Poll::Ready(flushed),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(task)
    }
}
