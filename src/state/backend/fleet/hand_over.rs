//! A result that a host has found while the fleet's store could not be reached, for the other hosts.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;

use super::reply::{integer, unexpected};
use super::{FleetKey, FleetResult, FleetStore, KEPT, millis, result, scripts};
use crate::model::CheckError;
use crate::runtime::Process;

/// How a result is received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandedOver {
    /// It is the fleet's, with this fence.
    Stored(u64),
    /// The fleet has a later one, which is well.
    Replaced(FleetResult),
    /// A host runs the check now.
    Held,
}

impl FleetStore {
    /// Hands over the result of a run that ended `age` ago without a lease.
    pub async fn hand_over(
        &self,
        process: &Arc<Process>,
        key: &FleetKey,
        (value, well, age): (&[u8], bool, Duration),
    ) -> Result<HandedOver, CheckError> {
        let mut command = self.script(scripts::HAND_OVER, &[&key.keys[0], &key.keys[1], &key.keys[2]]);
        command.arg(u8::from(well)).arg(value).arg(millis(age)).arg(millis(KEPT));
        let Value::Array(parts) = self.call(process, command).await? else { return Err(unexpected(&self.target())) };
        let handed_over = match parts.as_slice() {
            [] => Some(HandedOver::Held),
            [fence] => integer(fence).map(HandedOver::Stored),
            [fence, age, value] => result(fence, age, value).map(HandedOver::Replaced),
            _ => None,
        };
        handed_over.ok_or_else(|| unexpected(&self.target()))
    }
}
