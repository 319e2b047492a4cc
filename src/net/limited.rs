//! A stream that reads at most so many bytes: what a hostile or broken server can make a check keep is bounded.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as Task, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How many bytes may still be read; a kept connection refills it for each run.
#[derive(Debug)]
pub struct ReadBudget {
    limit: usize,
    left: AtomicUsize,
}

impl ReadBudget {
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, left: AtomicUsize::new(limit) })
    }

    pub fn refill(&self) {
        self.left.store(self.limit, Ordering::Relaxed);
    }

    /// Whether nothing was read since it was made or refilled.
    pub fn is_untouched(&self) -> bool {
        self.left.load(Ordering::Relaxed) == self.limit
    }
}

/// The error of a read beyond the budget, which [`io_error`](super::io_error) turns into `CheckError::TooLarge`.
#[derive(Debug, thiserror::Error)]
#[error("more than {limit} bytes")]
pub(super) struct BudgetExceeded {
    pub limit: usize,
}

/// `stream` with a budget for reading. Writes pass.
pub struct Limited<S> {
    stream: S,
    budget: Arc<ReadBudget>,
}

impl<S> Limited<S> {
    pub fn new(stream: S, budget: Arc<ReadBudget>) -> Self {
        Self { stream, budget }
    }

    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(self: Pin<&mut Self>, task: &mut Task<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, budget } = self.get_mut();
        let left = budget.left.load(Ordering::Relaxed);
        if left == 0 {
            let exceeded = BudgetExceeded { limit: budget.limit };
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::QuotaExceeded, exceeded)));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(stream).poll_read(task, buffer);
        let read = buffer.filled().len().saturating_sub(before);
        budget.left.store(left.saturating_sub(read), Ordering::Relaxed);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Limited<S> {
    fn poll_write(self: Pin<&mut Self>, task: &mut Task<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(task, data)
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(task)
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(task)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::io::{AsyncReadExt, repeat};

    use super::*;
    use crate::model::{CheckError, Phase};

    #[tokio::test]
    async fn read_beyond_the_budget_too_large_until_refilled() {
        let budget = ReadBudget::new(4);
        let mut stream = Limited::new(tokio::io::join(repeat(7), tokio::io::sink()), budget.clone());
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).await.unwrap();
        assert!(!budget.is_untouched());
        let error = stream.read_u8().await.unwrap_err();
        let error = crate::net::io_error("host:1", Phase::Query, &error);
        assert_eq!(error, CheckError::TooLarge { target: "host:1".into(), limit: 4 });
        budget.refill();
        assert!(budget.is_untouched());
        assert_eq!(stream.read_u8().await.unwrap(), 7);
    }
}
