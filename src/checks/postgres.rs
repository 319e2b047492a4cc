//! PostgreSQL checks.

use async_trait::async_trait;

use crate::checks::{Check, Context};
use crate::outcome::{CheckError, Finding};
use crate::spec;

pub struct Connectivity(pub spec::Postgres);

#[async_trait]
impl Check for Connectivity {
    async fn run(&self, _context: &Context) -> Result<Finding, CheckError> {
        Err(CheckError::Configuration(format!("{:?} is not written yet", self.0)))
    }
}

pub struct Postgis(pub spec::Postgres);

#[async_trait]
impl Check for Postgis {
    async fn run(&self, _context: &Context) -> Result<Finding, CheckError> {
        Err(CheckError::Configuration(format!("{:?} is not written yet", self.0)))
    }
}

pub struct Functions(pub spec::PostgresFunctions);

#[async_trait]
impl Check for Functions {
    async fn run(&self, _context: &Context) -> Result<Finding, CheckError> {
        Err(CheckError::Configuration(format!("{:?} is not written yet", self.0)))
    }
}

pub struct Statements(pub spec::PostgresStatements);

#[async_trait]
impl Check for Statements {
    async fn run(&self, _context: &Context) -> Result<Finding, CheckError> {
        Err(CheckError::Configuration(format!("{:?} is not written yet", self.0)))
    }
}

pub struct Connections(pub spec::PostgresConnections);

#[async_trait]
impl Check for Connections {
    async fn run(&self, _context: &Context) -> Result<Finding, CheckError> {
        Err(CheckError::Configuration(format!("{:?} is not written yet", self.0)))
    }
}

pub struct Views(pub spec::MaterializedViews);

#[async_trait]
impl Check for Views {
    async fn run(&self, _context: &Context) -> Result<Finding, CheckError> {
        Err(CheckError::Configuration(format!("{:?} is not written yet", self.0)))
    }
}

pub struct TaskTables(pub spec::TaskTables);

#[async_trait]
impl Check for TaskTables {
    async fn run(&self, _context: &Context) -> Result<Finding, CheckError> {
        Err(CheckError::Configuration(format!("{:?} is not written yet", self.0)))
    }
}

pub struct PendingTasks(pub spec::PendingTasks);

#[async_trait]
impl Check for PendingTasks {
    async fn run(&self, _context: &Context) -> Result<Finding, CheckError> {
        Err(CheckError::Configuration(format!("{:?} is not written yet", self.0)))
    }
}

pub struct FailedTasks(pub spec::FailedTasks);

#[async_trait]
impl Check for FailedTasks {
    async fn run(&self, _context: &Context) -> Result<Finding, CheckError> {
        Err(CheckError::Configuration(format!("{:?} is not written yet", self.0)))
    }
}

pub struct TaskWorkers(pub spec::TaskWorkers);

#[async_trait]
impl Check for TaskWorkers {
    async fn run(&self, _context: &Context) -> Result<Finding, CheckError> {
        Err(CheckError::Configuration(format!("{:?} is not written yet", self.0)))
    }
}
