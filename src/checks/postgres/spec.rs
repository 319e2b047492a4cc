//! A PostgreSQL server as configured, in libpq's words.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IntoDeserializer, value};

use crate::model::{Secret, SpecError};

/// The value that a word of libpq's stands for; `None` if it is none of them.
pub fn parse<T: DeserializeOwned>(word: &str) -> Option<T> {
    T::deserialize(IntoDeserializer::<value::Error>::into_deserializer(word)).ok()
}

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

/// libpq's `sslnegotiation`: TLS is requested within PostgreSQL's protocol, or starts with the first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SslNegotiation {
    Postgres,
    Direct,
}

/// libpq's `channel_binding`: whether SCRAM proves that both ends see the same certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelBinding {
    Disable,
    Prefer,
    Require,
}

/// libpq's `target_session_attrs`: which of several servers fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetSessionAttrs {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// libpq's `load_balance_hosts`: several servers are tried in their order, or in a random one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadBalanceHosts {
    Disable,
    Random,
}

/// libpq's `gssencmode`, of which `require` cannot be met here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GssEncMode {
    Disable,
    Prefer,
    Require,
}

/// One port, or several separated by commas, one for each host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(untagged, expecting = "port must be a number from 1 to 65535, or several separated by commas")]
pub enum Ports {
    One(i64),
    List(String),
}

impl Ports {
    /// The ports in libpq's form.
    pub fn text(&self) -> String {
        match self {
            Self::One(port) => port.to_string(),
            Self::List(ports) => ports.clone(),
        }
    }
}

/// A PostgreSQL server and database, in libpq's words. What is left out comes from `service`, the `PG*` environment
/// variables, the password file and libpq's defaults, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(remote = "Self", default, deny_unknown_fields)]
pub struct PostgresServer {
    /// `postgresql://user:password@host:5432,other:5433/dbname?sslmode=require`, as libpq reads it. What the other
    /// fields say comes before it.
    pub url: Option<Secret>,
    /// Name, address, or the directory of a Unix socket; several separated by commas are tried in turn.
    pub host: Option<String>,
    /// Address of each host, which saves the look-up of its name.
    pub hostaddr: Option<String>,
    /// Port of the host, or a list of ports separated by commas, one for each host.
    pub port: Option<Ports>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub dbname: Option<String>,
    /// Which of several servers fits: `any`, `read-write`, `read-only`, `primary`, `standby`, `prefer-standby`.
    pub target_session_attrs: Option<TargetSessionAttrs>,
    /// `random` tries several servers in random order, `disable` in the given one.
    pub load_balance_hosts: Option<LoadBalanceHosts>,
    pub sslmode: Option<SslMode>,
    /// `direct` starts TLS with the first byte (PostgreSQL 17 and later).
    pub sslnegotiation: Option<SslNegotiation>,
    /// PEM file of trusted certificates, or `system`.
    pub sslrootcert: Option<PathBuf>,
    /// PEM file of the client's certificate chain.
    pub sslcert: Option<PathBuf>,
    /// PEM file of the client's private key.
    pub sslkey: Option<PathBuf>,
    /// Password of the private key, if it is encrypted (PKCS#8).
    pub sslpassword: Option<Secret>,
    /// PEM file of certificate revocation lists; as with libpq, a file that is missing is none.
    pub sslcrl: Option<PathBuf>,
    /// Directory of revocation lists, each in a file that is named as `openssl rehash` does.
    pub sslcrldir: Option<PathBuf>,
    /// Whether the login is bound to the server's certificate: `disable`, `prefer`, `require`.
    pub channel_binding: Option<ChannelBinding>,
    /// Seconds that each server may take to let us in; 0 is no limit but the check's own timeout.
    pub connect_timeout: Option<i64>,
    /// Command-line options of the session, such as `-c statement_timeout=2s`.
    pub options: Option<String>,
    pub application_name: Option<String>,
    /// Name of a group in the service file.
    pub service: Option<String>,
    /// Path of the password file.
    pub passfile: Option<PathBuf>,
    /// Accepted as by a libpq without GSSAPI: `require` is refused.
    pub gssencmode: Option<GssEncMode>,
    /// Accepted and without effect, as by a libpq without GSSAPI.
    pub krbsrvname: Option<String>,
    /// Accepted and without effect, as by a libpq without GSSAPI.
    pub gsslib: Option<String>,
    /// Accepted and without effect, as by a libpq without GSSAPI.
    pub gssdelegation: Option<String>,
    /// A role to switch to after connecting (Django's `assume_role`).
    pub role: Option<String>,
}

