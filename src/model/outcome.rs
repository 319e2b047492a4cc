//! What a check found, and what one run of it came to.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::circuit::CircuitStatus;
use super::clock;
use super::error::CheckError;
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
    pub circuit: Option<CircuitStatus>,
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
                let ran = error.is_run();
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
