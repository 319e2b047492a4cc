//! Incidents as the outside learns of them: how urgent, and what each notice of one says.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::status::Status;

/// What starts the name of a subject of alerts that is the objective of a check. No name of a check has such a sign.
pub const OBJECTIVE: &str = "objective:";

/// The check that a subject of alerts is about: itself, or the one whose objective it is.
pub fn check_of(subject: &str) -> &str {
    subject.strip_prefix(OBJECTIVE).unwrap_or(subject)
}

/// How urgent an incident is, in PagerDuty's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A check is degraded.
    Warning,
    /// A check that is not critical is in error.
    Error,
    /// A critical check is in error, or the application is not ready.
    Critical,
}

impl Severity {
    pub const ALL: [Self; 3] = [Self::Warning, Self::Error, Self::Critical];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoticeKind {
    Triggered,
    Acknowledged,
    Reminded,
    Resolved,
}

impl NoticeKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Triggered => "triggered",
            Self::Acknowledged => "acknowledged",
            Self::Reminded => "reminded",
            Self::Resolved => "resolved",
        }
    }
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// On how many of the known instances a check fails, and on which: of an incident that is over, on which it has failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instances {
    pub failing: u32,
    pub total: u32,
    pub names: Vec<String>,
}

/// One message about an incident, for whichever channel. Bounded in length, and holds no secret. Python has times in
/// seconds since 1970.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// The same for all attempts to deliver it: without dots, so that it can be signed.
    pub id: String,
    pub kind: NoticeKind,
    #[serde(deserialize_with = "seconds_since_1970")]
    pub at: SystemTime,
    /// `lifesigns/<application>/<check>`: by it a receiver knows what belongs together.
    pub dedup_key: String,
    /// Another one for each incident of the same check.
    pub incident_id: String,
    pub application: String,
    pub check: String,
    /// What the check shows now: `healthy` in most that are resolved.
    pub status: Status,
    pub severity: Severity,
    /// Since when the check has failed.
    #[serde(deserialize_with = "seconds_since_1970")]
    pub since: SystemTime,
    /// The last error, or how it ended.
    pub message: String,
    /// The checks that wait for this one.
    #[serde(default)]
    pub blocked: Vec<String>,
    /// What was done about it, and what came of that.
    #[serde(default)]
    pub actions: Vec<String>,
    #[serde(default)]
    pub instances: Instances,
    /// Whether the check changes too often for each change to be sent.
    #[serde(default)]
    pub is_flapping: bool,
    /// Whether it only tries a channel.
    #[serde(default)]
    pub is_test: bool,
    /// Who has acknowledged it.
    pub acknowledged_by: Option<String>,
    pub runbook: Option<String>,
    /// Of the dashboard.
    pub url: Option<String>,
}

fn seconds_since_1970<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
    let since = Duration::try_from_secs_f64(f64::deserialize(deserializer)?).ok();
    let time = since.and_then(|since| UNIX_EPOCH.checked_add(since));
    time.ok_or_else(|| D::Error::custom("must be a number of seconds since 1970"))
}
