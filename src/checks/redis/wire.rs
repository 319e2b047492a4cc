//! What stands between a Redis server and the parser of its answers: a bound on what it may send.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::Stream;

/// What a server may send per run. INFO is 5 to 10 KB, with hundreds of replicas or databases 50 KB; the parser makes
/// up to 20 times as much of it in memory.
pub const LIMIT: usize = 256 * 1024;

/// The server sent more than [`LIMIT`].
#[derive(Debug, thiserror::Error)]
#[error("too many bytes")]
pub struct TooMany;

/// A stream that ends with [`TooMany`] once `left` bytes were read, and that reads nothing before something was
/// written: "max number of clients reached" comes at once, and would be dropped as an answer to no question.
pub struct Wire {
    stream: Stream,
    left: Arc<AtomicUsize>,
    asked: bool,
}

impl Wire {
    pub fn new(stream: Stream, left: Arc<AtomicUsize>) -> Self {
        Self { stream, left, asked: false }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, task: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if !wire.asked {
            return Poll::Pending;
        }
        let left = wire.left.load(Ordering::Relaxed);
        if left == 0 {
            return Poll::Ready(Err(io::Error::other(TooMany)));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut wire.stream).poll_read(task, buffer);
        let read = buffer.filled().len().saturating_sub(before);
        wire.left.store(left.saturating_sub(read), Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        if !wire.asked {
            wire.asked = true;
            // The reading half said "pending" without asking to be woken; both halves belong to one task.
            task.waker().wake_by_ref();
        }
        Pin::new(&mut wire.stream).poll_write(task, data)
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(task)
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(task)
    }
}
