//! What each instance says of itself to the holder of the incidents, and what operators request of that one.
//!
//! An instance says what fails on it with each request for the lease of the incidents
//! ([`super::document_lease::DocumentLease::hold_and_announce`]), also that nothing does: what is missing here was lost
//! with the server's data, and says nothing. A request stays until the holder has stored its outcome.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;

use super::instances::FORGOTTEN_AFTER;
use super::reply::{bytes, integer, text, unexpected};
use super::requests::requests;
use super::{FleetStore, millis, scripts};
use crate::model::CheckError;
use crate::runtime::Process;

/// Under which name the holder finds what is requested.
pub const REQUESTS: &str = "requests-1";

/// What an instance has said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedAlarms {
    pub instance: String,
    pub age: Duration,
    /// Empty: nothing fails there.
    pub alarms: Vec<u8>,
}

/// What all instances have said, and the requests by their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetReports {
    pub instances: Vec<ReportedAlarms>,
    pub requests: Vec<(u64, Vec<u8>)>,
}

impl FleetStore {
    pub(super) fn alarms_key(&self) -> String {
        self.key("alarms")
    }

    /// Reads what all instances have said, and what is requested.
    pub async fn watch(&self, process: &Arc<Process>) -> Result<FleetReports, CheckError> {
        let keys = [self.alarms_key(), self.key(REQUESTS)];
        let mut command = self.script(scripts::WATCH, &keys.each_ref().map(String::as_str));
        command.arg(millis(FORGOTTEN_AFTER));
        let reply = self.call(process, command).await?;
        let Value::Array(parts) = &reply else { return Err(unexpected(&self.target())) };
        let [Value::Array(said), Value::Array(requested)] = parts.as_slice() else {
            return Err(unexpected(&self.target()));
        };
        let instance = |[instance, age, alarms]: &[Value; 3]| {
            let age = Duration::from_millis(integer(age)?);
            Some(ReportedAlarms { instance: text(instance)?, age, alarms: bytes(alarms)? })
        };
        Ok(FleetReports {
            instances: said.as_chunks().0.iter().filter_map(instance).collect(),
            requests: requests(requested),
        })
    }
}
