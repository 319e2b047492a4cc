//! PostgreSQL servers, and what is checked of them.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Secret, Thresholds, yes};

/// libpq's `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// A PostgreSQL server and database, in libpq's words. What is left out comes from the service, the `PG*` environment,
/// the password file and libpq's defaults, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostgresServer {
    /// Name, address, or the directory of a Unix socket.
    pub host: Option<String>,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub dbname: Option<String>,
    pub sslmode: Option<SslMode>,
    pub sslrootcert: Option<PathBuf>,
    pub sslcert: Option<PathBuf>,
    pub sslkey: Option<PathBuf>,
    pub connect_timeout: Option<u64>,
    pub options: Option<String>,
    pub application_name: Option<String>,
    pub service: Option<String>,
    pub passfile: Option<PathBuf>,
    /// A role to switch to after connecting (Django's `assume_role`).
    pub role: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    pub server: PostgresServer,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresFunctions {
    pub server: PostgresServer,
    pub functions: Vec<String>,
    /// False: where none of the functions exists the check is skipped (they are then not part of this application).
    #[serde(default = "yes")]
    pub required: bool,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresStatements {
    pub server: PostgresServer,
    /// A statement is slow when its mean execution time exceeds this.
    #[serde(default = "slow_ms")]
    pub slow_ms: f64,
    /// Share of slow statements, in percent.
    #[serde(default = "statement_thresholds")]
    pub thresholds: Thresholds,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresConnections {
    pub server: PostgresServer,
    /// Share of the usable connections that are taken, in percent.
    #[serde(default = "connection_thresholds")]
    pub thresholds: Thresholds,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaterializedViews {
    pub server: PostgresServer,
    pub views: Vec<String>,
}

fn slow_ms() -> f64 {
    100.0
}

fn statement_thresholds() -> Thresholds {
    Thresholds::new(10.0, 30.0)
}

fn connection_thresholds() -> Thresholds {
    Thresholds::new(70.0, 90.0)
}
