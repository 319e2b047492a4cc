//! Files.

use async_trait::async_trait;

use crate::checks::{Check, Context};
use crate::outcome::{CheckError, Finding};
use crate::spec;

pub struct Disk(pub spec::Disk);

#[async_trait]
impl Check for Disk {
    async fn run(&self, _context: &Context) -> Result<Finding, CheckError> {
        Err(CheckError::Configuration(format!("{:?} is not written yet", self.0)))
    }
}

pub struct Directories(pub spec::Directories);

#[async_trait]
impl Check for Directories {
    async fn run(&self, _context: &Context) -> Result<Finding, CheckError> {
        Err(CheckError::Configuration(format!("{:?} is not written yet", self.0)))
    }
}
