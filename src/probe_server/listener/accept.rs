//! Accepts the connections of a listening socket that other processes accept from, too.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::unix::AsyncFd;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::sleep;

use super::Accepted;
#[cfg(target_os = "linux")]
use super::handover;
use super::open::{Listening, OpenListener};
use super::path::{self, FileId};
use super::shared::{ListeningShared, Shared};
use crate::probe_server::address::ProbeAddress;
use crate::runtime::close_on_fork::NotInherited;
use crate::runtime::process;
use crate::runtime::tasks::run_blocking;

/// How often, and at which intervals, a process that is draining must find a connection in the queue before it accepts
/// one: no other process accepts them then. Longer than one that serves takes, and far shorter than a prober waits. One
/// look after that time would not do: it may find a connection that has just arrived.
const DRAINING_LOOKS: u32 = 12;
const DRAINING_LOOK_EVERY: Duration = Duration::from_millis(25);
/// How long to let descriptors become free when there are none.
#[cfg(target_os = "linux")]
const PAUSE: Duration = Duration::from_millis(50);
/// How often to look whether the file of a Unix socket is still there.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A listening socket in a runtime.
pub struct Listener {
    entries: Vec<NotInherited<RawFd>>,
    listening: Arc<Listening>,
    shared: Option<ListeningShared>,
    lock: Option<OwnedFd>,
    file: Option<FileId>,
    address: ProbeAddress,
    application: String,
}

/// A listening socket whose connections wake this process.
pub struct Acceptor<'a> {
    listening: &'a Listening,
    registered: AsyncFd<BorrowedFd<'a>>,
}

impl Listener {
    /// Call this within a runtime.
    pub fn new(open: OpenListener) -> io::Result<Self> {
        let OpenListener { entries, listening, shared, lock, file, address, application } = open;
        let shared = shared.map(Shared::listen).transpose()?;
        Ok(Self { entries, listening: Arc::new(listening), shared, lock, file, address, application })
    }

    /// Is woken by connections until that is dropped.
    pub fn acceptor(&self) -> io::Result<Acceptor<'_>> {
        Ok(Acceptor { listening: &self.listening, registered: register(self.listening.as_fd())? })
    }

    /// Whether a connection waits to be accepted, as a function that may be called while this listens.
    pub fn queue(&self) -> impl Fn() -> bool + Send + 'static {
        let listening = self.listening.clone();
        move || has_waiting(&listening)
    }

    /// Hands the sockets to processes of the application that want to listen, too. Never ends.
    pub async fn hand_over(&self) {
        #[cfg(target_os = "linux")]
        if let Some(shared) = &self.shared {
            loop {
                let Ok((stream, _)) = accept_now(&shared.name, UnixListener::accept).await else {
                    sleep(PAUSE).await;
                    continue;
                };
                if self.is_lost().await {
                    // One that has the new socket replies to the next attempt.
                    continue;
                }
                let lock = self.lock.as_ref().map(AsFd::as_fd);
                let sockets: Vec<_> =
                    [self.listening.as_fd()].into_iter().chain(shared.sockets()).chain(lock).collect();
                // The other process tries again if it fails.
                let _ = handover::reply(stream, &self.application, &sockets).await;
            }
        }
        std::future::pending().await
    }

    /// Waits until a process of the address calls those that stand by.
    pub async fn called(&self) {
        match &self.shared {
            Some(shared) => shared.rung().await,
            None => std::future::pending().await,
        }
    }

    /// Calls those that stand by, as also the end of this listener does.
    pub fn call(&self) {
        if let Some(shared) = &self.shared {
            shared.ring();
        }
    }

    /// Ends once the file of a Unix socket was removed or replaced.
    pub async fn lost(&self) {
        let ProbeAddress::Unix(_) = &self.address else { return std::future::pending().await };
        loop {
            sleep(LOOK_EVERY).await;
            if self.is_lost().await {
                return;
            }
        }
    }

    async fn is_lost(&self) -> bool {
        let ProbeAddress::Unix(path) = &self.address else { return false };
        let path = path.clone();
        // A look that panics or cannot be started has found nothing.
        let found = run_blocking(move || FileId::of(&path)).await;
        found.is_some_and(|found| found != self.file)
    }

    /// Listens on the path again after the file was removed. Fails where another process has done so: open it anew then.
    pub fn renew(self) -> io::Result<OpenListener> {
        let ProbeAddress::Unix(path) = &self.address else { return Err(io::ErrorKind::Unsupported.into()) };
        // The name and the lock are kept: no other application comes between.
        drop((self.entries, self.listening));
        let listener = path::bind(path)?;
        let opened = OpenListener {
            entries: Vec::new(),
            file: FileId::of(path),
            listening: Listening::Unix(listener),
            shared: self.shared.as_ref().map(ListeningShared::try_clone).transpose()?,
            lock: self.lock,
            address: self.address,
            application: self.application,
        };
        Ok(opened.not_inherited())
    }
}

impl Acceptor<'_> {
    /// Waits for connections, and accepts one if another process has not done so; a process that is draining leaves them
    /// to the others. Cancel-safe: a connection that is not accepted stays in the queue.
    pub async fn accept(&self) -> io::Result<Option<Accepted>> {
        let mut ready = self.registered.readable().await?;
        if process::draining() && !is_left_over(self.listening).await {
            ready.clear_ready();
            return Ok(None);
        }
        match ready.try_io(|_| self.listening.accept()) {
            Ok(accepted) => accepted.map(Some),
            Err(_would_block) => Ok(None),
        }
    }
}

impl Listening {
    fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                stream.set_nonblocking(true)?;
                // Answers are small and go out at once; where it cannot be set they come a little later.
                stream.set_nodelay(true).ok();
                Ok(Accepted::Tcp(NotInherited::new(TcpStream::from_std(stream)?), peer.ip()))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok(Accepted::Unix(NotInherited::new(UnixStream::from_std(stream)?)))
            }
        }
    }
}

pub fn register<S: AsRawFd>(socket: S) -> io::Result<AsyncFd<S>> {
    // SAFETY: the socket owns or borrows its descriptor, which is open and stays the same while the socket is there.
    #[allow(unsafe_code, reason = "tokio's safe constructor is deprecated")]
    let registered = unsafe { AsyncFd::register(socket) };
    registered.map_err(io::Error::from)
}

/// Whether connections stay in the queue although this process leaves them there.
async fn is_left_over(listening: &Listening) -> bool {
    for _ in 0..DRAINING_LOOKS {
        sleep(DRAINING_LOOK_EVERY).await;
        if !has_waiting(listening) {
            return false;
        }
    }
    true
}

fn has_waiting(listening: &Listening) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(&listening, PollFlags::IN)], Some(&now)).is_ok_and(|waiting| waiting > 0)
}

#[cfg(target_os = "linux")]
async fn accept_now<S: AsRawFd, T>(socket: &AsyncFd<S>, accept: impl Fn(&S) -> io::Result<T>) -> io::Result<T> {
    loop {
        if let Ok(accepted) = socket.readable().await?.try_io(|socket| accept(socket.get_ref())) {
            return accepted;
        }
    }
}
