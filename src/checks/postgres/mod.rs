//! PostgreSQL checks: few kept sessions per server, on which every check sends its statements in one message.
//!
//! ```text
//! check ─► query ─► pool (by urgency) ─► protocol (session ─► transport) ─► net::Stream
//!                     └► connect (parameters, login): what libpq would connect with
//! ```
//!
//! All statements of a check travel in one simple-query message. So they are one transaction without a `BEGIN`: its
//! read-only mode and its timeouts end with it and cannot leak to others through a pooler, no statement of another
//! check gets in between, and no prepared statement and no look-up of a type is ever needed.

mod activity;
mod connect;
mod connectivity;
mod errors;
mod extensions;
mod finished;
mod further;
mod objects;
mod pending_tasks;
mod pool;
mod protocol;
mod query;
mod scrub;
mod spec;
mod task_workers;
mod tasks;
mod url;

pub use activity::PostgresConnectionsCheck;
pub use connectivity::PostgresCheck;
pub use extensions::{PostgisCheck, PostgresStatementsCheck};
pub use finished::FinishedTasksOptions;
pub use objects::{MaterializedViewsCheck, PostgresFunctionsCheck, TaskTablesCheck};
pub use pending_tasks::PendingTasksCheck;
pub use spec::{
    ChannelBinding, GssEncMode, LoadBalanceHosts, PostgresServer, SslMode, SslNegotiation, TargetSessionAttrs,
};
pub use task_workers::TaskWorkersCheck;
pub use tasks::FailedTasksCheck;
pub use url::parse_url;
