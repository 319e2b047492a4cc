//! The contract of a check, and the only registry of the kinds there are.

pub mod callable;
mod fields;
mod filesystem;
mod heartbeat;
mod http;
mod mqtt;
pub mod postgres;
mod redis;
mod skipped;
mod smtp;
mod system;
mod tcp;
pub mod thresholds;
mod usage;

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;

use crate::model::{CheckError, Finding, NotRun, SpecError};
use crate::runtime::{Context, Process};

/// One check: it does its work once and returns what it found. It holds no timeout, retry, cache, breaker or log call
/// (the runner does), and no socket (`Context::process` keeps those, since a fork kills them).
#[async_trait]
pub trait Check: Send + Sync {
    /// Refuses what can be wrong about a target and does not already fail to parse.
    fn validate(&self) -> Result<(), SpecError> {
        Ok(())
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError>;

    /// Why it must not be started in this process now, if so.
    fn obstacle(&self, _process: &Process) -> Option<NotRun> {
        None
    }

    /// Whether it can only run while the interpreter does.
    fn needs_python(&self) -> bool {
        false
    }

    /// Whether a finding in error means that the dependency is ill, as far as a circuit breaker is concerned. A native
    /// check that has something to find got its answer; what a callable means by an error only it knows.
    fn errors_trip_breaker(&self) -> bool {
        false
    }
}

/// Generates the kinds of native checks: each is one struct, deserialized from `{"kind": <name>, ...}`.
macro_rules! registry {
    ($($name:literal => $variant:ident($check:ty),)*) => {
        /// Every kind of native check.
        #[derive(Clone, Debug, PartialEq, Deserialize)]
        #[serde(tag = "kind")]
        pub enum Kind {
            $(#[serde(rename = $name)] $variant($check),)*
        }

        impl Kind {
            /// The names of all kinds, in the order of the registry.
            pub const NAMES: &[&str] = &[$($name),*];
        }

        /// The check of a kind.
        pub fn build(kind: Kind) -> Result<Arc<dyn Check>, SpecError> {
            match kind {
                $(Kind::$variant(check) => {
                    check.validate()?;
                    Ok(Arc::new(check))
                })*
            }
        }
    };
}

registry! {
    "postgres" => Postgres(postgres::PostgresCheck),
    "postgis" => Postgis(postgres::PostgisCheck),
    "postgres_functions" => PostgresFunctions(postgres::PostgresFunctionsCheck),
    "postgres_statements" => PostgresStatements(postgres::PostgresStatementsCheck),
    "postgres_connections" => PostgresConnections(postgres::PostgresConnectionsCheck),
    "materialized_views" => MaterializedViews(postgres::MaterializedViewsCheck),
    "task_tables" => TaskTables(postgres::TaskTablesCheck),
    "pending_tasks" => PendingTasks(postgres::PendingTasksCheck),
    "failed_tasks" => FailedTasks(postgres::FailedTasksCheck),
    "task_workers" => TaskWorkers(postgres::TaskWorkersCheck),
    "redis" => Redis(redis::RedisCheck),
    "mqtt" => Mqtt(mqtt::MqttCheck),
    "smtp" => Smtp(smtp::SmtpCheck),
    "http" => Http(http::HttpCheck),
    "google_maps" => GoogleMaps(http::GoogleMapsCheck),
    "openai" => OpenAi(http::OpenAiCheck),
    "anthropic" => Anthropic(http::AnthropicCheck),
    "tcp" => Tcp(tcp::TcpCheck),
    "disk" => Disk(filesystem::DiskCheck),
    "memory" => Memory(system::MemoryCheck),
    "cpu" => Cpu(system::CpuCheck),
    "directories" => Directories(filesystem::DirectoriesCheck),
    "heartbeat" => Heartbeat(heartbeat::HeartbeatCheck),
    "skipped" => Skipped(skipped::SkippedCheck),
}
