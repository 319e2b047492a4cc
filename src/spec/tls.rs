//! How a server proves who it is.

use std::path::PathBuf;

use serde::Deserialize;

/// How much of the server's certificate is verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verify {
    /// The chain and the host name.
    #[default]
    Full,
    /// The chain only (libpq's `verify-ca`).
    Chain,
    /// Nothing: the connection is encrypted only (libpq's `require`).
    Nothing,
}

/// TLS options of one target. Without `ca` the system's certificates are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    pub verify: Verify,
    /// PEM file of trusted certificates; a server certificate that is listed in it is trusted itself.
    pub ca: Option<PathBuf>,
    /// PEM files of the client's certificate chain and key.
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
}
