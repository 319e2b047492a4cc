//! Accepts the connections of a listening socket that other processes accept from, too.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::unix::AsyncFd;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::sleep;

use super::Accepted;
#[cfg(target_os = "linux")]
use super::handover;
use super::open::{Listening, OpenListener};
use super::path::FileId;
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
    listening: AsyncListening,
    handover: Option<AsyncFd<UnixListener>>,
    lock: Option<OwnedFd>,
    file: Option<FileId>,
    address: ProbeAddress,
    application: String,
}

enum AsyncListening {
    Tcp(AsyncFd<TcpListener>),
    Unix(AsyncFd<UnixListener>),
}

impl Listener {
    /// Call this within a runtime.
    pub fn new(open: OpenListener) -> io::Result<Self> {
        let OpenListener { entries, listening, handover, lock, file, address, application } = open;
        let listening = match listening {
            Listening::Tcp(listener) => AsyncListening::Tcp(register(listener)?),
            Listening::Unix(listener) => AsyncListening::Unix(register(listener)?),
        };
        let handover = handover.map(register).transpose()?;
        Ok(Self { entries, listening, handover, lock, file, address, application })
    }

    /// Waits for the next connection. Cancel-safe: a connection that is not accepted stays in the queue.
    pub async fn accept(&self) -> io::Result<Accepted> {
        match &self.listening {
            AsyncListening::Tcp(listener) => {
                let (stream, peer) = accept(listener, TcpListener::accept).await?;
                stream.set_nonblocking(true)?;
                // Answers are small and go out at once; where it cannot be set they come a little later.
                stream.set_nodelay(true).ok();
                Ok(Accepted::Tcp(NotInherited::new(TcpStream::from_std(stream)?), peer.ip()))
            }
            AsyncListening::Unix(listener) => {
                let (stream, _) = accept(listener, UnixListener::accept).await?;
                stream.set_nonblocking(true)?;
                Ok(Accepted::Unix(NotInherited::new(UnixStream::from_std(stream)?)))
            }
        }
    }

    /// Hands the sockets to processes of the application that want to listen, too. Never ends.
    pub async fn hand_over(&self) {
        #[cfg(target_os = "linux")]
        if let Some(name) = &self.handover {
            loop {
                let Ok((stream, _)) = accept_now(name, UnixListener::accept).await else {
                    sleep(PAUSE).await;
                    continue;
                };
                if self.is_lost().await {
                    // One that has the new socket replies to the next attempt.
                    continue;
                }
                let listening = match &self.listening {
                    AsyncListening::Tcp(listener) => listener.get_ref().as_fd(),
                    AsyncListening::Unix(listener) => listener.get_ref().as_fd(),
                };
                let lock = self.lock.as_ref().map(AsFd::as_fd);
                let sockets: Vec<_> =
                    [Some(listening), Some(name.get_ref().as_fd()), lock].into_iter().flatten().collect();
                // The other process tries again if it fails.
                let _ = handover::reply(stream, &self.application, &sockets).await;
            }
        }
        std::future::pending().await
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
        let Self { entries, listening, handover, lock, file, address, application } = self;
        let listening = match listening {
            AsyncListening::Tcp(listener) => Listening::Tcp(listener.into_inner()),
            AsyncListening::Unix(listener) => Listening::Unix(listener.into_inner()),
        };
        let handover = handover.map(AsyncFd::into_inner);
        let opened = OpenListener { entries, listening, handover, lock, file, address, application };
        opened.rebound().map(OpenListener::not_inherited)
    }
}

fn register<S: AsRawFd + Into<OwnedFd>>(socket: S) -> io::Result<AsyncFd<S>> {
    // SAFETY: the socket owns its descriptor, which is open and stays the same for as long as the socket is there.
    #[allow(unsafe_code, reason = "tokio's safe constructor is deprecated")]
    let registered = unsafe { AsyncFd::register(socket) };
    registered.map_err(io::Error::from)
}

/// The next connection, at once or, while this process is draining, once no other process accepts it.
async fn accept<S: AsRawFd + AsFd, T>(socket: &AsyncFd<S>, accept: impl Fn(&S) -> io::Result<T>) -> io::Result<T> {
    loop {
        let mut ready = socket.readable().await?;
        if process::draining() && !is_left_over(socket.get_ref()).await {
            ready.clear_ready();
            continue;
        }
        if let Ok(accepted) = ready.try_io(|socket| accept(socket.get_ref())) {
            return accepted;
        }
    }
}

/// Whether connections stay in the queue although this process leaves them there.
async fn is_left_over(socket: &impl AsFd) -> bool {
    for _ in 0..DRAINING_LOOKS {
        sleep(DRAINING_LOOK_EVERY).await;
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let waiting = poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&now));
        if !waiting.is_ok_and(|waiting| waiting > 0) {
            return false;
        }
    }
    true
}

#[cfg(target_os = "linux")]
async fn accept_now<S: AsRawFd, T>(socket: &AsyncFd<S>, accept: impl Fn(&S) -> io::Result<T>) -> io::Result<T> {
    loop {
        if let Ok(accepted) = socket.readable().await?.try_io(|socket| accept(socket.get_ref())) {
            return accepted;
        }
    }
}
