//! Opens the listening socket of an address: binds it, or obtains it from another process of the application.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, ipproto, sockopt};

#[cfg(target_os = "linux")]
use super::handover::{self, Obtained};
use super::path::{self, FileId};
use crate::probe_server::address::ProbeAddress;
use crate::runtime::close_on_fork::NotInherited;

/// How many connections wait in the kernel to be accepted.
const BACKLOG: i32 = 1_024;
/// How long an address may still be taken by the sockets of a process that is just ending.
const ENDING: Duration = Duration::from_millis(300);
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// A listening socket.
pub enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The sockets of an address in this process, not yet in a runtime.
pub struct OpenListener {
    // Dropped in this order: no entry outlives its descriptor, and who finds the name free finds the address free.
    pub(super) entries: Vec<NotInherited<RawFd>>,
    pub(super) listening: Listening,
    /// On which other processes request these sockets.
    pub(super) handover: Option<UnixListener>,
    /// Of the path of a Unix socket: the lock, and the file that was made.
    pub(super) lock: Option<OwnedFd>,
    pub(super) file: Option<FileId>,
    pub(super) address: ProbeAddress,
    pub(super) application: String,
}

/// Binds an address or obtains its sockets, which forked children keep; none while another container listens there.
pub(super) fn open_inheritable(address: &ProbeAddress, application: &str) -> io::Result<Option<OpenListener>> {
    match address {
        ProbeAddress::Tcp(address) => open_tcp(*address, application).map(Some),
        ProbeAddress::Unix(path) => open_path(path, application),
    }
}

#[cfg(target_os = "linux")]
fn open_tcp(address: SocketAddr, application: &str) -> io::Result<OpenListener> {
    let new = |listener: TcpListener, handover| {
        let address = ProbeAddress::Tcp(listener.local_addr()?);
        Ok(OpenListener::new(Listening::Tcp(listener), handover, address, application))
    };
    if address.port() == 0 {
        let listener = bind_tcp(address)?;
        let shown = listener.local_addr()?.to_string();
        return match handover::obtain(&handover::name(&shown), &shown, application)? {
            Obtained::First(name) => new(listener, Some(name)),
            // The port is this process's, so a process that has its name gets another one soon.
            Obtained::Joined(_) | Obtained::Unavailable => new(listener, None),
        };
    }
    let shown = address.to_string();
    match handover::obtain(&handover::name(&shown), &shown, application)? {
        Obtained::First(name) => new(bind_once_free(address)?, Some(name)),
        Obtained::Unavailable => new(bind_once_free(address)?, None),
        Obtained::Joined(sockets) => {
            let mut sockets = sockets.into_iter();
            let (Some(listener), Some(name)) = (sockets.next(), sockets.next()) else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            new(listener.into(), Some(name.into()))
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn open_tcp(address: SocketAddr, application: &str) -> io::Result<OpenListener> {
    let listener = bind_once_free(address)?;
    let address = ProbeAddress::Tcp(listener.local_addr()?);
    Ok(OpenListener::new(Listening::Tcp(listener), None, address, application))
}

fn open_path(path: &Path, application: &str) -> io::Result<Option<OpenListener>> {
    #[cfg(target_os = "linux")]
    let name = {
        // By what the directory is, not by how it is called here.
        let directory = path.parent().and_then(FileId::of);
        let shown = format!("unix:{}", path.display());
        match handover::obtain(&handover::name(&format!("{directory:?} {:?}", path.file_name())), &shown, application)?
        {
            Obtained::First(name) => Some(name),
            Obtained::Unavailable => None,
            Obtained::Joined(sockets) => return joined_path(path, application, sockets).map(Some),
        }
    };
    #[cfg(not(target_os = "linux"))]
    let name = None;
    let Some(lock) = path::lock(path, application)? else { return Ok(None) };
    let listener = path::bind(path)?;
    Ok(Some(OpenListener {
        lock: Some(lock.into()),
        file: FileId::of(path),
        ..OpenListener::new(Listening::Unix(listener), name, ProbeAddress::Unix(path.to_owned()), application)
    }))
}

#[cfg(target_os = "linux")]
fn joined_path(path: &Path, application: &str, sockets: Vec<OwnedFd>) -> io::Result<OpenListener> {
    let mut sockets = sockets.into_iter();
    let (Some(listener), Some(name), lock) = (sockets.next(), sockets.next(), sockets.next()) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    Ok(OpenListener {
        lock,
        file: FileId::of(path),
        ..OpenListener::new(
            Listening::Unix(listener.into()),
            Some(name.into()),
            ProbeAddress::Unix(path.to_owned()),
            application,
        )
    })
}

fn bind_once_free(address: SocketAddr) -> io::Result<TcpListener> {
    let deadline = Instant::now() + ENDING;
    loop {
        match bind_tcp(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                std::thread::sleep(RETRY_AFTER);
            }
            bound => return bound,
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    #[cfg(target_os = "linux")]
    let socket = {
        use rustix::net::SocketFlags;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?
    };
    #[cfg(not(target_os = "linux"))]
    let socket = {
        let socket = rustix::net::socket(family, SocketType::STREAM, Some(ipproto::TCP))?;
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        sockopt::set_socket_reuseport(&socket, true)?;
        socket
    };
    // A restarted server need not wait for the connections of the last one to time out.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

impl OpenListener {
    fn new(listening: Listening, handover: Option<UnixListener>, address: ProbeAddress, application: &str) -> Self {
        let application = application.to_owned();
        Self { listening, handover, lock: None, file: None, entries: Vec::new(), address, application }
    }

    /// The address with the port that the kernel chose where none was given.
    pub fn address(&self) -> io::Result<ProbeAddress> {
        Ok(self.address.clone())
    }

    /// The same, closed in children that this process forks.
    pub(super) fn not_inherited(mut self) -> Self {
        let listening = match &self.listening {
            Listening::Tcp(listener) => listener.as_raw_fd(),
            Listening::Unix(listener) => listener.as_raw_fd(),
        };
        let others = [self.handover.as_ref().map(AsRawFd::as_raw_fd), self.lock.as_ref().map(AsRawFd::as_raw_fd)];
        self.entries = others.into_iter().flatten().chain([listening]).map(NotInherited::new).collect();
        self
    }

    /// Whether clients reach it: false once the file of a Unix socket was removed or replaced.
    pub(super) fn is_reached(&self) -> bool {
        let ProbeAddress::Unix(path) = &self.address else { return true };
        FileId::of(path) == self.file
    }

    /// Listens on the path again after the file was removed. Fails where another process has done so. The name and the lock
    /// are kept: no other application comes between.
    pub(super) fn rebound(self) -> io::Result<Self> {
        let ProbeAddress::Unix(path) = &self.address else { return Err(io::ErrorKind::Unsupported.into()) };
        let listening = Listening::Unix(path::bind(path)?);
        Ok(Self { entries: Vec::new(), file: FileId::of(path), listening, ..self })
    }

    /// A copy of the same sockets.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            listening: match &self.listening {
                Listening::Tcp(listener) => listener.try_clone().map(Listening::Tcp)?,
                Listening::Unix(listener) => listener.try_clone().map(Listening::Unix)?,
            },
            handover: self.handover.as_ref().map(UnixListener::try_clone).transpose()?,
            lock: self.lock.as_ref().map(OwnedFd::try_clone).transpose()?,
            file: self.file,
            entries: Vec::new(),
            address: self.address.clone(),
            application: self.application.clone(),
        })
    }
}
