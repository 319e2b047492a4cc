//! MQTT.

use async_trait::async_trait;

use crate::checks::{Check, Context};
use crate::outcome::{CheckError, Finding};
use crate::spec;

pub struct Broker(pub spec::Mqtt);

#[async_trait]
impl Check for Broker {
    async fn run(&self, _context: &Context) -> Result<Finding, CheckError> {
        Err(CheckError::Configuration(format!("{:?} is not written yet", self.0)))
    }
}
