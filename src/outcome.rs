//! What a check found, and every way in which it can fail to find it.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::breaker::State;
use crate::clock;

/// The four states of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Healthy,
    Degraded,
    Error,
    Skipped,
}

impl Status {
    pub const ALL: [Self; 4] = [Self::Healthy, Self::Degraded, Self::Error, Self::Skipped];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Error => "error",
            Self::Skipped => "skipped",
        }
    }
}

/// What a check that could do its work found: facts for the report, without a judgement of the whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub status: Status,
    pub message: String,
    pub details: Map<String, Value>,
}

impl Finding {
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), details: Map::new() }
    }

    pub fn healthy(message: impl Into<String>) -> Self {
        Self::new(Status::Healthy, message)
    }

    pub fn degraded(message: impl Into<String>) -> Self {
        Self::new(Status::Degraded, message)
    }

    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Status::Error, message)
    }

    pub fn skipped(message: impl Into<String>) -> Self {
        Self::new(Status::Skipped, message)
    }

    /// The same finding with one more detail.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }
}

/// The state of a check's circuit breaker, as a result shows it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Circuit {
    pub state: State,
    pub retry_after: Option<Duration>,
}

/// How details, which may be anything, stand in the store: as JSON, since its format tells no types.
mod details {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer, ser};
    use serde_json::{Map, Value};

    pub fn serialize<S: Serializer>(details: &Map<String, Value>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&serde_json::to_string(details).map_err(ser::Error::custom)?)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
        serde_json::from_str(<&str>::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// What came of one attempt to get an answer from a check: a run, or the reason why it was not run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub status: Status,
    /// What the run itself said, where hysteresis holds the status back.
    pub raw_status: Option<Status>,
    pub message: String,
    #[serde(with = "details")]
    pub details: Map<String, Value>,
    pub error_type: Option<String>,
    /// The check's timeout, if that is what ended it.
    pub timeout: Option<Duration>,
    pub circuit: Option<Circuit>,
    /// The check in error on which this one depends.
    pub blocked_by: Option<String>,
    /// False: nothing was run, so there is nothing worth keeping.
    pub ran: bool,
    pub at: SystemTime,
    #[serde(with = "clock::instant")]
    pub finished: Instant,
    pub took: Duration,
}

impl Outcome {
    /// The outcome of a run that began at `started`.
    pub fn of(result: Result<Finding, CheckError>, started: Instant) -> Self {
        let finished = Instant::now();
        let (finding, error_type, timeout, ran) = match result {
            Ok(finding) => (finding, None, None, true),
            Err(error) => {
                let timeout = if let CheckError::Timeout { after, .. } = error { Some(after) } else { None };
                let ran = !matches!(error, CheckError::StillRunning { .. } | CheckError::Withdrawn);
                let finding = Finding { details: error.details(), ..Finding::error(error.to_string()) };
                (finding, Some(error.code().to_owned()), timeout, ran)
            }
        };
        Self {
            status: finding.status,
            raw_status: None,
            message: finding.message,
            details: finding.details,
            error_type,
            timeout,
            circuit: None,
            blocked_by: None,
            ran,
            at: clock::time_of_day(finished),
            finished,
            took: finished.duration_since(started),
        }
    }

    /// An error that took no run to find.
    pub fn refused(message: String, error_type: &str) -> Self {
        let now = Instant::now();
        let outcome = Self::of(Ok(Finding::error(message)), now);
        Self { error_type: Some(error_type.to_owned()), ran: false, ..outcome }
    }
}

/// What a check was doing when it failed or ran out of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    #[default]
    Start,
    Resolve,
    Connect,
    Tls,
    Authenticate,
    Query,
    Lock,
    Close,
}

impl Phase {
    /// The phase as the end of "no answer within 5 s ...".
    pub fn doing(self) -> &'static str {
        match self {
            Self::Start => "before it got anywhere",
            Self::Resolve => "while resolving the host name",
            Self::Connect => "while connecting",
            Self::Tls => "during the TLS handshake",
            Self::Authenticate => "while authenticating",
            Self::Query => "while waiting for the answer",
            Self::Lock => "while waiting for a lock",
            Self::Close => "while closing the connection",
        }
    }

    pub(crate) fn from_u8(value: u8) -> Self {
        [Self::Start, Self::Resolve, Self::Connect, Self::Tls, Self::Authenticate, Self::Query, Self::Lock, Self::Close]
            .get(usize::from(value))
            .copied()
            .unwrap_or_default()
    }
}

