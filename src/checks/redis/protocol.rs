//! What stands between a Redis server and the parser of its answers: a bound on what it may send.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::{Limited, ReadBudget, Stream};
use crate::runtime::lock;

/// What a server may send per run. INFO is 5 to 10 KB, with hundreds of replicas or databases 50 KB; the parser makes
/// up to 20 times as much of it in memory.
pub const LIMIT: usize = 256 * 1024;

/// The budget and the failure of a connection, shared by its wire and its session.
pub struct Gauge {
    budget: Arc<ReadBudget>,
    failure: Mutex<Option<io::Error>>,
}

impl Default for Gauge {
    fn default() -> Self {
        Self { budget: ReadBudget::new(LIMIT), failure: Mutex::default() }
    }
}

impl Gauge {
    /// Lets a run read its share.
    pub fn refill(&self) {
        self.budget.refill();
    }

    /// Whether an error has ended the connection, which its driver may not have noticed yet.
    pub fn has_failed(&self) -> bool {
        lock(&self.failure).is_some()
    }

    /// The error that ended the connection, which the library does not hand on as it was.
    pub fn take_failure(&self) -> Option<io::Error> {
        lock(&self.failure).take()
    }

    fn note<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        polled.map_err(|error| {
            let kind = error.kind();
            *lock(&self.failure) = Some(error);
            kind.into()
        })
    }
}

/// A bounded stream that reads nothing before something was written: "max number of clients reached" comes at once, and
/// would be dropped as a reply to no command.
pub struct Wire {
    stream: Limited<Stream>,
    gauge: Arc<Gauge>,
    written: bool,
}

impl Wire {
    pub fn new(stream: Stream, gauge: Arc<Gauge>) -> Self {
        Self { stream: Limited::new(stream, gauge.budget.clone()), gauge, written: false }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, task: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if !wire.written {
            return Poll::Pending;
        }
        wire.gauge.note(Pin::new(&mut wire.stream).poll_read(task, buffer))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        if !wire.written {
            wire.written = true;
            // The reading half returned "pending" without registering a waker; both halves belong to one task.
            task.waker().wake_by_ref();
        }
        wire.gauge.note(Pin::new(&mut wire.stream).poll_write(task, data))
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(task)
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(task)
    }
}
