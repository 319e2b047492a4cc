//! Judge a server by its INFO and CLUSTER INFO.

use redis::Value;

use super::errors::refusal;
use crate::model::{CheckError, Finding, Status};

/// The slots that the keys of a cluster are divided into.
const SLOTS: u64 = 16_384;

/// The text that `command` was answered with; `None` where this user may not run it, or where the server hides INFO.
pub fn text(target: &str, command: &'static str, answer: Value) -> Result<Option<String>, CheckError> {
    match answer {
        Value::BulkString(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => Ok(Some(text)),
        Value::ServerError(error) => match refusal(target, command, &error) {
            CheckError::Rejected { .. } if command == "INFO" || error.code() == "NOPERM" => Ok(None),
            error => Err(error),
        },
        _ => Err(CheckError::Protocol { target: target.to_owned(), expected: "Redis".into() }),
    }
}

/// The value of a line `key:value`; lines that are cut or unknown are ignored.
fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(name, _)| *name == key).map(|(_, value)| value.trim())
}

fn number(text: &str, key: &str) -> Option<u64> {
    field(text, key)?.parse().ok()
}

/// A value that is fit to be shown: short, and of plain characters.
fn word(text: &str, key: &str) -> Option<String> {
    let plain = |value: &&str| !value.is_empty() && value.len() <= 40 && value.chars().all(|c| c.is_ascii_graphic());
    field(text, key).filter(plain).map(str::to_owned)
}

/// The fields of INFO that the check uses; `None` where the server leaves one out.
#[derive(Debug, Default, PartialEq)]
pub struct Info {
    version: Option<String>,
    uptime_seconds: Option<u64>,
    connected_clients: Option<u64>,
    used_memory_human: Option<String>,
    role: Option<String>,
    lost_its_master: bool,
    is_full: bool,
}

impl Info {
    pub fn parse(text: &str) -> Self {
        let limit = number(text, "maxmemory").filter(|limit| *limit > 0);
        let evicts = field(text, "maxmemory_policy") != Some("noeviction");
        Self {
            version: word(text, "redis_version"),
            uptime_seconds: number(text, "uptime_in_seconds"),
            connected_clients: number(text, "connected_clients"),
            used_memory_human: word(text, "used_memory_human"),
            role: word(text, "role"),
            lost_its_master: field(text, "master_link_status") == Some("down"),
            is_full: !evicts && limit.is_some_and(|limit| number(text, "used_memory").is_some_and(|used| used > limit)),
        }
    }

    pub fn is_replica(&self) -> bool {
        self.role.as_deref().is_some_and(|role| role != "master")
    }
}

/// What of CLUSTER INFO matters.
#[derive(Debug, PartialEq)]
pub struct Cluster {
    state: Option<String>,
    slots_assigned: Option<u64>,
    slots_ok: Option<u64>,
}

impl Cluster {
    pub fn parse(text: &str) -> Self {
        Self {
            state: word(text, "cluster_state"),
            slots_assigned: number(text, "cluster_slots_assigned"),
            slots_ok: number(text, "cluster_slots_ok"),
        }
    }
}

/// What a run has seen of a server.
#[derive(Debug, Default)]
pub struct Seen {
    pub info: Option<Info>,
    pub cluster: Option<Cluster>,
    /// The commands that this user may not run.
    pub forbidden: Vec<&'static str>,
}

/// A connected server is healthy, whatever its ACL forbids. It is degraded
/// - as a replica without its master: its data is old;
/// - above `maxmemory` without eviction: it reads, but refuses writes;
/// - as a node of a cluster that lacks slots.
///
/// A cluster that is not ok cannot serve.
pub fn judge(target: &str, seen: &Seen) -> Result<Finding, CheckError> {
    let mut complaints = Vec::new();
    let unknown = Info::default();
    let known = seen.info.as_ref().unwrap_or(&unknown);
    if known.lost_its_master {
        complaints.push("the replica has lost its master".to_owned());
    }
    if known.is_full {
        complaints.push("the used memory exceeds maxmemory and nothing is evicted, so writes are refused".to_owned());
    }
    if let Some(cluster) = &seen.cluster {
        complaints.extend(judge_cluster(target, cluster)?);
    }
    let version = known.version.as_ref().map_or_else(String::new, |version| format!(" {version}"));
    let (status, message) = match (complaints.is_empty(), seen.forbidden.is_empty()) {
        (true, true) => (Status::Healthy, format!("Connected to Redis{version}")),
        (true, false) => {
            (Status::Healthy, format!("Connected to Redis{version}; {} not allowed", seen.forbidden.join(", ")))
        }
        (false, _) => (Status::Degraded, format!("Connected to Redis{version}, but {}", complaints.join("; "))),
    };
    let mut finding = Finding::new(status, message)
        .with("redis_version", known.version.clone())
        .with("uptime_seconds", known.uptime_seconds)
        .with("connected_clients", known.connected_clients)
        .with("used_memory_human", known.used_memory_human.clone())
        .with("role", known.role.clone());
    if !seen.forbidden.is_empty() {
        finding = finding.with("not_allowed", seen.forbidden.clone());
    }
    if let Some(cluster) = &seen.cluster {
        finding = finding
            .with("cluster_state", cluster.state.clone())
            .with("cluster_slots_assigned", cluster.slots_assigned)
            .with("cluster_slots_ok", cluster.slots_ok);
    }
    Ok(finding)
}

fn judge_cluster(target: &str, cluster: &Cluster) -> Result<Option<String>, CheckError> {
    let served = cluster.slots_ok.unwrap_or_default();
    match cluster.state.as_deref() {
        Some("ok") if served >= SLOTS => Ok(None),
        Some("ok") => Ok(Some(format!("only {served} of {SLOTS} slots of the cluster are served"))),
        Some(_) => {
            let reason = format!("the state of the cluster is not ok; {served} of {SLOTS} slots are served").into();
            Err(CheckError::Unavailable { target: target.to_owned(), reason })
        }
        None => Err(CheckError::Protocol { target: target.to_owned(), expected: "Redis Cluster".into() }),
    }
}

#[cfg(test)]
mod tests;
