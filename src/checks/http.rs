//! HTTP.

use async_trait::async_trait;

use crate::checks::{Check, Context};
use crate::outcome::{CheckError, Finding};
use crate::spec;

pub struct Get(pub spec::Http);

#[async_trait]
impl Check for Get {
    async fn run(&self, _context: &Context) -> Result<Finding, CheckError> {
        Err(CheckError::Configuration(format!("{:?} is not written yet", self.0)))
    }
}

pub struct GoogleMaps(pub spec::GoogleMaps);

#[async_trait]
impl Check for GoogleMaps {
    async fn run(&self, _context: &Context) -> Result<Finding, CheckError> {
        Err(CheckError::Configuration(format!("{:?} is not written yet", self.0)))
    }
}

pub struct OpenAi(pub spec::OpenAi);

#[async_trait]
impl Check for OpenAi {
    async fn run(&self, _context: &Context) -> Result<Finding, CheckError> {
        Err(CheckError::Configuration(format!("{:?} is not written yet", self.0)))
    }
}

pub struct Anthropic(pub spec::Anthropic);

#[async_trait]
impl Check for Anthropic {
    async fn run(&self, _context: &Context) -> Result<Finding, CheckError> {
        Err(CheckError::Configuration(format!("{:?} is not written yet", self.0)))
    }
}
