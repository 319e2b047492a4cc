//! A PostgreSQL server by its URL, as libpq writes it: several hosts, and parameters behind a question mark.

use std::fmt::{self, Formatter};

use percent_encoding::percent_decode_str;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::connect::WITHOUT_EFFECT;
use super::spec::PostgresServer;
use crate::model::SpecError;

const SCHEMES: [&str; 2] = ["postgresql://", "postgres://"];
/// Parameters that are numbers.
const NUMBERS: [&str; 2] = ["port", "connect_timeout"];

/// Everything but the URL, for which the others stand once it was read.
macro_rules! fields {
    ($($field:ident),*) => {
        const FIELDS: &[&str] = &[$(stringify!($field)),*];

        impl PostgresServer {
            /// The same server, with what is left out taken from another.
            fn or(self, other: Self) -> Self {
                Self { url: None, $($field: self.$field.or(other.$field)),* }
            }

            /// The server with these fields. Each is deserialized alone: the derived code, compiled for one more
            /// deserializer, has 19 KB.
            fn with_fields(mut given: Map<String, Value>) -> serde_json::Result<Self> {
                Ok(Self {
                    url: None,
                    $($field: given.remove(stringify!($field)).map(Deserialize::deserialize).transpose()?),*
                })
            }
        }
    };
}

fields!(
    host,
    hostaddr,
    port,
    user,
    password,
    dbname,
    target_session_attrs,
    load_balance_hosts,
    sslmode,
    sslnegotiation,
    sslrootcert,
    sslcert,
    sslkey,
    sslpassword,
    sslcrl,
    sslcrldir,
    channel_binding,
    connect_timeout,
    options,
    application_name,
    service,
    passfile,
    gssencmode,
    krbsrvname,
    gsslib,
    gssdelegation,
    role
);

/// The fields that a URL names, by the words of `PostgresServer`.
pub fn parse_url(url: &str) -> Result<Map<String, Value>, SpecError> {
    parse(url, FIELDS)
}

/// A server by its fields, or by a URL alone.
struct ServerVisitor;

impl<'de> Visitor<'de> for ServerVisitor {
    type Value = PostgresServer;

    fn expecting(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("a dict or a postgresql:// URL")
    }

    fn visit_str<E: Error>(self, url: &str) -> Result<PostgresServer, E> {
        PostgresServer::from_url(url).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<PostgresServer, A::Error> {
        let server = PostgresServer::deserialize(MapAccessDeserializer::new(map))?;
        match &server.url {
            Some(url) => PostgresServer::from_url(url.expose()).map(|named| server.or(named)).map_err(A::Error::custom),
            None => Ok(server),
        }
    }
}

impl<'de> Deserialize<'de> for PostgresServer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ServerVisitor)
    }
}

impl PostgresServer {
    fn from_url(url: &str) -> Result<Self, SpecError> {
        Self::with_fields(parse_url(url)?).map_err(|error| SpecError(error.to_string()))
    }
}

