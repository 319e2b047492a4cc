//! Whether a worker or a cron job, which no server can answer for, sent a heartbeat lately.

use async_trait::async_trait;
use serde::Deserialize;
use std::time::Duration;

use crate::checks::Check;
use crate::model::{CheckError, Finding, SpecError, long_seconds, valid_name};
use crate::runtime::Context;
use crate::state::heartbeats;

/// `lifesigns.beat(name)` was called within the last `max_age` seconds, in this process or, where the engine has
/// `share="host"`, in any that shares its store.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatCheck {
    pub name: String,
    /// No heartbeat for longer is an error.
    #[serde(deserialize_with = "long_seconds")]
    pub max_age: Duration,
}

#[async_trait]
impl Check for HeartbeatCheck {
    fn validate(&self) -> Result<(), SpecError> {
        let text = "name must be 1 to 100 letters, digits, '_', '-' or '.', as lifesigns.beat takes it";
        valid_name(&self.name).map_err(|_| SpecError::new(text))
    }

    /// A heartbeat that is sent before the first run is not pushed out by others.
    fn prepare(&self) {
        heartbeats::reserve(&self.name);
    }

    async fn run(&self, _: &Context) -> Result<Finding, CheckError> {
        let HeartbeatCheck { name, max_age } = self;
        let about =
            |finding: Finding| finding.with("name", name.as_str()).with("max_age_seconds", max_age.as_secs_f64());
        let Some(age) = heartbeats::age(name) else {
            return Ok(about(Finding::error(format!("{name} never sent a heartbeat"))));
        };
        let finding = if age > *max_age {
            Finding::error(format!("{name} sent no heartbeat for {} s", age.as_secs()))
        } else {
            Finding::healthy(format!("{name} sent a heartbeat {} s ago", age.as_secs()))
        };
        Ok(about(finding).with("age_seconds", (age.as_secs_f64() * 1000.0).round() / 1000.0))
    }
}
