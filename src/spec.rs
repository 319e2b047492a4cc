//! What is to be checked and how, as validated, immutable values: whatever can be wrong is found before the first probe.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// A wrong specification, saying what was wrong and what would be right. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SpecError(pub String);

impl SpecError {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// A value that can be used but not shown: it implements neither `Display` nor `Serialize`, and its `Debug` is fixed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the moment in which it goes on the wire.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(...)")
    }
}

impl Hash for Secret {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde quotes the offending value in "invalid type" errors; a secret must not end up there.
        String::deserialize(deserializer).map(Self).map_err(|_| serde::de::Error::custom("a secret must be a string"))
    }
}

/// Where a measured value turns a result degraded, and where it turns it into an error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    pub degraded_above: f64,
    pub error_above: f64,
}

impl Thresholds {
    pub const PERCENT: Self = Self { degraded_above: 80.0, error_above: 90.0 };

    pub fn judge(&self, value: f64) -> crate::outcome::Status {
        use crate::outcome::Status;
        if value > self.error_above {
            Status::Error
        } else if value > self.degraded_above {
            Status::Degraded
        } else {
            Status::Healthy
        }
    }
}

impl<'de> Deserialize<'de> for Thresholds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Raw {
            degraded_above: f64,
            error_above: f64,
        }
        let Raw { degraded_above, error_above } = Raw::deserialize(deserializer)?;
        if !(degraded_above >= 0.0 && degraded_above <= error_above && error_above.is_finite()) {
            return Err(serde::de::Error::custom(format!(
                "thresholds: degraded_above ({degraded_above}) must be a number from 0 to error_above ({error_above})"
            )));
        }
        Ok(Self { degraded_above, error_above })
    }
}

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

/// The task queue's tables are there.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskTables {
    pub server: PostgresServer,
    pub backend: String,
    pub tables: Vec<String>,
    /// False: where none of the tables exists the check is skipped.
    #[serde(default = "yes")]
    pub required: bool,
}

