//! Every way in which a check can fail to do its work, each with a stable documented code.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Map, Value};

/// What a check was doing when it failed or ran out of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    #[default]
    Start,
    Resolve,
    /// Waiting until other checks have released a connection.
    Queued,
    Connect,
    Tls,
    /// Waiting for the first words of a server that speaks before it is sent credentials.
    Greeting,
    Authenticate,
    Query,
    /// A callable of Python runs.
    Function,
    Lock,
    Close,
}

impl Phase {
    /// The phase in brackets at the end of "Timed out after 5 s (...)".
    pub fn doing(self) -> &'static str {
        match self {
            Self::Start | Self::Queued => "not started",
            Self::Resolve => "while resolving the host name",
            Self::Connect => "while connecting",
            Self::Tls => "during the TLS handshake",
            Self::Greeting => "while waiting for the greeting",
            Self::Authenticate => "during the login",
            Self::Query => "while waiting for the answer",
            Self::Function => "in the function",
            Self::Lock => "while waiting for a lock",
            Self::Close => "while closing the connection",
        }
    }
}

/// Why a check could not do its work. No variant carries text from an unknown source: a message is made from
/// configured, public names (`target` is `host:port` or a path) and from our own words.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CheckError {
    #[error("Timed out after {} s ({})", seconds(*.after), .phase.doing())]
    Timeout { after: Duration, phase: Phase },
    /// Of several paths some have not answered; the details show the others.
    #[error("Timed out after {} s (waiting for {paths})", seconds(*.after))]
    PathTimeout { after: Duration, paths: String },
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
    #[error("the head of the answer of {target} is too large: more than {limit} bytes or {fields} fields")]
    HeadTooLarge { target: String, limit: usize, fields: usize },
    /// The server is there and says that it cannot serve now: too many connections, 5xx, out of memory.
    #[error("{target} cannot serve: {reason}")]
    Unavailable { target: String, reason: Cow<'static, str> },
    /// The server refused this request: a missing right, an unknown database, SQLSTATE 42501.
    #[error("{target} refused the request: {reason}")]
    Rejected { target: String, reason: Cow<'static, str> },
    /// The server answered well, and something else than what is right for this check.
    #[error("{target} answered with {reason}")]
    Unexpected { target: String, reason: Cow<'static, str> },
    /// What is configured cannot be used: a certificate file that is missing, a service that is not defined.
    #[error("{0}")]
    Configuration(String),
    #[error("{class} raised{}", .location.as_deref().map(|l| format!(" in {l}")).unwrap_or_default())]
    Raised { class: String, location: Option<String> },
    /// A text that the check itself meant to be shown, redacted where it was raised.
    #[error("{message}")]
    Failed { class: String, message: String },
    #[error("the check returned {0}")]
    Returned(String),
    #[error("the previous run has not returned: still running for {} s", .seconds)]
    StillRunning { seconds: u64 },
    /// No Python thread took the call: the fault is this process's, and nothing was found out about the check.
    #[error("Not run: no Python thread was free within {} s", seconds(*.after))]
    NotStarted { after: Duration },
    #[error("not run: its engine is gone")]
    Withdrawn,
    #[error("the check failed by a fault of its own; please report it")]
    Panicked,
    /// An error, and what was found out with it.
    #[error("{error}")]
    Detailed { error: Box<CheckError>, details: Map<String, Value> },
}

/// As messages give a time: to the millisecond, in which a part of a timeout is no longer number.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

impl CheckError {
    /// The stable code that stands in `error_type`.
    pub fn code(&self) -> &str {
        match self {
            Self::Timeout { .. } | Self::PathTimeout { .. } => "TimeoutError",
            Self::NameResolution { .. } => "NameResolutionError",
            Self::Refused { .. } => "ConnectionRefusedError",
            Self::Closed { .. } => "ConnectionResetError",
            Self::Unreachable { .. } => "ConnectionError",
            Self::Tls { .. } => "TLSError",
            Self::Authentication { .. } => "AuthenticationError",
            Self::Protocol { .. } => "ProtocolError",
            Self::TooLarge { .. } | Self::HeadTooLarge { .. } => "ResponseTooLargeError",
            Self::Unavailable { .. } => "UnavailableError",
            Self::Rejected { .. } | Self::Unexpected { .. } => "RequestRejectedError",
            Self::Configuration(_) => "ConfigurationError",
            Self::Raised { class, .. } | Self::Failed { class, .. } => class,
            Self::Returned(_) => "TypeError",
            Self::StillRunning { .. } => "StillRunningError",
            Self::NotStarted { .. } => "NotStartedError",
            Self::Withdrawn => "WithdrawnError",
            Self::Panicked => "InternalError",
            Self::Detailed { error, .. } => error.code(),
        }
    }

    /// Whether it is about time: the check's own, or a shorter one of a part of its work.
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::PathTimeout { .. } => true,
            Self::Detailed { error, .. } => error.is_timeout(),
            _ => false,
        }
    }

    /// Whether it is that no answer came, or no connection.
    pub fn is_of_the_server(&self) -> bool {
        const CODES: [&str; 5] = [
            "NameResolutionError",
            "ConnectionRefusedError",
            "ConnectionResetError",
            "ConnectionError",
            "UnavailableError",
        ];
        self.is_timeout() || CODES.contains(&self.code())
    }

    /// Whether a circuit breaker counts it: the dependency is ill, as opposed to misconfigured by us.
    pub fn trips_breaker(&self) -> bool {
        match self {
            Self::Authentication { .. }
            | Self::Rejected { .. }
            | Self::Unexpected { .. }
            | Self::Configuration(_)
            | Self::Returned(_)
            | Self::NotStarted { .. }
            | Self::Withdrawn
            | Self::Panicked => false,
            Self::Detailed { error, .. } => error.trips_breaker(),
            _ => true,
        }
    }

    /// Whether it came of a run. What did not is never stored as a result, and counted by nothing.
    pub fn is_run(&self) -> bool {
        match self {
            Self::NotStarted { .. } | Self::StillRunning { .. } | Self::Withdrawn => false,
            Self::Detailed { error, .. } => error.is_run(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeout_in_messages_to_the_millisecond() {
        let message = |after| CheckError::Timeout { after, phase: Phase::Query }.to_string();
        for (nanos, said) in [(996_830_391, "0.997 s"), (2_000_000_000, "2 s"), (500_000_000, "0.5 s")] {
            let expected = format!("Timed out after {said} (while waiting for the answer)");
            assert_eq!(message(Duration::from_nanos(nanos)), expected);
        }
    }
}
