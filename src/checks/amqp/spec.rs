//! An AMQP broker as configured: its URL or the fields beside it, resolved before the first run.

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use url::{Host, Url};

use super::protocol::{AmqpLogin, MAX_SHORT};
use crate::checks::fields;
use crate::checks::oldest_task::{day, validate_oldest};
use crate::checks::postgres::FinishedTasksOptions;
use crate::checks::thresholds::Thresholds;
use crate::model::{Secret, SpecError};
use crate::net::Tls;

/// What user and password are where neither is given, as for all clients of AMQP.
const GUEST: &str = "guest";
const VHOST: &str = "/";
/// How many queues one check may have.
const MAX_QUEUES: usize = 500;

/// What a missing queue means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingQueue {
    /// It is shown in the details, and nothing else.
    #[default]
    Detail,
    Degraded,
    Error,
}

/// What a specification says of one broker, field by field.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AmqpServerFields {
    /// `amqp://user:password@host:port/vhost`, or `amqps://` for TLS. The default virtual host is `/`; one with a slash in
    /// its name is written `%2F`.
    url: Option<Secret>,
    /// In place of `url`, or before what it says.
    host: Option<String>,
    /// Default 5672, with TLS 5671.
    port: Option<u16>,
    /// Default `guest`.
    username: Option<String>,
    password: Option<Secret>,
    /// Default `/`.
    vhost: Option<String>,
    /// `None`: TLS only with `amqps://`.
    tls: Option<Tls>,
    login: AmqpLogin,
}

/// One AMQP broker: its `url`, or `host` and the other fields.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "AmqpServerFields")]
pub struct AmqpServer {
    pub host: String,
    pub port: u16,
    pub username: String,
    pub password: Secret,
    pub vhost: String,
    /// `None`: no TLS.
    pub tls: Option<Tls>,
    pub login: AmqpLogin,
}

/// What a specification of `amqp` says, field by field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AmqpFields {
    /// `amqp://user:password@host:port/vhost`, or `amqps://` for TLS. The default virtual host is `/`; one with a slash in
    /// its name is written `%2F`.
    #[serde(default)]
    url: Option<Secret>,
    /// In place of `url`, or before what it says.
    #[serde(default)]
    host: Option<String>,
    /// Default 5672, with TLS 5671.
    #[serde(default)]
    port: Option<u16>,
    /// Default `guest`.
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<Secret>,
    /// Default `/`.
    #[serde(default)]
    vhost: Option<String>,
    /// `None`: TLS only with `amqps://`.
    #[serde(default)]
    tls: Option<Tls>,
    /// By user and password, or by the client certificate of `tls`.
    #[serde(default)]
    login: AmqpLogin,
    /// Brokers of which one has to answer, where the first does not.
    #[serde(default)]
    fallbacks: Vec<AmqpServer>,
    /// Queues whose messages and consumers are counted. They are not made.
    #[serde(default)]
    queues: Vec<String>,
    /// What it means that one of `queues` does not exist.
    #[serde(default)]
    missing_queue: MissingQueue,
    /// Publish a message that no queue takes, and wait until it is returned: a broker that is short of memory or disk
    /// accepts connections, and blocks the clients that publish.
    #[serde(default)]
    publish: bool,
    /// The name of the task queue whose broker it is, which the details then show as `backend`.
    #[serde(default)]
    task_queue: Option<String>,
}

/// An AMQP 0-9-1 broker, such as RabbitMQ, accepts the credentials and opens the virtual host; the messages and consumers
/// of `queues` are counted.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "AmqpFields")]
pub struct AmqpCheck {
    pub servers: Vec<AmqpServer>,
    pub queues: Vec<String>,
    pub missing_queue: MissingQueue,
    pub publish: bool,
    pub task_queue: Option<String>,
}

/// What a specification of `amqp_pending_tasks` says, field by field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AmqpPendingTasksFields {
    /// The broker, and those that are used where it does not answer.
    servers: Vec<AmqpServer>,
    /// The queues of the tasks. One that does not exist has no messages.
    queues: Vec<String>,
    /// `http://user:password@host:15672` of RabbitMQ's management plugin, which also knows the messages that workers have
    /// taken and not finished. Default user and password: those of the broker.
    #[serde(default)]
    management_url: Option<Secret>,
    /// TLS of `management_url`.
    #[serde(default)]
    management_tls: Tls,
    /// The depth of the deepest queue.
    #[serde(default = "depth_thresholds")]
    thresholds: Thresholds,
    /// Degraded if the oldest task has waited for longer, in seconds (86,400), as far as the management plugin says; 0 is
    /// no limit.
    #[serde(default = "day")]
    oldest_seconds: f64,
    /// Where the results of finished tasks are in PostgreSQL.
    #[serde(default)]
    finished: Option<FinishedTasksOptions>,
}

/// The messages that wait in the queues of an AMQP broker (100, 500 in the deepest), and the consumers of each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "AmqpPendingTasksFields")]
pub struct AmqpPendingTasksCheck {
    pub servers: Vec<AmqpServer>,
    pub queues: Vec<String>,
    pub management_url: Option<Secret>,
    pub management_tls: Tls,
    pub thresholds: Thresholds,
    pub oldest_seconds: f64,
    pub finished: Option<FinishedTasksOptions>,
}

impl TryFrom<AmqpServerFields> for AmqpServer {
    type Error = SpecError;

