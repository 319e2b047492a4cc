//! A UDP socket to one server.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::UdpSocket;

use crate::runtime::close_on_fork::NotInherited;

/// A socket that sends to `address`, and receives from there only; a refusal by the host is an error of the next call.
pub async fn connect_udp(address: SocketAddr) -> io::Result<NotInherited<UdpSocket>> {
    let local: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = NotInherited::new(UdpSocket::bind(local).await?);
    socket.connect(address).await?;
    Ok(socket)
}
