//! A notice of an incident as it is kept until every channel has it.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::model::{Instances, NoticeKind, Severity, Status};

/// What one notice says beside what all notices of its incident do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredNotice {
    pub number: u32,
    pub kind: NoticeKind,
    pub at: SystemTime,
    pub status: Status,
    pub severity: Severity,
    pub message: String,
    pub blocked: Vec<String>,
    pub instances: Instances,
    pub is_flapping: bool,
    pub acknowledged_by: Option<String>,
}

/// By what a receiver knows what belongs together.
pub fn dedup_key(application: &str, check: &str) -> String {
    format!("lifesigns/{application}/{check}")
}
