//! Descriptors that a forked child must not keep: probe listeners, accepted connections, connections to servers, locks.
//!
//! The kernel would continue to hand connections to the child's copy of a listener, where no task accepts them, and the
//! other end of a connection would not see its end while a child holds a copy.

use std::io::{self, IoSlice};
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::atomic::{AtomicI32, Ordering};
use std::task::{Context as Task, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const FREE: i32 = -1;
/// The probe servers hold at most 1,000 connections; the rest is for their listeners and for connections to servers.
const ROOM: usize = 2_048;

/// A table of fixed size, since the child handler may neither lock nor allocate.
static TABLE: [AtomicI32; ROOM] = [const { AtomicI32::new(FREE) }; ROOM];

/// A file or socket whose copy in a forked child is closed at once.
#[derive(Debug)]
pub struct NotInherited<T> {
    // First, so that the entry is gone before the descriptor is closed.
    _entry: Entry,
    value: T,
}

impl<T> NotInherited<T> {
    #[cfg(unix)]
    pub fn new(value: T) -> Self
    where
        T: std::os::fd::AsRawFd,
    {
        Self { _entry: Entry::take(value.as_raw_fd()), value }
    }

    /// Where there is no fork.
    #[cfg(not(unix))]
    pub fn new(value: T) -> Self {
        Self { _entry: Entry(None), value }
    }
}

impl<T> Deref for NotInherited<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for NotInherited<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for NotInherited<T> {
    fn poll_read(self: Pin<&mut Self>, task: &mut Task<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().value).poll_read(task, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for NotInherited<T> {
    fn poll_write(self: Pin<&mut Self>, task: &mut Task<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().value).poll_write(task, data)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        task: &mut Task<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().value).poll_write_vectored(task, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.value.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().value).poll_flush(task)
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().value).poll_shutdown(task)
    }
}

/// An entry of the table; `None` where the table was full, so that a child inherits the descriptor.
#[derive(Debug)]
struct Entry(Option<&'static AtomicI32>);

impl Entry {
    #[cfg_attr(not(unix), allow(dead_code))]
    fn take(descriptor: i32) -> Self {
        let acquire = |entry: &&AtomicI32| {
            entry.load(Ordering::Relaxed) == FREE
                && entry.compare_exchange(FREE, descriptor, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        Self(TABLE.iter().find(acquire))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(entry) = self.0 {
            entry.store(FREE, Ordering::Release);
        }
    }
}

/// Close every registered descriptor. Async-signal-safe: the fork handler calls it in the child.
#[cfg(unix)]
pub fn close_in_child() {
    for entry in &TABLE {
        // Read first: most entries are free, and the child need not copy their page.
        let descriptor = entry.load(Ordering::Relaxed);
        if descriptor != FREE {
            entry.store(FREE, Ordering::Relaxed);
            // SAFETY: each descriptor in the table is open, and no code in the child uses it: see `PerProcess`.
            #[allow(unsafe_code, reason = "the child owns the copy, but no Rust value does")]
            unsafe {
                libc::close(descriptor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_dropped_is_free_again() {
        let held = |descriptor| TABLE.iter().filter(|entry| entry.load(Ordering::Relaxed) == descriptor).count();
        let entry = Entry::take(i32::MAX);
        assert_eq!(held(i32::MAX), 1);
        drop(entry);
        assert_eq!(held(i32::MAX), 0);
    }
}
