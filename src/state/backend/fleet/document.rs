//! A document of the fleet: one host at a time, which holds its lease, writes it; all hosts read it.
//!
//! ```text
//!   hold ──► holder, with a fence: load what the one before has left, and store from then on ──► stored
//!     │         │ renewed at a third of the lease, given up at two thirds                └─► late: a higher fence was
//!     │         └─ release: another host need not wait                                       given out, nothing changes
//!     └────► held by another host for so long at most: hold again then, load what has changed until then
//! ```
//!
//! | key | what |
//! |---|---|
//! | `lifesigns:{app}:d:<name>` | hash: `value`, `fence` of its writer, `revision` (how often that one has stored it), `at` |
//! | `lifesigns:{app}:dl:<name>` | the lease: the holder's token; expires by itself |
//! | `lifesigns:{app}:df:<name>` | the last fence given out |
//!
//! Guarantees: at most one host at a time holds a lease that has not run out. What is stored was written by the holder of
//! the highest fence: a host that was stopped and comes back late is refused, and learns so. A fence is higher than all
//! before also after the server has lost its data. Times are the server's or ages.
//!
//! Not guaranteed: that a document survives the server. Who needs it restored keeps a copy, and compares
//! [`DocumentMark`]s.

use std::sync::Arc;
use std::time::Duration;

use redis::{Value, cmd};

use super::reply::{bytes, integer, unexpected};
use super::{FleetStore, millis, scripts};
use crate::model::CheckError;
use crate::runtime::{Process, random};

/// How long the lease of a document lasts at least; up to a fifth longer, so that not all that wait for it come at once.
pub const DOCUMENT_LEASE: Duration = Duration::from_secs(10);
/// The largest document, in bytes.
pub const DOCUMENT_CAPACITY: usize = 1 << 20;
/// How long a document that is stored no more is kept.
const KEPT: Duration = Duration::from_secs(14 * 86_400);

/// The keys of a document.
#[derive(Clone, Debug, Default)]
pub struct DocumentKey([String; 3]);

/// Which state of a document it is: later ones are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DocumentMark {
    pub fence: u64,
    pub revision: u64,
}

/// Whose turn it is to write a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentTurn {
    /// The caller's, with this fence.
    Holder(u64),
    /// Another host's, for so long at most unless it is renewed; zero: free.
    Other(Duration),
}

/// What is known of a document once its lease was requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DocumentState {
    pub turn: DocumentTurn,
    /// What is stored; `None`: nothing is.
    pub mark: Option<DocumentMark>,
}

/// A document as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub mark: DocumentMark,
    /// Since it was stored.
    pub age: Duration,
    pub value: Vec<u8>,
}

/// What becomes of a document that is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentStored {
    Yes(DocumentMark),
    /// Another host has a higher fence: the caller is no longer the holder.
    Late,
    /// It is larger than [`DOCUMENT_CAPACITY`].
    TooLarge,
}

impl FleetStore {
    /// The keys of the document of that name.
    pub fn document(&self, name: &str) -> DocumentKey {
        DocumentKey(["d", "dl", "df"].map(|kind| self.key(&format!("{kind}:{name}"))))
    }

    /// Requests the lease of a document for `token`, which identifies the host, or renews it. With `may_acquire` false it
    /// is only renewed.
    pub async fn hold(
        &self,
        process: &Arc<Process>,
        key: &DocumentKey,
        token: &str,
        may_acquire: bool,
    ) -> Result<DocumentState, CheckError> {
        self.hold_and_announce(process, key, token, may_acquire, None).await
    }

    /// The same, and in the same command sets what the host of that id says in a hash.
    pub(super) async fn hold_and_announce(
        &self,
        process: &Arc<Process>,
        key: &DocumentKey,
        token: &str,
        may_acquire: bool,
        announced: Option<(&str, &str, &[u8])>,
    ) -> Result<DocumentState, CheckError> {
        let lease = DOCUMENT_LEASE.mul_f64(1.0 + 0.2 * random());
        let mut keys: Vec<&str> = key.0.iter().map(String::as_str).collect();
        keys.extend(announced.map(|(hash, _, _)| hash));
        let mut command = self.script(scripts::HOLD, &keys);
        command.arg(token).arg(millis(lease)).arg(u8::from(may_acquire));
        if let Some((_, id, said)) = announced {
            command.arg(id).arg(said);
        }
        let reply = self.call(process, command).await?;
        let Value::Array(parts) = &reply else { return Err(unexpected(&self.target())) };
        let [fence, left, stored, revision] = parts.as_slice() else { return Err(unexpected(&self.target())) };
        let turn = match (integer(fence), integer(left)) {
            (Some(fence), _) if fence > 0 => DocumentTurn::Holder(fence),
            (_, Some(left)) => DocumentTurn::Other(Duration::from_millis(left)),
            _ => return Err(unexpected(&self.target())),
        };
        Ok(DocumentState { turn, mark: mark(stored, revision) })
    }

    /// Reads a document; `None` if there is none.
    pub async fn load(&self, process: &Arc<Process>, key: &DocumentKey) -> Result<Option<Document>, CheckError> {
        let reply = self.call(process, self.script(scripts::LOAD, &[&key.0[0]])).await?;
        let Value::Array(parts) = &reply else { return Err(unexpected(&self.target())) };
        let [fence, revision, age, value] = parts.as_slice() else { return Err(unexpected(&self.target())) };
        let found = || {
            let age = Duration::from_millis(integer(age)?);
            Some(Document { mark: mark(fence, revision)?, age, value: bytes(value)? })
        };
        Ok(found())
    }

    /// Stores a document for the holder of that fence; `last`: what it has stored last, or taken over.
    pub async fn store_document(
        &self,
        process: &Arc<Process>,
        key: &DocumentKey,
        fence: u64,
        last: DocumentMark,
        value: &[u8],
    ) -> Result<DocumentStored, CheckError> {
        if value.len() > DOCUMENT_CAPACITY {
            return Ok(DocumentStored::TooLarge);
        }
        let mut command = self.script(scripts::STORE_DOCUMENT, &[&key.0[0], &key.0[2]]);
        let revision = if last.fence == fence { last.revision } else { 0 };
        command.arg(fence).arg(value).arg(millis(KEPT)).arg(revision);
        match integer(&self.call(process, command).await?) {
            Some(0) => Ok(DocumentStored::Late),
            Some(revision) => Ok(DocumentStored::Yes(DocumentMark { fence, revision })),
            None => Err(unexpected(&self.target())),
        }
    }

    /// Gives the lease of a document back, if it is still this host's.
    pub async fn release_document(
        &self,
        process: &Arc<Process>,
        key: &DocumentKey,
        token: &str,
    ) -> Result<(), CheckError> {
        self.call(process, self.script(scripts::RELEASE, &[&key.0[1]]).arg(token).take()).await.map(drop)
    }

    /// Who holds the lease of a document, by its token, and for how long at most.
    pub async fn document_holder(
        &self,
        process: &Arc<Process>,
        key: &DocumentKey,
    ) -> Result<Option<(String, Duration)>, CheckError> {
        let commands = [cmd("GET").arg(&key.0[1]).take(), cmd("PTTL").arg(&key.0[1]).take()];
        Ok(super::holder(&self.send(process, &commands).await?))
    }
}

fn mark(fence: &Value, revision: &Value) -> Option<DocumentMark> {
    let fence = integer(fence).filter(|fence| *fence > 0)?;
    Some(DocumentMark { fence, revision: integer(revision)? })
}
