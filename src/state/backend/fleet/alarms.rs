//! What each instance says of itself to the holder of the incidents, and what operators request of that one.
//!
//! An instance says what fails on it with each request for the lease of the incidents
//! ([`super::document_lease::DocumentLease::hold_and_announce`]), also that nothing does: what is missing here was lost
//! with the server's data, and says nothing. A request stays until the holder has stored what came of it.

use std::sync::Arc;
use std::time::Duration;

use redis::{Value, cmd};

use super::instances::FORGOTTEN_AFTER;
use super::reply::{bytes, integer, text, unexpected};
use super::{FleetStore, millis, scripts};
use crate::model::CheckError;
use crate::runtime::Process;

/// How long a request is kept that nobody takes.
const KEPT: Duration = Duration::from_secs(86_400);

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

    fn requests_key(&self) -> String {
        self.key("requests-1")
    }

    /// Reads what all instances have said, and what is requested.
    pub async fn watch(&self, process: &Arc<Process>) -> Result<FleetReports, CheckError> {
        let keys = [self.alarms_key(), self.requests_key()];
        let mut command = self.script(scripts::WATCH, &keys.each_ref().map(String::as_str));
        command.arg(millis(FORGOTTEN_AFTER));
        let reply = self.call(process, command).await?;
        let Value::Array(parts) = &reply else { return Err(unexpected(&self.target())) };
        let [Value::Array(said), Value::Array(requests)] = parts.as_slice() else {
            return Err(unexpected(&self.target()));
        };
        let instance = |[instance, age, alarms]: &[Value; 3]| {
            let age = Duration::from_millis(integer(age)?);
            Some(ReportedAlarms { instance: text(instance)?, age, alarms: bytes(alarms)? })
        };
        let request = |[id, request]: &[Value; 2]| Some((text(id)?.parse().ok()?, bytes(request)?));
        Ok(FleetReports {
            instances: said.as_chunks().0.iter().filter_map(instance).collect(),
            requests: requests.as_chunks().0.iter().filter_map(request).collect(),
        })
    }

    /// Has the holder find these requests, by their ids. A request of the same id is the same.
    pub async fn request(&self, process: &Arc<Process>, requests: &[(u64, Vec<u8>)]) -> Result<(), CheckError> {
        let key = self.requests_key();
        let mut set = cmd("HSET").arg(&key).take();
        for (id, request) in requests {
            set.arg(*id).arg(&request[..]);
        }
        self.send(process, &[set, cmd("PEXPIRE").arg(&key).arg(millis(KEPT)).take()]).await.map(drop)
    }

    /// Removes requests that are done.
    pub async fn remove_requests(&self, process: &Arc<Process>, ids: &[u64]) -> Result<(), CheckError> {
        let mut command = cmd("HDEL").arg(self.requests_key()).take();
        for id in ids {
            command.arg(*id);
        }
        self.call(process, command).await.map(drop)
    }
}