impl PostgresServer {
    /// Refuses what no server can have, naming field and value.
    pub fn validate(&self) -> Result<(), SpecError> {
        let refuse = |text: String| Err(SpecError(text));
        for (field, value) in self.texts() {
            if value.contains('\0') {
                return refuse(format!("{field} must not contain a NUL character"));
            }
        }
        let items = |text: Option<&str>| -> Vec<String> {
            text.filter(|text| !text.is_empty())
                .map(|text| text.split(',').map(str::to_owned).collect())
                .unwrap_or_default()
        };
        let (hosts, addresses) = (items(self.host.as_deref()), items(self.hostaddr.as_deref()));
        let is_padded = |host: &String| host.trim() != host;
        if !hosts.is_empty() && hosts.iter().all(is_padded) && addresses.is_empty() {
            return refuse("host must not begin or end with white space: no server has such a name".to_owned());
        }
        if addresses.iter().any(|text| !text.is_empty() && text.parse::<IpAddr>().is_err()) {
            return refuse("hostaddr must be an IP address".to_owned());
        }
        let ports = items(self.port.as_ref().map(Ports::text).as_deref());
        let ports: Vec<&str> = ports.iter().map(|port| port.trim()).collect();
        if let Some(wrong) = ports.iter().find(|text| !text.is_empty() && !text.parse().is_ok_and(|port: u16| port > 0))
        {
            let shown = wrong.parse().map(|number: i64| format!(", not {number}")).unwrap_or_default();
            return refuse(format!("port must be from 1 to 65535{shown}"));
        }
        let servers = hosts.len().max(addresses.len());
        if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
            return refuse(format!("host names {} servers, hostaddr {}", hosts.len(), addresses.len()));
        }
        if servers > 0 && ports.len() > 1 && ports.len() != servers {
            return refuse(format!("port names {} servers, host {servers}", ports.len()));
        }
        Ok(())
    }

    fn texts(&self) -> [(&'static str, &str); 9] {
        [
            ("host", self.host.as_deref().unwrap_or_default()),
            ("user", self.user.as_deref().unwrap_or_default()),
            ("password", self.password.as_ref().map(Secret::expose).unwrap_or_default()),
            ("dbname", self.dbname.as_deref().unwrap_or_default()),
            ("options", self.options.as_deref().unwrap_or_default()),
            ("application_name", self.application_name.as_deref().unwrap_or_default()),
            ("service", self.service.as_deref().unwrap_or_default()),
            ("role", self.role.as_deref().unwrap_or_default()),
            ("hostaddr", self.hostaddr.as_deref().unwrap_or_default()),
        ]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<PostgresServer, String> {
        let server: PostgresServer = serde_json::from_str(json).map_err(|error| error.to_string())?;
        server.validate().map_err(|error| error.to_string())?;
        Ok(server)
    }

    #[test]
    fn server_with_wrong_field_is_refused_by_name_and_value() {
        let cases = [
            (r#"{"port": 0}"#, "port must be from 1 to 65535, not 0"),
            (r#"{"port": 70000}"#, "port must be from 1 to 65535, not 70000"),
            (r#"{"port": -1}"#, "port must be from 1 to 65535, not -1"),
            (r#"{"port": "5432,x"}"#, "port must be from 1 to 65535"),
            (r#"{"port": 5432.5}"#, "port must be a number from 1 to 65535"),
            (r#"{"host": "a\n"}"#, "host must not begin or end with white space"),
            (r#"{"host": " a, b"}"#, "host must not begin or end with white space"),
            (r#"{"host": "a,b", "port": "1,2,3"}"#, "port names 3 servers, host 2"),
            (r#"{"host": "a,b", "hostaddr": "::1"}"#, "host names 2 servers, hostaddr 1"),
            (r#"{"hostaddr": "db.example.org"}"#, "hostaddr must be an IP address"),
            (r#"{"sslmode": "maybe"}"#, "unknown variant `maybe`, expected one of `disable`"),
            (r#"{"dbname": "a\u0000b"}"#, "dbname must not contain a NUL character"),
            (r#"{"hots": "a"}"#, "unknown field `hots`"),
        ];
        for (json, words) in cases {
            let error = parse(json).unwrap_err();
            assert!(error.contains(words), "{json}: {error}");
        }
    }

    #[test]
    fn server_with_lists_is_accepted() {
        for json in [
            r#"{"host": "", "port": 5432}"#,
            r#"{"host": "a,b", "port": "1,2"}"#,
            r#"{"host": "a,b", "port": "1, "}"#,
            r#"{"host": "a, b"}"#,
            r#"{"host": "a,,b"}"#,
            r#"{"host": "a,b", "port": 1}"#,
            r#"{"host": "a,", "hostaddr": "::1,127.0.0.1"}"#,
            r#"{"sslmode": "verify-full", "target_session_attrs": "prefer-standby", "load_balance_hosts": "random"}"#,
            r#"{"gssencmode": "prefer", "krbsrvname": "postgres", "sslnegotiation": "direct"}"#,
        ] {
            parse(json).unwrap();
        }
    }
}