    fn try_from(fields: AmqpServerFields) -> Result<Self, SpecError> {
        let url = fields.url.as_ref().map(|url| parse_url(url.expose(), fields.tls.as_ref())).transpose()?;
        let url = url.unwrap_or_default();
        let host = fields.host.or(url.host).ok_or_else(|| SpecError("host or url is required".to_owned()))?;
        let tls = fields.tls.or(url.tls);
        let port = fields.port.or(url.port);
        let server = Self {
            host,
            port: port.unwrap_or(if tls.is_some() { 5671 } else { 5672 }),
            username: fields.username.or(url.username).unwrap_or_else(|| GUEST.to_owned()),
            password: fields.password.or(url.password).unwrap_or_else(|| Secret::new(GUEST)),
            vhost: fields.vhost.or(url.vhost).filter(|name| !name.is_empty()).unwrap_or_else(|| VHOST.to_owned()),
            tls,
            login: fields.login,
        };
        fields::host("amqp: host", &server.host)?;
        fields::port("amqp: port", Some(server.port))?;
        if server.vhost.len() > MAX_SHORT {
            return Err(wrong("vhost must be at most 255 bytes long"));
        }
        if server.username.contains('\0') || server.password.expose().contains('\0') {
            return Err(wrong("username and password must be without a null character"));
        }
        if server.login == AmqpLogin::External && server.tls.as_ref().is_none_or(|tls| tls.cert.is_none()) {
            return Err(wrong("login \"external\" needs tls with cert and key"));
        }
        Ok(server)
    }
}

impl TryFrom<AmqpFields> for AmqpCheck {
    type Error = SpecError;

    fn try_from(fields: AmqpFields) -> Result<Self, SpecError> {
        let AmqpFields { url, host, port, username, password, vhost, tls, login, .. } = fields;
        let first = AmqpServerFields { url, host, port, username, password, vhost, tls, login };
        let mut servers = vec![AmqpServer::try_from(first)?];
        servers.extend(fields.fallbacks);
        let (queues, missing_queue, publish, task_queue) =
            (fields.queues, fields.missing_queue, fields.publish, fields.task_queue);
        check_queues(&queues)?;
        Ok(Self { servers, queues, missing_queue, publish, task_queue })
    }
}

impl TryFrom<AmqpPendingTasksFields> for AmqpPendingTasksCheck {
    type Error = SpecError;

    fn try_from(fields: AmqpPendingTasksFields) -> Result<Self, SpecError> {
        let AmqpPendingTasksFields {
            servers,
            queues,
            management_url,
            management_tls,
            thresholds,
            oldest_seconds,
            finished,
        } = fields;
        if servers.is_empty() {
            return Err(wrong("servers must name at least one broker"));
        }
        if queues.is_empty() {
            return Err(wrong("queues must name at least one queue"));
        }
        check_queues(&queues)?;
        if let Some(url) = &management_url {
            fields::url("management_url", url.expose())?;
        }
        finished.as_ref().map_or(Ok(()), FinishedTasksOptions::validate)?;
        validate_oldest(oldest_seconds)?;
        Ok(Self { servers, queues, management_url, management_tls, thresholds, oldest_seconds, finished })
    }
}

fn check_queues(queues: &[String]) -> Result<(), SpecError> {
    if queues.len() > MAX_QUEUES {
        return Err(wrong(&format!("queues must be at most {MAX_QUEUES}, not {}", queues.len())));
    }
    if queues.iter().any(|name| name.is_empty() || name.len() > MAX_SHORT) {
        return Err(wrong("queues must be names of 1 to 255 bytes"));
    }
    if let Some(name) = queues.iter().find(|name| queues.iter().filter(|other| other == name).count() > 1) {
        return Err(wrong(&format!("queues names {name:?} twice")));
    }
    Ok(())
}

fn wrong(text: &str) -> SpecError {
    SpecError(format!("amqp: {text}"))
}

/// What a URL says.
#[derive(Default)]
struct Parsed {
    host: Option<String>,
    port: Option<u16>,
    username: Option<String>,
    password: Option<Secret>,
    vhost: Option<String>,
    tls: Option<Tls>,
}

/// No error quotes the URL: it may hold a password.
fn parse_url(text: &str, tls: Option<&Tls>) -> Result<Parsed, SpecError> {
    let url = Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => wrong("url must start with amqp:// or amqps://"),
        error => {
            wrong(&format!("url cannot be read: {error} (in a password, characters like / # ? @ must be %-encoded)"))
        }
    })?;
    let secure = match url.scheme() {
        "amqp" => false,
        "amqps" => true,
        other => return Err(wrong(&format!("url must start with amqp:// or amqps://, not {other}:"))),
    };
    if url.fragment().is_some() {
        return Err(wrong("url has a '#'; in a password it must be written %23"));
    }
    let host = match url.host() {
        Some(Host::Domain(name)) => decode(name, "host")?,
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => return Err(wrong("url has no host")),
    };
    let path = url.path().strip_prefix('/').unwrap_or_default();
    let username = decode(url.username(), "user name")?;
    Ok(Parsed {
        host: Some(host).filter(|host| !host.is_empty()),
        port: url.port(),
        username: Some(username).filter(|name| !name.is_empty()),
        password: url.password().map(|text| decode(text, "password").map(Secret::new)).transpose()?,
        vhost: Some(decode(path, "virtual host")?),
        tls: secure.then(|| tls.cloned().unwrap_or_default()),
    })
}

fn decode(text: &str, what: &str) -> Result<String, SpecError> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| wrong(&format!("the {what} of url is not UTF-8")))
}

fn depth_thresholds() -> Thresholds {
    Thresholds::new(100.0, 500.0)
}

#[cfg(test)]
mod tests;