/// The fields of a server that `postgresql://user:password@host:5432,other:5433/dbname?sslmode=require` names. No error
/// quotes the URL: an unescaped password may be anywhere in it.
fn parse(text: &str, known: &[&str]) -> Result<Map<String, Value>, SpecError> {
    let wrong = |text: String| Err(SpecError(text));
    let Some(rest) = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)) else {
        return wrong("a PostgreSQL URL starts with postgresql://".to_owned());
    };
    let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, servers) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for server in servers.split(',') {
        let Some((host, port)) = host_and_port(server) else {
            return wrong("the port of a PostgreSQL URL is a whole number below 65536".to_owned());
        };
        hosts.push(decode(host)?);
        ports.push(port.to_owned());
    }
    let mut found = Map::new();
    let mut set = |name: &str, value: String| {
        if !value.is_empty() {
            found.insert(name.to_owned(), value.into());
        }
    };
    set("host", hosts.join(","));
    if ports.iter().any(|port| !port.is_empty()) {
        set("port", ports.join(","));
    }
    set("user", decode(user)?);
    set("password", decode(password)?);
    set("dbname", decode(path)?);
    let parameters = form_urlencoded::parse(query.as_bytes());
    for (name, value) in parameters.filter(|(name, _)| !WITHOUT_EFFECT.contains(&name.as_ref())) {
        found.insert(name.into_owned(), value.into_owned().into());
    }
    for name in NUMBERS {
        let Some(Value::String(text)) = found.get(name) else { continue };
        if !text.contains(',') {
            let Ok(number) = text.parse::<i64>() else {
                return wrong("the port and connect_timeout of a PostgreSQL URL are whole numbers".to_owned());
            };
            found.insert(name.to_owned(), number.into());
        }
    }
    let unknown: Vec<_> = found.keys().map(String::as_str).filter(|name| !known.contains(name)).collect();
    if !unknown.is_empty() {
        let (unknown, known) = (unknown.join(", "), known.join(", "));
        return wrong(format!("unknown parameters in a PostgreSQL URL: {unknown}; known: {known}"));
    }
    Ok(found)
}

/// A host without the brackets of an IPv6 address, and its port or nothing.
fn host_and_port(server: &str) -> Option<(&str, &str)> {
    let (host, port) = match server.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            (host, if port.is_empty() { port } else { port.strip_prefix(':')? })
        }
        None => server.split_once(':').unwrap_or((server, "")),
    };
    (port.is_empty() || port.parse::<u16>().is_ok()).then_some((host, port))
}

fn decode(text: &str) -> Result<String, SpecError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| SpecError("a PostgreSQL URL is UTF-8 where it is %-encoded".to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(json: &str) -> Result<PostgresServer, String> {
        let server: PostgresServer = serde_json::from_str(json).map_err(|error| error.to_string())?;
        server.validate().map_err(|error| error.to_string())?;
        Ok(server)
    }

    #[test]
    fn server_by_url_alone_and_beside_fields() {
        for (json, fields) in [
            (
                r#""postgresql://u%40x:p%2Fw@h:5433/d?sslmode=require""#,
                r#"{"user": "u@x", "password": "p/w", "host": "h", "port": 5433, "dbname": "d", "sslmode": "require"}"#,
            ),
            (r#""postgres://a:1,[::1]/""#, r#"{"host": "a,::1", "port": "1,"}"#),
            (
                r#""postgresql:///d?host=/run/pg&connect_timeout=3&keepalives=1&require_auth=none""#,
                r#"{"host": "/run/pg", "dbname": "d", "connect_timeout": 3}"#,
            ),
            (
                r#"{"url": "postgresql://u:p@h/d", "password": "q", "port": 1}"#,
                r#"{"user": "u", "password": "q", "host": "h", "port": 1, "dbname": "d"}"#,
            ),
        ] {
            assert_eq!(parse(json).unwrap(), parse(fields).unwrap(), "{json}");
        }
    }

    #[test]
    fn server_by_wrong_url_refused_without_secrets() {
        for (url, said) in [
            ("mysql://u:secret@h", "a PostgreSQL URL starts with postgresql://"),
            (
                "postgresql://u:secret@h/d?sslmod=require",
                "unknown parameters in a PostgreSQL URL: sslmod; known: host,",
            ),
            ("postgresql://u:secret@h/d?connect_timeout=secret", "the port and connect_timeout of a PostgreSQL URL"),
            ("postgresql://u:secret/x@h/d", "the port of a PostgreSQL URL"),
            ("postgresql://u:secret@h:99999/d", "the port of a PostgreSQL URL"),
            ("postgresql://u:secret@[::1/d", "the port of a PostgreSQL URL"),
            ("postgresql://u:secret%ff@h/d", "a PostgreSQL URL is UTF-8"),
        ] {
            let error = parse(&format!("{url:?}")).unwrap_err();
            assert!(error.starts_with(said) && !error.contains("secret"), "{url}: {error}");
        }
    }
}
