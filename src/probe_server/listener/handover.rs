//! Hands the listening socket of an address to the other processes of the application that serve it.
//!
//! Beside the address its first process binds a name in the abstract socket namespace, which belongs to the network
//! namespace as ports do and leaves no file behind. Its socket is handed on with that of the address, so that any process
//! that listens can hand both to the next one, and the name is free once the last of them has ended.

use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    SocketAddrUnix, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, Interest};
use tokio::time::timeout;

use crate::probe_server::unix_connect::connect_within;

/// How long to look for a process that hands the socket over, and how long to wait for one reply.
const JOIN_TIMEOUT: Duration = Duration::from_secs(2);
const REPLY_TIMEOUT: Duration = Duration::from_millis(500);
const RETRY_AFTER: Duration = Duration::from_millis(20);
/// The socket of the address, that of the name, the lock of a Unix socket's path.
pub const MAX_SOCKETS: usize = 3;
const MAX_MESSAGE: u64 = 4_096;

#[derive(Serialize, Deserialize)]
struct HandoverRequest {
    application: String,
}

#[derive(Serialize, Deserialize)]
enum HandoverReply {
    Granted,
    Refused { application: String, pid: u32 },
}

/// The result of a request for the socket of an address.
pub enum Obtained {
    /// No process listens: the caller binds the address. The name is its own.
    First(UnixListener),
    /// Handed over by another process.
    Joined(Vec<OwnedFd>),
    /// The name cannot be used here, or belongs to another user.
    Unavailable,
}

/// The name beside an address. Its digest: names are at most 107 bytes long.
pub fn name(address: &str) -> Vec<u8> {
    let key = crate::state::scope::key(&format!("probe listener {address}"));
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("lifesigns/1/{}/{hex}", rustix::process::geteuid().as_raw()).into_bytes()
}

/// Binds the name, or obtains the sockets from a process that has it. Blocks for 2 s at most.
pub fn obtain(name: &[u8], shown: &str, application: &str) -> io::Result<Obtained> {
    let deadline = Instant::now() + JOIN_TIMEOUT;
    loop {
        match bind(name) {
            Ok(listener) => return Ok(Obtained::First(listener)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(_) => return Ok(Obtained::Unavailable),
        }
        let holder = match request(name, application) {
            Ok(HandoverResult::Granted(sockets)) => return Ok(Obtained::Joined(sockets)),
            Ok(HandoverResult::Refused { application: other, pid }) => {
                return Err(in_use(&format!(
                    "{shown} is served by application {other:?} (process {pid}), this is {application:?} (process {})",
                    std::process::id()
                )));
            }
            Ok(HandoverResult::OtherUser) => return Ok(Obtained::Unavailable),
            Ok(HandoverResult::Silent { pid }) => Some(pid),
            Err(_) => None,
        };
        if Instant::now() > deadline {
            let holder = holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
            return Err(in_use(&format!("{shown} is in use by {holder}, which does not respond (stopped?)")));
        }
        std::thread::sleep(RETRY_AFTER);
    }
}

pub fn in_use(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::AddrInUse, message)
}

fn bind(name: &[u8]) -> io::Result<UnixListener> {
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

enum HandoverResult {
    Granted(Vec<OwnedFd>),
    Refused {
        application: String,
        pid: u32,
    },
    OtherUser,
    /// The process that bound the name; it may have ended since, and others have it.
    Silent {
        pid: i32,
    },
}

fn request(name: &[u8], application: &str) -> io::Result<HandoverResult> {
    let mut stream = connect_within(&SocketAddrUnix::new_abstract_name(name)?, REPLY_TIMEOUT)?;
    let holder = getsockopt(&stream, PeerCredentials)?;
    if holder.uid() != rustix::process::geteuid().as_raw() {
        return Ok(HandoverResult::OtherUser);
    }
    let silent = HandoverResult::Silent { pid: holder.pid() };
    stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
    let request = HandoverRequest { application: application.to_owned() };
    stream.write_all(&serde_json::to_vec(&request)?)?;
    stream.shutdown(Shutdown::Write)?;
    let Ok((reply, sockets)) = receive(&stream) else { return Ok(silent) };
    Ok(match serde_json::from_slice(&reply) {
        Ok(HandoverReply::Granted) if sockets.len() >= 2 => HandoverResult::Granted(sockets),
        Ok(HandoverReply::Refused { application, pid }) => HandoverResult::Refused { application, pid },
        _ => silent,
    })
}

fn receive(stream: &UnixStream) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let (mut bytes, mut sockets) = (Vec::new(), Vec::new());
    let mut chunk = [0; 1_024];
    while (bytes.len() as u64) < MAX_MESSAGE {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received =
            recvmsg(stream, &mut [IoSliceMut::new(&mut chunk)], &mut control, RecvFlags::CMSG_CLOEXEC)?.bytes;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                sockets.extend(rights);
            }
        }
        if received == 0 {
            return Ok((bytes, sockets));
        }
        bytes.extend_from_slice(chunk.get(..received).unwrap_or_default());
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// Replies to one process that wants the sockets.
pub async fn reply(stream: UnixStream, application: &str, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let mut stream = tokio::net::UnixStream::from_std(stream)?;
    if stream.peer_cred()?.uid() != rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    let mut request = Vec::new();
    timeout(REPLY_TIMEOUT, (&mut stream).take(MAX_MESSAGE).read_to_end(&mut request)).await??;
    let request: HandoverRequest = serde_json::from_slice(&request)?;
    let granted = request.application == application;
    let reply = if granted {
        HandoverReply::Granted
    } else {
        HandoverReply::Refused { application: application.to_owned(), pid: std::process::id() }
    };
    let reply = serde_json::to_vec(&reply)?;
    let send = || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if granted {
            control.push(SendAncillaryMessage::ScmRights(sockets));
        }
        // Far smaller than the socket's buffer, which is empty: it is sent whole.
        sendmsg(stream.as_fd(), &[IoSlice::new(&reply)], &mut control, SendFlags::NOSIGNAL).map_err(io::Error::from)
    };
    stream.async_io(Interest::WRITABLE, send).await?;
    Ok(())
}
