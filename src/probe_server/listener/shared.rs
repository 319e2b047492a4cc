//! What the processes of an address have in common beside its socket: the name on which others request all of it, and a
//! bell for those that stand by. They would see with their next heartbeat only that one that accepts is about to stop.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;

use rustix::event::{EventfdFlags, eventfd};
use tokio::io::unix::AsyncFd;

use super::accept::register;

pub struct Shared {
    name: UnixListener,
    /// A counter that nobody resets: each change of it wakes all processes.
    bell: OwnedFd,
}

/// The same in a runtime; rings when it is dropped.
pub struct ListeningShared {
    pub name: AsyncFd<UnixListener>,
    bell: AsyncFd<OwnedFd>,
}

impl Shared {
    /// For the first process of an address, which has the name.
    pub fn first(name: UnixListener) -> io::Result<Self> {
        Ok(Self { name, bell: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    /// As another process has handed them over.
    pub fn joined(name: OwnedFd, bell: OwnedFd) -> Self {
        Self { name: name.into(), bell }
    }

    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { name: self.name.try_clone()?, bell: self.bell.try_clone()? })
    }

    pub fn descriptors(&self) -> [RawFd; 2] {
        [self.name.as_raw_fd(), self.bell.as_raw_fd()]
    }

    /// Call this within a runtime.
    pub fn listen(self) -> io::Result<ListeningShared> {
        Ok(ListeningShared { name: register(self.name)?, bell: register(self.bell)? })
    }
}

impl ListeningShared {
    /// Those to hand over, in the order of [`Shared::joined`].
    pub fn sockets(&self) -> [BorrowedFd<'_>; 2] {
        [self.name.get_ref().as_fd(), self.bell.get_ref().as_fd()]
    }

    pub fn ring(&self) {
        // It cannot fail before it has been rung 2^64 times.
        let _ = rustix::io::write(self.bell.get_ref(), &1_u64.to_ne_bytes());
    }

    /// Waits until any process rings.
    pub async fn rung(&self) {
        if let Ok(mut ready) = self.bell.readable().await {
            ready.clear_ready();
        }
    }

    pub fn try_clone(&self) -> io::Result<Shared> {
        Ok(Shared { name: self.name.get_ref().try_clone()?, bell: self.bell.get_ref().try_clone()? })
    }
}

impl Drop for ListeningShared {
    fn drop(&mut self) {
        self.ring();
    }
}
