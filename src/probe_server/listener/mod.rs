//! The listening socket of a probe server: one for all processes of an application that serve the same address.
//!
//! A socket of its own for each process (`SO_REUSEPORT`) would have its share of the connections whether or not its process
//! accepts them: with one of three workers stopped, 24 of 40 probes timed out. Here all processes accept from one queue, so
//! that a connection goes to a process that runs. The socket lives as long as any process that has it.
//!
//! The states of a listener in one process:
//!
//! ```text
//!  open ──► first: binds the address ────────────────────────► listening ──► draining ──► closed
//!   │  └──► joined: receives the socket from another process ──┘   │            accepts only what no
//!   │         of the same application (`handover`)                 │            other process accepts
//!   ├──► standby: another container listens on the Unix socket     └─► renewed: the file of the Unix
//!   │         (`path`); opened again until that ends                   socket was removed
//!   └──► refused: another application or program has the address
//! ```
//!
//! It guarantees: no two applications share an address; a process that is stopped or has ended takes no connection; a
//! child forked from a process that listens has no part in its socket, unless it was bound by [`hold`]. It does not
//! guarantee that connections are spread evenly.
//!
//! Handing sockets on takes Linux. Elsewhere processes share a TCP port by `SO_REUSEPORT`, and take turns at a Unix socket.

#[cfg(unix)]
mod accept;
#[cfg(not(unix))]
mod alone;
#[cfg(target_os = "linux")]
mod handover;
#[cfg(unix)]
mod held;
#[cfg(unix)]
mod open;
#[cfg(unix)]
mod path;

use std::net::IpAddr;

use tokio::net::TcpStream;

use crate::runtime::close_on_fork::NotInherited;

#[cfg(unix)]
pub use accept::Listener;
#[cfg(not(unix))]
pub use alone::{BoundPort as OpenListener, PortListener as Listener, open};
#[cfg(unix)]
pub use held::{hold, open};
#[cfg(unix)]
pub use open::OpenListener;

/// An accepted connection and where it comes from.
pub enum Accepted {
    Tcp(NotInherited<TcpStream>, IpAddr),
    #[cfg(unix)]
    Unix(NotInherited<tokio::net::UnixStream>),
}
