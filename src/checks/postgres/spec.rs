//! A PostgreSQL server as configured, in libpq's words.

use std::path::PathBuf;

use serde::Deserialize;

use crate::model::Secret;

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
