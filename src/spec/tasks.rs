//! Task queues whose tables are in PostgreSQL.

use serde::Deserialize;

use super::{PostgresServer, Thresholds, yes};

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

fn one() -> u32 {
    1
}

fn failure_window() -> u32 {
    60
}

fn heartbeat_window() -> u32 {
    5
}

fn depth_thresholds() -> Thresholds {
    Thresholds::new(100.0, 500.0)
}

fn failure_thresholds() -> Thresholds {
    Thresholds::new(5.0, 20.0)
}
