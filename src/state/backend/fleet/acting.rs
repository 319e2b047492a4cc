//! What hosts want changed in a document that another one writes, and which instances act at the moment.
//!
//! | key | what |
//! |---|---|
//! | `lifesigns:{app}:dq:<name>` | requests for the document of that name, by their ids; the holder removes what it has stored |
//! | `lifesigns:{app}:acting` | the instances that act, each until when at most by the server's time |

use std::sync::Arc;
use std::time::Duration;

use redis::{Value, cmd};

use super::reply::{bytes, integer, text, unexpected};
use super::{FleetStore, millis, scripts};
use crate::model::CheckError;
use crate::runtime::Process;

/// How long a request is kept that nobody takes.
const KEPT: Duration = Duration::from_secs(86_400);

/// Whether an instance may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActingSlot {
    pub is_granted: bool,
    /// How many others act.
    pub others: u32,
}

impl FleetStore {
    fn requests_of(&self, document: &str) -> String {
        self.key(&format!("dq:{document}"))
    }

    /// Has the holder of a document find these requests, by their ids. A request of the same id is the same.
    pub async fn request_change(
        &self,
        process: &Arc<Process>,
        document: &str,
        requests: &[(u64, Vec<u8>)],
    ) -> Result<(), CheckError> {
        let key = self.requests_of(document);
        let mut set = cmd("HSET").arg(&key).take();
        for (id, request) in requests {
            set.arg(*id).arg(&request[..]);
        }
        self.send(process, &[set, cmd("PEXPIRE").arg(&key).arg(millis(KEPT)).take()]).await.map(drop)
    }

    /// What is requested of the holder of a document, by ids.
    pub async fn requested(&self, process: &Arc<Process>, document: &str) -> Result<Vec<(u64, Vec<u8>)>, CheckError> {
        let reply = self.call(process, cmd("HGETALL").arg(self.requests_of(document)).take()).await?;
        let Value::Array(parts) = &reply else { return Err(unexpected(&self.target())) };
        let request = |[id, request]: &[Value; 2]| Some((text(id)?.parse().ok()?, bytes(request)?));
        Ok(parts.as_chunks().0.iter().filter_map(request).collect())
    }

    /// Removes requests that are done.
    pub async fn remove_requested(
        &self,
        process: &Arc<Process>,
        document: &str,
        ids: &[u64],
    ) -> Result<(), CheckError> {
        let mut command = cmd("HDEL").arg(self.requests_of(document)).take();
        for id in ids {
            command.arg(*id);
        }
        self.call(process, command).await.map(drop)
    }

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
        match &reply {
            Value::Array(parts) => match parts.as_slice() {
                [granted, others] => Ok(ActingSlot {
                    is_granted: integer(granted) == Some(1),
                    others: integer(others).and_then(|others| u32::try_from(others).ok()).unwrap_or(u32::MAX),
                }),
                _ => Err(unexpected(&self.target())),
            },
            _ => Err(unexpected(&self.target())),
        }
    }

    /// Notes that this instance acts no more.
    pub async fn release_slot(&self, process: &Arc<Process>, instance: &str) -> Result<(), CheckError> {
        self.call(process, cmd("ZREM").arg(self.key("acting")).arg(instance).take()).await.map(drop)
    }
}
