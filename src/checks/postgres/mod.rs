//! PostgreSQL checks: one kept connection per database, on which every check asks in one message.
//!
//! ```text
//! check ─► ask ─► Hub (one per server and process) ─► Session ─► Transport ─► net::Stream
//!            server.rs, address.rs, service.rs, passfile.rs, tls.rs: what libpq would connect with
//! ```
//!
//! All statements of a check travel in one simple-query message. So they are one transaction without a `BEGIN`: its
//! read-only mode and its timeouts end with it and cannot leak to others through a pooler, no statement of another
//! check gets in between, and no prepared statement and no look-up of a type is ever needed.

mod activity;
mod address;
mod answer;
mod connection;
mod connectivity;
mod extensions;
mod login;
mod objects;
mod passfile;
mod questions;
mod scrub;
mod server;
mod service;
mod session;
mod spec;
mod sqlstate;
mod tasks;
mod tls;
mod transport;

pub use activity::PostgresConnectionsCheck;
pub use connectivity::PostgresCheck;
pub use extensions::{PostgisCheck, PostgresStatementsCheck};
pub use objects::{MaterializedViewsCheck, PostgresFunctionsCheck, TaskTablesCheck};
pub use spec::{PostgresServer, SslMode};
pub use tasks::{FailedTasksCheck, PendingTasksCheck, TaskWorkersCheck};
