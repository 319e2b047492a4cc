//! Whether something that has no other voice, such as a worker or a cron job, was heard lately.

use async_trait::async_trait;

use crate::checks::{Check, Context};
use crate::outcome::{CheckError, Finding};
use crate::spec;
use crate::store::beats;

pub struct Heartbeat(pub spec::Heartbeat);

#[async_trait]
impl Check for Heartbeat {
    async fn run(&self, _: &Context) -> Result<Finding, CheckError> {
        let spec::Heartbeat { name, max_age } = &self.0;
        let about =
            |finding: Finding| finding.with("name", name.as_str()).with("max_age_seconds", max_age.as_secs_f64());
        let Some(age) = beats::last_heard(name) else {
            return Ok(about(Finding::error(format!("{name} was never heard"))));
        };
        let finding = if age > *max_age {
            Finding::error(format!("{name} was not heard for {} s", age.as_secs()))
        } else {
            Finding::healthy(format!("{name} was heard"))
        };
        Ok(about(finding).with("age_seconds", (age.as_secs_f64() * 1000.0).round() / 1000.0))
    }
}
