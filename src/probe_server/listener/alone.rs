//! A TCP listener where sockets cannot be handed to other processes.

use std::io;
use std::net::TcpListener;

use super::Accepted;
use crate::probe_server::address::ProbeAddress;
use crate::runtime::close_on_fork::NotInherited;

/// A socket that listens, not yet in a runtime.
pub struct BoundPort(TcpListener);

/// Listens on an address.
pub fn open(address: &ProbeAddress, _application: &str) -> io::Result<Option<BoundPort>> {
    let ProbeAddress::Tcp(address) = address else { return Err(io::ErrorKind::Unsupported.into()) };
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(Some(BoundPort(listener)))
}

impl BoundPort {
    /// The address with the port that the kernel chose where none was given.
    pub fn address(&self) -> io::Result<ProbeAddress> {
        self.0.local_addr().map(ProbeAddress::Tcp)
    }
}

pub struct PortListener(tokio::net::TcpListener);

impl PortListener {
    /// Call this within a runtime.
    pub fn new(open: BoundPort) -> io::Result<Self> {
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

    pub fn renew(self) -> io::Result<BoundPort> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
