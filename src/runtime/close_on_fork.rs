//! Descriptors that a forked child must not keep: probe listeners, the connections they accepted, their locks.
//!
//! The kernel would go on to hand connections to the child's copy of a listener, where nobody accepts them, and a client
//! would not see the end of a connection of which a child holds a copy.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicI32, Ordering};

const FREE: i32 = -1;
const ROOM: usize = 1_100;

/// A table of fixed size, since the child handler may neither lock nor allocate.
static TABLE: [AtomicI32; ROOM] = [const { AtomicI32::new(FREE) }; ROOM];

/// A file or socket whose copy in a forked child is closed at once.
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

/// A line of the table, if there was room.
struct Entry(Option<&'static AtomicI32>);

impl Entry {
    #[cfg_attr(not(unix), allow(dead_code))]
    fn take(descriptor: i32) -> Self {
        let free =
            |entry: &&AtomicI32| entry.compare_exchange(FREE, descriptor, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        Self(TABLE.iter().find(free))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(entry) = self.0 {
            entry.store(FREE, Ordering::Release);
        }
    }
}

/// Closes them all. Async-signal-safe: the fork handler calls it in the child.
#[cfg(unix)]
pub fn close_in_child() {
    for entry in &TABLE {
        let descriptor = entry.swap(FREE, Ordering::Relaxed);
        if descriptor != FREE {
            // SAFETY: whatever is in the table is open, and nothing in the child uses it: see `PerProcess`.
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
    fn an_entry_is_free_again_once_its_guard_is_gone() {
        let held = |descriptor| TABLE.iter().filter(|entry| entry.load(Ordering::Relaxed) == descriptor).count();
        let entry = Entry::take(i32::MAX);
        assert_eq!(held(i32::MAX), 1);
        drop(entry);
        assert_eq!(held(i32::MAX), 0);
    }
}
