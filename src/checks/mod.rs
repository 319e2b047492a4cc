//! The contract of a check, and the only registry of the kinds there are.

mod blocking;
pub mod callable;
mod filesystem;
mod heartbeat;
mod http;
mod mqtt;
mod postgres;
mod redis;
mod smtp;
mod system;
mod tcp;
mod usage;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::outcome::{CheckError, Finding, Phase};
use crate::process::Process;
use crate::spec::{Kind, SpecError};

/// One check: it does its work once and says what it found. It holds no timeout, retry, cache, breaker or log call
/// (the slot does), and no socket (`Context::process` keeps those, since a fork kills them).
#[async_trait]
pub trait Check: Send + Sync {
    async fn run(&self, context: &Context) -> Result<Finding, CheckError>;

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

/// What a run is given: the state of this process, when it will be cut off, and where to note how far it got.
pub struct Context {
    pub process: Arc<Process>,
    deadline: Instant,
    phase: AtomicU8,
}

impl Context {
    pub fn new(process: Arc<Process>, deadline: Instant) -> Self {
        Self { process, deadline, phase: AtomicU8::default() }
    }

    /// How long to wait for an answer on a kept connection before taking it for dead: half of what is left, so that
    /// the other half can go to a new one. A firewall that has dropped an idle connection says nothing.
    pub fn patience(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now()) / 2
    }

    /// Notes what the run is about to do, so that a timeout can say where it got stuck.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub fn phase(&self) -> Phase {
        Phase::from_u8(self.phase.load(Ordering::Relaxed))
    }
}

/// The check of a kind: the only place that knows all of them.
pub fn build(kind: Kind) -> Result<Arc<dyn Check>, SpecError> {
    kind.validate()?;
    Ok(match kind {
        Kind::Postgres(spec) => Arc::new(postgres::Connectivity(spec)),
        Kind::Postgis(spec) => Arc::new(postgres::Postgis(spec)),
        Kind::PostgresFunctions(spec) => Arc::new(postgres::Functions(spec)),
        Kind::PostgresStatements(spec) => Arc::new(postgres::Statements(spec)),
        Kind::PostgresConnections(spec) => Arc::new(postgres::Connections(spec)),
        Kind::MaterializedViews(spec) => Arc::new(postgres::Views(spec)),
        Kind::TaskTables(spec) => Arc::new(postgres::TaskTables(spec)),
        Kind::PendingTasks(spec) => Arc::new(postgres::PendingTasks(spec)),
        Kind::FailedTasks(spec) => Arc::new(postgres::FailedTasks(spec)),
        Kind::TaskWorkers(spec) => Arc::new(postgres::TaskWorkers(spec)),
        Kind::Redis(spec) => Arc::new(redis::Ping(spec)),
        Kind::Mqtt(spec) => Arc::new(mqtt::Broker(spec)),
        Kind::Smtp(spec) => Arc::new(smtp::Login(spec)),
        Kind::Http(spec) => Arc::new(http::Get(spec)),
        Kind::GoogleMaps(spec) => Arc::new(http::GoogleMaps(spec)),
        Kind::OpenAi(spec) => Arc::new(http::OpenAi(spec)),
        Kind::Anthropic(spec) => Arc::new(http::Anthropic(spec)),
        Kind::Tcp(spec) => Arc::new(tcp::Connect(spec)),
        Kind::Disk(spec) => Arc::new(filesystem::Disk(spec)),
        Kind::Directories(spec) => Arc::new(filesystem::Directories(spec)),
        Kind::Memory(spec) => Arc::new(system::Memory(spec)),
        Kind::Cpu(spec) => Arc::new(system::Cpu(spec)),
        Kind::Heartbeat(spec) => Arc::new(heartbeat::Heartbeat(spec)),
        Kind::Skipped(spec) => Arc::new(Skipped(spec)),
    })
}

struct Skipped(crate::spec::Skipped);

#[async_trait]
impl Check for Skipped {
    async fn run(&self, _: &Context) -> Result<Finding, CheckError> {
        Ok(Finding::skipped(self.0.reason.clone()))
    }
}
