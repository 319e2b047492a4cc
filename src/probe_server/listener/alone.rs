//! A TCP listener where sockets cannot be handed to other processes.

use std::io;
use std::net::TcpListener;

use super::Accepted;
use crate::probe_server::address::Address;
use crate::runtime::close_on_fork::NotInherited;

/// A socket that listens, not yet in a runtime.
pub struct OpenListener(TcpListener);

/// Listens on an address.
pub fn open(address: &Address, _application: &str) -> io::Result<Option<OpenListener>> {
    let Address::Tcp(address) = address else { return Err(io::ErrorKind::Unsupported.into()) };
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(Some(OpenListener(listener)))
}

impl OpenListener {
    /// The address with the port that the kernel chose where none was given.
    pub fn address(&self) -> io::Result<Address> {
        self.0.local_addr().map(Address::Tcp)
    }
}

pub struct Listener(tokio::net::TcpListener);

impl Listener {
    /// Call this within a runtime.
    pub fn new(open: OpenListener) -> io::Result<Self> {
        tokio::net::TcpListener::from_std(open.0).map(Self)
    }

    /// Waits for the next connection. Cancel-safe.
    pub async fn accept(&self) -> io::Result<Accepted> {
        let (stream, peer) = self.0.accept().await?;
        stream.set_nodelay(true).ok();
        Ok(Accepted::Tcp(NotInherited::new(stream), peer.ip()))
    }

    pub async fn hand_over(&self) {
        std::future::pending().await
    }

    pub async fn lost(&self) {
        std::future::pending().await
    }

    pub fn renew(self) -> io::Result<OpenListener> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
