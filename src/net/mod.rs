//! Protocol-neutral access to servers: names, connections, TLS, HTTP, WebSockets, SMTP, kept connections.

mod datagram;
mod dial;
mod frame_error;
pub mod http;
mod kept;
mod limited;
mod os_error;
mod resolve;
pub mod smtp;
mod staggered;
mod tls;
mod websocket;

pub use datagram::connect_udp;
#[cfg(unix)]
pub use dial::connect_unix;
pub use dial::{
    OwnTcp, Stream, addresses, connect, connect_named, io_error, secure, secure_alpn, secure_named, secure_recorded,
    target,
};
pub use frame_error::FrameError;
pub use kept::{Driver, InUse, Kept, LIFETIME, hedged};
pub use limited::{Limited, ReadBudget};
pub use os_error::text as os_error_text;
pub use resolve::ascii as ascii_host;
pub use staggered::first_success;
pub use tls::{Certificate, NOT_TLS, Presented, Tls, Verify, end_point, is_version_1, tls_config};
pub use websocket::{WebSocket, WebSocketRequest};
