//! The contract of a check, and the only registry of the kinds there are.

mod amqp;
mod anthropic;
mod api;
pub mod callable;
pub mod command;
mod dns;
pub mod fields;
mod filesystem;
mod flow;
mod google_maps;
mod grpc;
mod heartbeat;
mod http;
mod mqtt;
mod oldest_task;
mod openai;
pub mod postgres;
mod redis;
mod server_url;
mod skipped;
mod smtp;
mod system;
mod tcp;
pub mod thresholds;
mod tls_certificate;
mod usage;
mod worker_sightings;

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Deserializer};

pub use self::redis::FleetServer;
use crate::model::{CheckError, CheckScope, Finding, NotRun, SpecError};
use crate::runtime::{Context, Process};
pub use smtp::SmtpCheck;

/// One check: it does its work once and returns what it found. It holds no timeout, retry, cache, breaker or log call
/// (the runner does), and no socket (`Context::process` keeps those, since a fork kills them).
#[async_trait]
pub trait Check: Send + Sync {
    /// Refuse what can be wrong about a target and does not already fail to parse.
    fn validate(&self) -> Result<(), SpecError> {
        Ok(())
    }

    /// Prepares this process for its runs, when it is registered. Does no I/O.
    fn prepare(&self) {}

    async fn run(&self, context: &Context) -> Result<Finding, CheckError>;

    /// Why it must not be started in this process now, if so.
    fn obstacle(&self, _process: &Process) -> Option<NotRun> {
        None
    }

    /// Why there is nothing to check here, where that is known without a run.
    fn skip_reason(&self) -> Option<&str> {
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

/// Generates the kinds of native checks: each is one struct, deserialized from the fields of its specification.
macro_rules! registry {
    ($($name:literal => $check:ty,)*) => {
        /// Every kind of native check, in the order of the registry.
        pub const KINDS: &[&str] = &[$($name),*];

        /// The check of a kind with these fields; `None` if there is no such kind.
        pub fn build<'de, D, E>(kind: &str, fields: D) -> Option<Result<Arc<dyn Check>, E>>
        where
            D: Deserializer<'de, Error = E>,
            E: serde::de::Error,
        {
            match kind {
                $($name => Some(<$check>::deserialize(fields).and_then(validated)),)*
                _ => None,
            }
        }
    };
}

/// The kinds whose answer is the same from every host: external services, depths of queues, statistics of servers.
const FLEET_KINDS: &[&str] = &[
    "anthropic",
    "google_maps",
    "openai",
    "smtp",
    "amqp_pending_tasks",
    "failed_tasks",
    "pending_tasks",
    "task_workers",
    "redis_failed_tasks",
    "redis_pending_tasks",
    "redis_task_workers",
    "postgres_connections",
    "postgres_statements",
];

/// How far the results of a kind are shared, where its registration does not say.
pub fn default_scope(kind: &str) -> CheckScope {
    if FLEET_KINDS.contains(&kind) { CheckScope::Fleet } else { CheckScope::Host }
}

fn validated<E: serde::de::Error>(check: impl Check + 'static) -> Result<Arc<dyn Check>, E> {
    check.validate().map_err(E::custom)?;
    Ok(Arc::new(check))
}

registry! {
    "postgres" => postgres::PostgresCheck,
    "postgis" => postgres::PostgisCheck,
    "postgres_functions" => postgres::PostgresFunctionsCheck,
    "postgres_statements" => postgres::PostgresStatementsCheck,
    "postgres_connections" => postgres::PostgresConnectionsCheck,
    "materialized_views" => postgres::MaterializedViewsCheck,
    "task_tables" => postgres::TaskTablesCheck,
    "pending_tasks" => postgres::PendingTasksCheck,
    "failed_tasks" => postgres::FailedTasksCheck,
    "task_workers" => postgres::TaskWorkersCheck,
    "redis_task_broker" => redis::RedisTaskBrokerCheck,
    "redis_pending_tasks" => redis::RedisPendingTasksCheck,
    "redis_failed_tasks" => redis::RedisFailedTasksCheck,
    "redis_task_workers" => redis::RedisTaskWorkersCheck,
    "redis" => redis::RedisCheck,
    "mqtt" => mqtt::MqttCheck,
    "amqp" => amqp::AmqpCheck,
    "amqp_pending_tasks" => amqp::AmqpPendingTasksCheck,
    "smtp" => smtp::SmtpCheck,
    "http" => http::HttpCheck,
    "google_maps" => google_maps::GoogleMapsCheck,
    "openai" => openai::OpenAiCheck,
    "anthropic" => anthropic::AnthropicCheck,
    "tcp" => tcp::TcpCheck,
    "dns" => dns::DnsCheck,
    "tls_certificate" => tls_certificate::TlsCertificateCheck,
    "grpc" => grpc::GrpcCheck,
    "command" => command::CommandCheck,
    "disk" => filesystem::DiskCheck,
    "memory" => system::MemoryCheck,
    "cpu" => system::CpuCheck,
    "directories" => filesystem::DirectoriesCheck,
    "heartbeat" => heartbeat::HeartbeatCheck,
    "skipped" => skipped::SkippedCheck,
}
