//! System.

use async_trait::async_trait;

use crate::checks::{Check, Context};
use crate::outcome::{CheckError, Finding};
use crate::spec;

pub struct Memory(pub spec::Memory);

#[async_trait]
impl Check for Memory {
    async fn run(&self, _context: &Context) -> Result<Finding, CheckError> {
        Err(CheckError::Configuration(format!("{:?} is not written yet", self.0)))
    }
}

pub struct Cpu(pub spec::Cpu);

#[async_trait]
impl Check for Cpu {
    async fn run(&self, _context: &Context) -> Result<Finding, CheckError> {
        Err(CheckError::Configuration(format!("{:?} is not written yet", self.0)))
    }
}
