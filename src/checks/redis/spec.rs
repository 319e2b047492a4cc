//! A Redis server as configured: its URL and the options beside it, parsed before the first probe.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use url::{Host, Url};

use crate::model::{Secret, SpecError};
use crate::net::{Tls, Verify};

/// What a specification says, field by field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RedisFields {
    /// `redis://`, `rediss://` or `unix://`, with user, password and database number as usual. With `sentinels` its
    /// host may be left out, or be the name of the master; `rediss://` then means the sentinels, too.
    url: Secret,
    /// Before those of the URL.
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<Secret>,
    #[serde(default)]
    tls: Tls,
    /// The server is a node of a Redis Cluster, whose state is checked, too.
    #[serde(default)]
    cluster: bool,
    /// `host:port` of further nodes of the cluster (default port 6379): any of them will do. With them the URL's host may
    /// be left out.
    #[serde(default)]
    nodes: Vec<String>,
    /// `host:port` of the sentinels that know the server's address. Default port 26379.
    #[serde(default)]
    sentinels: Vec<String>,
    /// The name under which the sentinels know the master. Default: the URL's host.
    #[serde(default)]
    master: Option<String>,
    #[serde(default)]
    sentinel_username: Option<String>,
    #[serde(default)]
    sentinel_password: Option<Secret>,
    /// TLS of the connections to the sentinels. Default: as the server's.
    #[serde(default)]
    sentinel_tls: Option<Tls>,
    /// Whether the sentinels speak TLS. Default: as the server does, or with `sentinel_tls` yes.
    #[serde(default)]
    sentinel_encrypted: Option<bool>,
}

/// A user of Redis' ACL, or the default one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Credentials {
    pub username: Option<String>,
    pub password: Option<Secret>,
}

