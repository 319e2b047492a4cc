//! A check that has no target here: always skipped, with the reason.

use async_trait::async_trait;
use serde::Deserialize;

use crate::checks::Check;
use crate::model::{CheckError, Finding};
use crate::runtime::Context;

/// Always skipped, for this reason.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkippedCheck {
    pub reason: String,
}

#[async_trait]
impl Check for SkippedCheck {
    async fn run(&self, _: &Context) -> Result<Finding, CheckError> {
        Ok(Finding::skipped(self.reason.clone()))
    }

    fn skip_reason(&self) -> Option<&str> {
        Some(&self.reason)
    }
}