/// Depth of each queue and the age of its oldest task.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingTasks {
    pub server: PostgresServer,
    /// One `SELECT` of three columns: queue (text), depth (integer), oldest (timestamp, may be null).
    pub sql: String,
    /// The tables that `sql` reads.
    pub tables: Vec<String>,
    #[serde(default = "yes")]
    pub required: bool,
    #[serde(default = "depth_thresholds")]
    pub thresholds: Thresholds,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailedTasks {
    pub server: PostgresServer,
    /// One `SELECT count(*)`; `{since}` stands for the start of the window.
    pub sql: String,
    pub tables: Vec<String>,
    #[serde(default = "yes")]
    pub required: bool,
    #[serde(default = "failure_window")]
    pub window_minutes: u32,
    #[serde(default = "failure_thresholds")]
    pub thresholds: Thresholds,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskWorkers {
    pub server: PostgresServer,
    /// One `SELECT count(*)`; `{since}` stands for the start of the window.
    pub sql: String,
    pub tables: Vec<String>,
    #[serde(default = "yes")]
    pub required: bool,
    #[serde(default = "heartbeat_window")]
    pub heartbeat_window_minutes: u32,
    #[serde(default = "one")]
    pub expected_workers: u32,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// `redis://`, `rediss://` or `unix://`, with user, password and database number as usual.
    pub url: Secret,
    #[serde(default)]
    pub username: Option<String>,
    #[serde(default)]
    pub password: Option<Secret>,
    #[serde(default)]
    pub tls: Tls,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum MqttProtocol {
    #[default]
    #[serde(rename = "3.1.1")]
    V311,
    #[serde(rename = "5")]
    V5,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mqtt {
    pub host: String,
    /// Default 1883, with TLS 8883.
    #[serde(default)]
    pub port: Option<u16>,
    #[serde(default)]
    pub username: Option<String>,
    #[serde(default)]
    pub password: Option<Secret>,
    /// `None`: no TLS.
    #[serde(default)]
    pub tls: Option<Tls>,
    #[serde(default)]
    pub protocol: MqttProtocol,
    /// Publish below this topic and receive it back, e.g. `lifesigns/`; a unique name is appended.
    #[serde(default)]
    pub round_trip_topic: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpSecurity {
    None,
    Starttls,
    Tls,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smtp {
    pub host: String,
    /// Default 25, 587 (starttls) or 465 (tls).
    #[serde(default)]
    pub port: Option<u16>,
    #[serde(default)]
    pub username: Option<String>,
    #[serde(default)]
    pub password: Option<Secret>,
    pub security: SmtpSecurity,
    #[serde(default)]
    pub tls: Tls,
}

/// A `GET` of one URL.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    pub url: Secret,
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    #[serde(default = "ok")]
    pub expect_status: u16,
    #[serde(default)]
    pub tls: Tls,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoogleMaps {
    pub api_key: Secret,
    #[serde(default)]
    pub base_url: Option<String>,
    #[serde(default)]
    pub tls: Tls,
}

/// OpenAI's API, or one that speaks it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenAi {
    pub api_key: Secret,
    /// With the version, as OpenAI's own clients take it: `https://api.openai.com/v1`.
    #[serde(default)]
    pub base_url: Option<String>,
    #[serde(default)]
    pub tls: Tls,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anthropic {
    pub api_key: Secret,
    /// Without the version, as Anthropic's own clients take it: `https://api.anthropic.com`.
    #[serde(default)]
    pub base_url: Option<String>,
    #[serde(default)]
    pub tls: Tls,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    pub host: String,
    pub port: u16,
    #[serde(default)]
    pub tls: Option<Tls>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    pub paths: Vec<PathBuf>,
    /// Share of the space, and of the inodes, in use, in percent.
    #[serde(default = "percent_thresholds")]
    pub thresholds: Thresholds,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    #[serde(default = "percent_thresholds")]
    pub thresholds: Thresholds,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// One-minute load average per available CPU.
    #[serde(default = "load_thresholds")]
    pub thresholds: Thresholds,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    pub path: PathBuf,
    /// Not writable: an error if critical, else degraded.
    #[serde(default = "yes")]
    pub critical: bool,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directories {
    /// By the name under which the directory stands in the details.
    pub directories: BTreeMap<String, Directory>,
}

/// A check that has no target here: always skipped, with the reason.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skipped {
    pub reason: String,
}

/// Every kind of native check.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    Postgres(Postgres),
    Postgis(Postgres),
    PostgresFunctions(PostgresFunctions),
    PostgresStatements(PostgresStatements),
    PostgresConnections(PostgresConnections),
    MaterializedViews(MaterializedViews),
    TaskTables(TaskTables),
    PendingTasks(PendingTasks),
    FailedTasks(FailedTasks),
    TaskWorkers(TaskWorkers),
    Redis(Redis),
    Mqtt(Mqtt),
    Smtp(Smtp),
    Http(Http),
    GoogleMaps(GoogleMaps),
    #[serde(rename = "openai")]
    OpenAi(OpenAi),
    Anthropic(Anthropic),
    Tcp(Tcp),
    Disk(Disk),
    Memory(Memory),
    Cpu(Cpu),
    Directories(Directories),
    Skipped(Skipped),
}

/// When a circuit breaker opens and for how long. At least one of the three rules is set.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerSpec {
    /// Opens after this many failures in a row.
    pub failures: Option<u32>,
    /// Opens when this share (0 to 1) of the calls in the window failed.
    pub failure_rate: Option<f64>,
    /// Opens when this share (0 to 1) of the calls in the window took longer than `slow_call`.
    pub slow_call_rate: Option<f64>,
    #[serde(deserialize_with = "seconds")]
    pub slow_call: Duration,
    /// The rates look at the last `window_calls` calls, not older than `window`.
    pub window_calls: usize,
    #[serde(deserialize_with = "seconds")]
    pub window: Duration,
    /// The rates say nothing before this many calls.
    pub minimum_calls: usize,
    /// How long it stays open the first time; doubled with each failed trial.
    #[serde(deserialize_with = "seconds")]
    pub wait: Duration,
    #[serde(deserialize_with = "seconds")]
    pub max_wait: Duration,
}

impl Default for BreakerSpec {
    fn default() -> Self {
        Self {
            failures: Some(3),
            failure_rate: None,
            slow_call_rate: None,
            slow_call: Duration::from_secs(1),
            window_calls: 20,
            window: Duration::from_secs(600),
            minimum_calls: 10,
            wait: Duration::from_secs(30),
            max_wait: Duration::from_secs(600),
        }
    }
}

impl BreakerSpec {
    fn validate(&self) -> Result<(), SpecError> {
        let rate = |name: &str, value: Option<f64>| match value {
            Some(rate) if !(rate > 0.0 && rate <= 1.0) => {
                Err(SpecError(format!("breaker: {name} must be above 0 and at most 1, not {rate}")))
            }
            _ => Ok(()),
        };
        rate("failure_rate", self.failure_rate)?;
        rate("slow_call_rate", self.slow_call_rate)?;
        if self.failures.is_none() && self.failure_rate.is_none() && self.slow_call_rate.is_none() {
            return Err(SpecError::new("breaker: one of failures, failure_rate, slow_call_rate must be set"));
        }
        if self.failures == Some(0) || self.minimum_calls == 0 || self.window_calls < self.minimum_calls {
            return Err(SpecError::new(
                "breaker: failures and minimum_calls must be at least 1, window_calls at least minimum_calls",
            ));
        }
        if self.wait.is_zero() || self.max_wait < self.wait {
            return Err(SpecError::new("breaker: wait must be above 0 s and at most max_wait"));
        }
        Ok(())
    }
}

/// How a check is run, whatever it does.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckSpec {
    pub name: String,
    pub critical: bool,
    pub timeout: Duration,
    pub ttl: Duration,
    pub breaker: Option<BreakerSpec>,
    pub depends_on: Vec<String>,
    /// In a row, before an error is shown, and before it is taken back.
    pub failures_before_error: u32,
    pub successes_before_healthy: u32,
}

impl CheckSpec {
    /// A critical check with nothing special about it.
    pub fn new(name: impl Into<String>, timeout: Duration, ttl: Duration) -> Self {
        Self {
            name: name.into(),
            critical: true,
            timeout,
            ttl,
            breaker: None,
            depends_on: Vec::new(),
            failures_before_error: 1,
            successes_before_healthy: 1,
        }
    }

    /// Checks what can be wrong about a specification by itself.
    pub fn validate(&self) -> Result<(), SpecError> {
        let name = &self.name;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.';
        if name.is_empty() || name.len() > 100 || !name.chars().all(plain) {
            return Err(SpecError(format!(
                "the name {name:?} must be 1 to 100 letters, digits, '_', '-' or '.': it stands in URLs and metrics"
            )));
        }
        if self.failures_before_error == 0 || self.successes_before_healthy == 0 {
            return Err(SpecError(format!(
                "{name}: failures_before_error and successes_before_healthy must be at least 1"
            )));
        }
        self.breaker.as_ref().map_or(Ok(()), BreakerSpec::validate)
    }
}

/// A number of seconds as a duration: finite and above 0 (`what` names it in the error).
pub fn positive_seconds(what: &str, value: f64) -> Result<Duration, SpecError> {
    let duration = Duration::try_from_secs_f64(value).ok().filter(|d| !d.is_zero() && *d < Duration::from_secs(86_400));
    duration
        .ok_or_else(|| SpecError(format!("{what} must be a number of seconds above 0 and below 86400, not {value}")))
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    positive_seconds("a breaker's time", f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

fn ok() -> u16 {
    200
}

fn slow_ms() -> f64 {
    100.0
}

fn failure_window() -> u32 {
    60
}

fn heartbeat_window() -> u32 {
    5
}

fn percent_thresholds() -> Thresholds {
    Thresholds::PERCENT
}

fn load_thresholds() -> Thresholds {
    Thresholds { degraded_above: 0.7, error_above: 0.9 }
}

fn statement_thresholds() -> Thresholds {
    Thresholds { degraded_above: 10.0, error_above: 30.0 }
}

fn connection_thresholds() -> Thresholds {
    Thresholds { degraded_above: 70.0, error_above: 90.0 }
}

fn depth_thresholds() -> Thresholds {
    Thresholds { degraded_above: 100.0, error_above: 500.0 }
}

fn failure_thresholds() -> Thresholds {
    Thresholds { degraded_above: 5.0, error_above: 20.0 }
}
