//! What hosts want changed in a document that another one writes: by ids, in one value for each document. The holder
//! removes what it has stored.

use std::sync::Arc;
use std::time::Duration;

use redis::{Value, cmd};

use super::reply::{bytes, text, unexpected};
use super::{FleetStore, millis};
use crate::model::CheckError;
use crate::runtime::Process;

/// How long a request is kept that no holder takes.
const KEPT: Duration = Duration::from_secs(86_400);

impl FleetStore {
    /// Has the holder find these requests, by their ids, under that name. A request of the same id is the same.
    pub async fn request(
        &self,
        process: &Arc<Process>,
        name: &str,
        requests: &[(u64, Vec<u8>)],
    ) -> Result<(), CheckError> {
        let key = self.key(name);
        let mut set = cmd("HSET").arg(&key).take();
        for (id, request) in requests {
            set.arg(*id).arg(&request[..]);
        }
        self.send(process, &[set, cmd("PEXPIRE").arg(&key).arg(millis(KEPT)).take()]).await.map(drop)
    }

    /// What is requested under that name, by ids.
    pub async fn requested(&self, process: &Arc<Process>, name: &str) -> Result<Vec<(u64, Vec<u8>)>, CheckError> {
        let reply = self.call(process, cmd("HGETALL").arg(self.key(name)).take()).await?;
        let Value::Array(parts) = &reply else { return Err(unexpected(&self.target())) };
        Ok(requests(parts))
    }

    /// Removes requests that are done.
    pub async fn remove_requests(&self, process: &Arc<Process>, name: &str, ids: &[u64]) -> Result<(), CheckError> {
        self.call(process, cmd("HDEL").arg(self.key(name)).arg(ids).take()).await.map(drop)
    }
}

/// The requests of a reply, by ids.
pub(super) fn requests(parts: &[Value]) -> Vec<(u64, Vec<u8>)> {
    let request = |[id, request]: &[Value; 2]| Some((text(id)?.parse().ok()?, bytes(request)?));
    parts.as_chunks().0.iter().filter_map(request).collect()
}
