//! What a check found, what one run of it came to, and why there was no run.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::clock;
use super::error::{CheckError, Phase};
use super::status::Status;

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

/// How details, which may be anything, are stored: as JSON, since the store's format carries no types.
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

/// What one run of a check came to, or an answer that was derived without a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub status: Status,
    /// What the run itself found, where hysteresis holds the status back.
    pub raw_status: Option<Status>,
    pub message: String,
    #[serde(with = "details")]
    pub details: Map<String, Value>,
    pub error_type: Option<String>,
    /// The check's timeout, if it ended for lack of time.
    pub timeout: Option<Duration>,
    pub at: SystemTime,
    #[serde(with = "clock::instant")]
    pub finished: Instant,
    /// Of the check's own run, without what it waited for before.
    pub duration: Duration,
    /// The host of the fleet that has run it, if it was another one.
    pub found_by: Option<String>,
}

impl Outcome {
    /// The outcome of a run that started at `started`, and had `timeout`.
    pub fn of(result: Result<Finding, CheckError>, started: Instant, timeout: Duration) -> Self {
        let finished = Instant::now();
        let (finding, error_type, timeout) = match result {
            Ok(finding) => (finding, None, None),
            Err(error) => {
                let timeout = error.is_timeout().then_some(timeout);
                let finding = Finding { details: error.details(), ..Finding::error(error.to_string()) };
                (finding, Some(error.code().to_owned()), timeout)
            }
        };
        Self {
            status: finding.status,
            raw_status: None,
            message: finding.message,
            details: finding.details,
            error_type,
            timeout,
            at: SystemTime::now(),
            finished,
            duration: finished.saturating_duration_since(started),
            found_by: None,
        }
    }

    /// The same; an error with the server that it is about, if that is known.
    #[must_use]
    pub fn about(mut self, server: Option<&str>) -> Self {
        if let (Status::Error, Some(server)) = (self.status, server) {
            self.details.entry("server").or_insert_with(|| server.into());
        }
        self
    }

    /// Adds to the message why the status is another one than the run found.
    pub fn explain(&mut self, reason: String) {
        self.message = match self.message.as_str() {
            "" => reason,
            message => format!("{message} ({reason})"),
        };
    }

    /// An error that is derived for an answer, and never stored.
    pub fn derived(message: String, error_type: &str) -> Self {
        let outcome = Self::of(Ok(Finding::error(message)), Instant::now(), Duration::ZERO);
        Self { error_type: Some(error_type.to_owned()), ..outcome }
    }
}

/// The last run of a check that ended in error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastError {
    pub message: String,
    pub error_type: Option<String>,
    pub at: SystemTime,
}

impl LastError {
    pub fn of(outcome: &Outcome) -> Self {
        Self { message: outcome.message.clone(), error_type: outcome.error_type.clone(), at: outcome.at }
    }
}

/// Why a check was not run. Derived for each answer; counted by no breaker, hysteresis, metric or history.
#[derive(Clone, Debug, PartialEq)]
pub enum NotRun {
    /// The previous call of the callable has not returned.
    StillRunning { seconds: u64 },
    /// A fault of this process: no thread of it could start the callable in time, other checks held its connections to
    /// the server, or the run was dropped.
    Observer,
    /// The parent is in error, or has not answered within the check's timeout.
    Blocked { parent: String, answered: bool },
    /// The circuit breaker does not allow a run.
    CircuitOpen { retry_after: Option<Duration> },
    /// The engine of the callable is gone.
    Withdrawn,
    /// The store of the fleet cannot be reached, and it is not this host's turn to run the check for itself.
    Limited { retry_after: Duration },
}

impl NotRun {
    /// The answer to show, unless what was known before is shown instead: see [`Self::keeps_last_result`].
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::StillRunning { seconds } => {
                let message = format!("Still running for {seconds} s: the previous run has not returned");
                Outcome::derived(message, "StillRunningError")
            }
            Self::Observer => pending(None),
            Self::Blocked { parent, answered: true } => {
                Outcome::derived(format!("Not run: {parent} is in error"), "DependencyError")
            }
            Self::Blocked { parent, answered: false } => {
                Outcome::derived(format!("Not run: {parent} has not answered"), "DependencyError")
            }
            Self::CircuitOpen { retry_after } => {
                let message = match retry_after {
                    Some(wait) => format!("Circuit breaker open: next attempt in {} s", wait.as_secs_f64().ceil()),
                    None => "Circuit breaker open".to_owned(),
                };
                Outcome::derived(message, "CircuitOpenError")
            }
            Self::Limited { retry_after } => {
                let wait = retry_after.as_secs_f64().ceil();
                let message = format!("Not run: the fleet's store cannot be reached; next run here in {wait} s");
                Outcome { status: Status::Skipped, error_type: None, ..Outcome::derived(message, "") }
            }
            Self::Withdrawn => Outcome::derived("Not run: its engine is gone".to_owned(), "WithdrawnError"),
        }
    }

    /// Whether the last result stands until it is stale: a fault of the observer says nothing about the observed.
    pub fn keeps_last_result(&self) -> bool {
        matches!(self, Self::Observer | Self::Limited { .. } | Self::Blocked { answered: false, .. })
    }
}

/// The answer where nothing is known yet, and what the run that is awaited is doing.
pub fn pending(phase: Option<Phase>) -> Outcome {
    let message = match phase {
        Some(phase) => format!("No result yet ({})", phase.doing()),
        None => "No result yet".to_owned(),
    };
    Outcome::derived(message, "PendingError")
}
