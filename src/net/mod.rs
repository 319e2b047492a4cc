//! Protocol-neutral access to servers: names, connections, TLS, HTTP, kept connections.

mod dial;
pub mod http;
mod kept;
mod limited;
mod os_error;
mod resolve;
mod staggered;
mod tls;

#[cfg(unix)]
pub use dial::connect_unix;
pub use dial::{OwnTcp, Stream, connect, connect_named, io_error, secure, secure_alpn, secure_named, target};
pub use kept::{Driver, InUse, Kept, hedged};
pub use limited::{Limited, ReadBudget};
pub use staggered::first_success;
pub use tls::{NOT_TLS, Tls, Verify, end_point, is_version_1, tls_config};