impl Credentials {
    fn new(username: Option<String>, password: Option<Secret>) -> Self {
        Self {
            username: username.filter(|name| !name.is_empty()),
            password: password.filter(|password| !password.is_empty()),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.username.is_none() && self.password.is_none()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RedisAddress {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

/// One server, and how to be let in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RedisServer {
    pub address: RedisAddress,
    /// `None`: no TLS.
    pub tls: Option<Tls>,
    pub credentials: Credentials,
    /// The database that its connection selects at login, and keeps; `None` where each run selects its own.
    pub database: Option<u32>,
}

/// What the server is part of.
#[derive(Clone, Debug, PartialEq)]
pub enum Topology {
    Single,
    /// The state of the cluster, by the first of its nodes that is reached.
    Cluster {
        nodes: Vec<RedisServer>,
    },
    /// The address of [`RedisServerOptions::server`] is only the master's name: the sentinels know the real one.
    Sentinel {
        sentinels: Vec<RedisServer>,
        master: String,
    },
}

/// The Redis server at a `redis://`, `rediss://` or `unix://` URL; with `cluster`, all nodes of the cluster it belongs to;
/// with `sentinels`, the server that they call `master`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "RedisFields")]
pub struct RedisServerOptions {
    pub server: RedisServer,
    pub database: Option<u32>,
    pub topology: Topology,
}

/// `PING` and `INFO` of the Redis server at a `redis://`, `rediss://` or `unix://` URL. With `cluster`, also the state
/// of the cluster it belongs to; with `sentinels`, of the server that they call `master`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "RedisFields")]
pub struct RedisCheck(pub RedisServerOptions);

impl TryFrom<RedisFields> for RedisCheck {
    type Error = SpecError;

    fn try_from(fields: RedisFields) -> Result<Self, SpecError> {
        fields.try_into().map(Self)
    }
}

impl TryFrom<RedisFields> for RedisServerOptions {
    type Error = SpecError;

    fn try_from(fields: RedisFields) -> Result<Self, SpecError> {
        let (mut server, database, host_given) = parse_url(fields.url.expose(), &fields.tls)?;
        let Credentials { username, password } = server.credentials;
        server.credentials = Credentials::new(fields.username.or(username), fields.password.or(password));
        let topology = if fields.sentinels.is_empty() {
            let of_sentinels = fields.sentinel_username.is_some()
                || fields.sentinel_password.is_some()
                || fields.sentinel_tls.is_some()
                || fields.sentinel_encrypted.is_some();
            if fields.master.is_some() || of_sentinels {
                return Err(wrong("master and sentinel_* need sentinels, a list of host:port"));
            }
            if fields.cluster || !fields.nodes.is_empty() {
                if matches!(server.address, RedisAddress::Unix(_)) && !fields.nodes.is_empty() {
                    return Err(wrong("a Unix socket has no nodes beside it"));
                }
                let node = |text: &String| {
                    let address = host_and_port("nodes", text, 6379)?;
                    Ok(RedisServer { address, ..server.clone() })
                };
                let mut nodes = fields.nodes.iter().map(node).collect::<Result<Vec<_>, SpecError>>()?;
                if (host_given || nodes.is_empty()) && !nodes.contains(&server) {
                    nodes.insert(0, server.clone());
                }
                Topology::Cluster { nodes }
            } else {
                Topology::Single
            }
        } else {
            let host = match &server.address {
                RedisAddress::Unix(_) => return Err(wrong("a Unix socket has no sentinels")),
                RedisAddress::Tcp { host, .. } => host_given.then(|| host.clone()),
            };
            if fields.cluster || !fields.nodes.is_empty() {
                return Err(wrong("cluster and sentinels exclude each other"));
            }
            let credentials = Credentials::new(fields.sentinel_username, fields.sentinel_password);
            let tls = match (fields.sentinel_tls, fields.sentinel_encrypted) {
                (Some(_), Some(false)) => return Err(wrong("sentinel_tls needs sentinel_encrypted, which is false")),
                (_, Some(false)) => None,
                (Some(tls), _) => Some(tls),
                (None, Some(true)) => server.tls.clone().or_else(|| Some(fields.tls.clone())),
                (None, None) => server.tls.clone(),
            };
            let sentinel = |text: &String| {
                let address = host_and_port("sentinels", text, 26379)?;
                Ok(RedisServer { address, tls: tls.clone(), credentials: credentials.clone(), database: None })
            };
            let sentinels = fields.sentinels.iter().map(sentinel).collect::<Result<_, SpecError>>()?;
            let master = fields.master.or(host).filter(|name| !name.is_empty());
            let master = master.ok_or_else(|| wrong("sentinels need master, the name under which they know it"))?;
            Topology::Sentinel { sentinels, master }
        };
        Ok(Self { server, database, topology })
    }
}

fn wrong(text: &str) -> SpecError {
    SpecError(format!("redis: {text}"))
}

/// A URL as Redis' clients read it; the flag says whether it names a host. No error quotes it: it may hold a password.
fn parse_url(text: &str, tls: &Tls) -> Result<(RedisServer, Option<u32>, bool), SpecError> {
    // Credentials without a host, as in unix://user:password@/path, are fine with Redis' clients only.
    let (parsed, hostless) = match Url::parse(text) {
        Err(url::ParseError::EmptyHost) => (Url::parse(&text.replacen("@/", "@localhost/", 1)), true),
        parsed => (parsed, false),
    };
    let url = parsed.map_err(|error| {
        wrong(&format!("the URL cannot be read: {error} (in a password, characters like / # ? @ must be %-encoded)"))
    })?;
    if url.fragment().is_some() {
        return Err(wrong("the URL has a '#'; in a password it must be written %23"));
    }
    let mut tls = tls.clone();
    let given = tls != Tls::default();
    let mut database = None;
    let mut username = Some(decode(url.username(), "user name")?);
    let mut password = url.password().map(|text| decode(text, "password")).transpose()?;
    // Options that redis-py understands in a URL and that matter here; the fields beside the URL come first.
    for (key, value) in url.query_pairs() {
        let value = value.into_owned();
        match (key.as_ref(), value.as_str()) {
            ("db", number) => database = Some(number.to_owned()),
            ("username", _) => username = Some(value),
            ("password", _) => password = Some(value),
            _ if given => {}
            ("ssl_cert_reqs", _) if is_none(&value) => tls.verify = Verify::Nothing,
            ("ssl_check_hostname", _) if is_false(&value) && tls.verify == Verify::Full => tls.verify = Verify::Chain,
            ("ssl_ca_certs", _) => tls.ca = Some(value.into()),
            ("ssl_certfile", _) => tls.cert = Some(value.into()),
            ("ssl_keyfile", _) => tls.key = Some(value.into()),
            _ => {}
        }
    }
    let (address, tls) = match url.scheme() {
        scheme @ ("redis" | "rediss" | "valkey" | "valkeys") => {
            if database.is_none() {
                database = Some(url.path().trim_matches('/').to_owned()).filter(|path| !path.is_empty());
            }
            let host = match url.host() {
                Some(Host::Domain(name)) => decode(name, "host")?,
                Some(Host::Ipv4(address)) => address.to_string(),
                Some(Host::Ipv6(address)) => address.to_string(),
                None => String::new(),
            };
            let host = if host.is_empty() { "localhost".to_owned() } else { host };
            let port = url.port().unwrap_or(6379);
            if port == 0 {
                return Err(wrong("the URL's port must be from 1 to 65535"));
            }
            let secure = matches!(scheme, "rediss" | "valkeys");
            (RedisAddress::Tcp { host, port }, secure.then_some(tls))
        }
        "unix" | "redis+socket" | "redis+unix" if cfg!(unix) => {
            let path = decode(url.path(), "path")?;
            if url.has_host() && url.host_str() != Some("localhost") || path.trim_matches('/').is_empty() {
                return Err(wrong("the URL of a Unix socket is unix:///path/of/the/socket, with three slashes"));
            }
            (RedisAddress::Unix(path.into()), None)
        }
        "unix" | "redis+socket" | "redis+unix" => return Err(wrong("there are no Unix sockets on this system")),
        _ => return Err(wrong("the URL must begin with redis://, rediss:// or unix://")),
    };
    let number =
        |text: String| text.parse().map_err(|_| wrong("the URL's database must be a number, such as /0 or ?db=0"));
    let database = database.map(number).transpose()?;
    let credentials = Credentials::new(username, password.map(Secret::new));
    Ok((
        RedisServer { address, tls, credentials, database: None },
        database,
        !hostless && url.host_str().is_some_and(|host| !host.is_empty()),
    ))
}

/// Whether a value of `ssl_cert_reqs` means that certificates are not verified: `none`, `CERT_NONE`, `ssl.CERT_NONE`,
/// `VerifyMode.CERT_NONE`, and the number behind them.
fn is_none(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    matches!(value.rsplit('.').next(), Some("none" | "cert_none" | "0"))
}

/// Whether redis-py takes a value of `ssl_check_hostname` for false.
fn is_false(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "0" | "f" | "false" | "n" | "no")
}

fn decode(text: &str, what: &str) -> Result<String, SpecError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| wrong(&format!("the URL's {what} is not UTF-8")))
}

fn host_and_port(field: &str, text: &str, port: u16) -> Result<RedisAddress, SpecError> {
    let error = || wrong(&format!("each of {field} must be host:port, such as 10.0.0.1:{port}"));
    let default = port.to_string();
    // An IPv6 address alone is full of colons.
    let bare = text.parse::<std::net::Ipv6Addr>().is_ok() || text.ends_with(']') || !text.contains(':');
    let (host, port) = if bare { (text, default.as_str()) } else { text.rsplit_once(':').ok_or_else(error)? };
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(error)?;
    let host = host.trim_matches(['[', ']']);
    if host.is_empty() || host.contains(['/', '@', ' ']) {
        return Err(error());
    }
    Ok(RedisAddress::Tcp { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests;