/// Why a check could not do its work. No variant carries text from an unknown source: a message is made from
/// configured, public names (`target` is `host:port` or a path) and from our own words.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CheckError {
    #[error("no answer within {} s, {}", .after.as_secs_f64(), .phase.doing())]
    Timeout { after: Duration, phase: Phase },
    #[error("the host name {host} does not resolve")]
    NameResolution { host: String },
    #[error("{target} refused the connection")]
    Refused { target: String },
    #[error("{target} closed the connection {}", .phase.doing())]
    Closed { target: String, phase: Phase },
    #[error("{target} cannot be reached: {reason}")]
    Unreachable { target: String, reason: Cow<'static, str> },
    #[error("TLS with {target} failed: {reason}")]
    Tls { target: String, reason: Cow<'static, str> },
    #[error("{target} rejected the credentials: {reason}")]
    Authentication { target: String, reason: Cow<'static, str> },
    #[error("{target} does not speak {expected}")]
    Protocol { target: String, expected: Cow<'static, str> },
    #[error("{target} answered more than {limit} bytes")]
    TooLarge { target: String, limit: usize },
    /// The server is there and says that it cannot serve now: too many connections, 5xx, out of memory.
    #[error("{target} cannot serve: {reason}")]
    Unavailable { target: String, reason: Cow<'static, str> },
    /// The server refused this request: a missing right, an unknown database, SQLSTATE 42501.
    #[error("{target} refused the request: {reason}")]
    Rejected { target: String, reason: Cow<'static, str> },
    /// What is configured cannot be used: a certificate file that is missing, a service that is not defined.
    #[error("{0}")]
    Configuration(String),
    #[error("{class} raised{}", .location.as_deref().map(|l| format!(" in {l}")).unwrap_or_default())]
    Raised { class: String, location: Option<String> },
    #[error("the check returned {0}")]
    Returned(String),
    #[error("the previous run has not returned: still running for {} s", .seconds)]
    StillRunning { seconds: u64 },
    #[error("not run: its engine is gone")]
    Withdrawn,
    #[error("the check failed by a fault of its own; please report it")]
    Panicked,
    /// An error, and what was found out with it.
    #[error("{error}")]
    Detailed { error: Box<CheckError>, details: Map<String, Value> },
}

impl CheckError {
    /// The stable code that stands in `error_type`.
    pub fn code(&self) -> &str {
        match self {
            Self::Timeout { .. } => "TimeoutError",
            Self::NameResolution { .. } => "NameResolutionError",
            Self::Refused { .. } => "ConnectionRefusedError",
            Self::Closed { .. } => "ConnectionResetError",
            Self::Unreachable { .. } => "ConnectionError",
            Self::Tls { .. } => "TLSError",
            Self::Authentication { .. } => "AuthenticationError",
            Self::Protocol { .. } => "ProtocolError",
            Self::TooLarge { .. } => "ResponseTooLargeError",
            Self::Unavailable { .. } => "UnavailableError",
            Self::Rejected { .. } => "RequestRejectedError",
            Self::Configuration(_) => "ConfigurationError",
            Self::Raised { class, .. } => class,
            Self::Returned(_) => "TypeError",
            Self::StillRunning { .. } => "StillRunningError",
            Self::Withdrawn => "WithdrawnError",
            Self::Panicked => "InternalError",
            Self::Detailed { error, .. } => error.code(),
        }
    }

    /// Whether a circuit breaker counts it: the dependency is ill, as opposed to misconfigured by us.
    pub fn trips_breaker(&self) -> bool {
        match self {
            Self::Authentication { .. }
            | Self::Rejected { .. }
            | Self::Configuration(_)
            | Self::Returned(_)
            | Self::Withdrawn
            | Self::Panicked => false,
            Self::Detailed { error, .. } => error.trips_breaker(),
            _ => true,
        }
    }

    /// The same error with one more detail for the report.
    #[must_use]
    pub fn with(self, key: &str, value: impl Into<Value>) -> Self {
        let (error, mut details) = match self {
            Self::Detailed { error, details } => (error, details),
            error => (Box::new(error), Map::new()),
        };
        details.insert(key.to_owned(), value.into());
        Self::Detailed { error, details }
    }

    /// What was found out with it.
    pub fn details(&self) -> Map<String, Value> {
        match self {
            Self::Detailed { details, .. } => details.clone(),
            _ => Map::new(),
        }
    }
}
