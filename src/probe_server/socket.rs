//! The listening socket, which all processes that are given the same address can have.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::address::Address;
#[cfg(unix)]
use super::unix::Turn;
use crate::runtime::close_on_fork::NotInherited;

/// How many connections wait in the kernel to be accepted.
const BACKLOG: u32 = 1_024;

pub enum Socket {
    Tcp(NotInherited<TcpListener>),
    /// Processes take turns at a Unix socket, since the kernel lets only one have it.
    #[cfg(unix)]
    Unix(Turn),
}

/// What was accepted: the connection and where it comes from.
pub enum Accepted {
    Tcp(NotInherited<TcpStream>, IpAddr),
    #[cfg(unix)]
    Unix(NotInherited<tokio::net::UnixStream>),
}

impl Socket {
    /// Listens on an address. To be called within a runtime.
    pub fn listen(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => tcp(*address).map(NotInherited::new).map(Self::Tcp),
            #[cfg(unix)]
            Address::Unix(path) => Turn::wait_for(path).map(Self::Unix),
            #[cfg(not(unix))]
            Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// The address with the port that the kernel chose where none was given.
    pub fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            #[cfg(unix)]
            Self::Unix(turn) => Ok(Address::Unix(turn.path().to_owned())),
        }
    }

    /// Waits for the next connection. Cancel-safe.
    pub async fn accept(&mut self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Answers are small and go out at once; where it cannot be set they come a little later.
                stream.set_nodelay(true).ok();
                Ok(Accepted::Tcp(NotInherited::new(stream), peer.ip()))
            }
            #[cfg(unix)]
            Self::Unix(turn) => turn.accept().await.map(NotInherited::new).map(Accepted::Unix),
        }
    }
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    #[cfg(unix)]
    {
        // A restarted server need not wait for the connections of the last one to time out.
        socket.set_reuseaddr(true)?;
        // The kernel spreads connections over all processes that listen; only the same user's may.
        socket.set_reuseport(true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
