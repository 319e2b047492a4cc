//! Incidents as the outside learns of them: how urgent, and what each notice of one says.

use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::status::Status;

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

/// On how many of the known instances a check fails, and on which.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instances {
    pub failing: u32,
    pub total: u32,
    pub names: Vec<String>,
}

/// One message about an incident, for whichever channel. Bounded in length, and holds no secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// The same for all attempts to deliver it: without dots, so that it can be signed.
    pub id: String,
    pub kind: NoticeKind,
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
    pub since: SystemTime,
    /// The last error, or how it ended.
    pub message: String,
    /// The checks that wait for this one.
    pub blocked: Vec<String>,
    /// What was done about it, and what came of that.
    #[serde(default)]
    pub actions: Vec<String>,
    pub instances: Instances,
    /// Whether the check changes too often for each change to be sent.
    pub is_flapping: bool,
    /// Who has acknowledged it.
    pub acknowledged_by: Option<String>,
    pub runbook: Option<String>,
    /// Of the dashboard.
    pub url: Option<String>,
}
