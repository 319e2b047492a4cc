//! Which instances act at the moment, each until when at most by the server's time.

use std::sync::Arc;
use std::time::Duration;

use redis::{Value, cmd};

use super::reply::{integer, unexpected};
use super::{FleetStore, millis, scripts};
use crate::model::CheckError;
use crate::runtime::Process;

/// Whether an instance may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActingSlot {
    pub is_granted: bool,
    /// How many others act.
    pub others: u32,
}

impl FleetStore {
    /// Requests that this instance may act, for so long at most, if fewer than `at_once` others do.
    pub async fn acquire_slot(
        &self,
        process: &Arc<Process>,
        instance: &str,
        at_once: u32,
        duration: Duration,
    ) -> Result<ActingSlot, CheckError> {
        let mut command = self.script(scripts::ACQUIRE_SLOT, &[&self.key("acting")]);
        command.arg(instance).arg(at_once).arg(millis(duration));
        let reply = self.call(process, command).await?;
        let Value::Array(parts) = &reply else { return Err(unexpected(&self.target())) };
        let [granted, others] = parts.as_slice() else { return Err(unexpected(&self.target())) };
        Ok(ActingSlot {
            is_granted: integer(granted) == Some(1),
            others: integer(others).and_then(|others| u32::try_from(others).ok()).unwrap_or(u32::MAX),
        })
    }

    /// Notes that this instance acts no more.
    pub async fn release_slot(&self, process: &Arc<Process>, instance: &str) -> Result<(), CheckError> {
        self.call(process, cmd("ZREM").arg(self.key("acting")).arg(instance).take()).await.map(drop)
    }
}
