//! Fleet scope: all hosts of an application know the same of a check, through Redis or Valkey.
//!
//! ```text
//!   a result is needed on a host ──► lease of the host (`state::lease`): one process of the host asks Redis
//!        │
//!        └─ acquire ──► found: another host has an acceptable result: it is copied into the host's record
//!                  ├──► leader, with a fence: this process runs the check ──store──► stored, lease released
//!                  │        │ renewed at a third of the lease, given up at two thirds     └─► late: a higher fence is
//!                  │        └─ dropped without a result: released                              there, the result is ignored
//!                  └──► held by another host: ask again, until its result is there or its lease has run out
//! ```
//!
//! Keys, `{...}` being the hash tag that keeps them on one node of a cluster:
//!
//! | key | what |
//! |---|---|
//! | `lifesigns:{app}:r:<check>` | hash of a result: `value` (what the host's record holds), `fence`, `at`, `well` |
//! | `lifesigns:{app}:l:<check>` | its lease: the holder's token; expires by itself |
//! | `lifesigns:{app}:f:<check>` | the last fence given out |
//! | `lifesigns:{app}:ops` | what operators last did to breakers, by check |
//! | `lifesigns:{app}:d:<name>`, `...:dl:<name>`, `...:df:<name>` | documents that one host at a time writes: see [`document`] |
//! | `lifesigns:{app}:alarms`, `...:requests-1` | what fails on each instance, and what operators request: see [`alarms`] |
//! | `lifesigns:{app}:dq:<name>`, `...:acting` | requests for documents: see [`requests`], and who acts: see [`acting`] |
//! | `lifesigns:{app}:seen:<state>`, `...:instances`, `...:names` | the instances: see [`instances`] |
//!
//! `<check>` is the check's name and a hash of what is checked and how: another release of the application that checks
//! something else shares no result with this one.
//!
//! Guarantees: at most one host at a time holds a lease that has not run out; a result is stored only by the holder of
//! the highest fence, so that a process which was stopped and comes back late changes nothing; each script is atomic;
//! all times are the server's or ages, never a host's clock; each command is bounded in time ([`COMMAND_TIMEOUT`]).
//! A fence is higher than all before also after the server has lost its data: it is at least the server's time. What
//! operators did is given back to such a server by the hosts that know it; what they did while the server could not be
//! reached is handed over when it can be, and stands unless something was done later.
//!
//! Not guaranteed: that a check is run once while Redis fails over (a lease may be lost with the old master): a lease
//! saves runs, correctness does not rest on it.

pub mod acting;
pub mod alarms;
pub mod document;
pub mod document_lease;
mod hand_over;
pub mod instances;
mod operations;
mod reply;
mod requests;
mod scripts;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::{Cmd, Value, cmd};
use tokio::time::timeout;

use crate::model::{CheckError, Phase};
use crate::runtime::{Context, Process, random};
use crate::state::record::UNHEALTHY_TTL;
pub use hand_over::HandedOver;
pub use operations::FleetOperation;
use reply::{bytes, integer, text, unexpected};

/// How long one exchange with Redis may take, however slow it is.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a lease lasts at least; up to a fifth longer, so that not all that wait for it come at once.
pub const LEASE: Duration = Duration::from_secs(6);
/// How long the result of a check that is run no more is kept, at least.
const KEPT: Duration = Duration::from_secs(86_400);

/// The way to the server that the hosts share.
#[async_trait]
pub trait FleetClient: Send + Sync {
    /// Sends commands at once, and returns the replies in their order: error replies are values.
    async fn send(&self, context: &Context, commands: &[Cmd]) -> Result<Vec<Value>, CheckError>;

    /// What an error reply to `command` means.
    fn refusal(&self, command: &'static str, error: &redis::ServerError) -> CheckError;

    /// The server as it stands in messages.
    fn target(&self) -> String;
}

/// The results, leases and instances of one application.
pub struct FleetStore {
    application: String,
    client: Arc<dyn FleetClient>,
}

/// The keys of one check.
#[derive(Clone, Debug)]
pub struct FleetKey {
    /// The check's name and the hash of what is checked.
    pub check: String,
    keys: [String; 3],
}

/// What is requested of a check.
#[derive(Clone, Copy, Debug)]
pub struct FleetRequest {
    /// The fence of the result that the host has: it is not sent again.
    pub known: u64,
    /// A result that is younger is acceptable; of one that is not healthy, see [`UNHEALTHY_TTL`].
    pub max_age: Duration,
    /// Any result of a higher fence is acceptable.
    pub after: Option<u64>,
}

/// How a request ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FleetTurn {
    Found,
    /// The caller has to run the check, and to store its result with this fence.
    Leader(u64),
    /// Another host runs it.
    Held,
}

/// A result as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetResult {
    pub fence: u64,
    pub age: Duration,
    /// `None` if it is the one that the host has.
    pub value: Option<Vec<u8>>,
}

/// What is known of a check, and whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetReply {
    pub turn: FleetTurn,
    pub result: Option<FleetResult>,
    pub operation: Option<FleetOperation>,
}

impl FleetStore {
    pub fn new(application: String, client: Arc<dyn FleetClient>) -> Self {
        Self { application, client }
    }

    /// The server as it stands in messages.
    pub fn target(&self) -> String {
        self.client.target()
    }

    fn key(&self, kind: &str) -> String {
        format!("lifesigns:{{{}}}:{kind}", self.application)
    }

    /// The keys of a check: its name, and the hash of what is checked.
    pub fn key_of(&self, name: &str, hash: &str) -> FleetKey {
        let check = format!("{name}:{hash}");
        let keys = ["r", "l", "f"].map(|kind| self.key(&format!("{kind}:{check}")));
        FleetKey { check, keys }
    }

    /// Requests a result, or the lease for `token`, which identifies its holder.
    pub async fn acquire(
        &self,
        process: &Arc<Process>,
        key: &FleetKey,
        token: &str,
        request: FleetRequest,
    ) -> Result<FleetReply, CheckError> {
        let lease = LEASE.mul_f64(1.0 + 0.2 * random());
        let mut command = self.script(scripts::ACQUIRE, &[&key.keys[0], &key.keys[1], &key.keys[2], &self.key("ops")]);
        command.arg(token).arg(millis(lease)).arg(request.known).arg(millis(request.max_age));
        command.arg(request.after.map_or(-1, u64::cast_signed)).arg(millis(UNHEALTHY_TTL)).arg(&key.check);
        let reply = self.call(process, command).await?;
        let Value::Array(parts) = &reply else { return Err(unexpected(&self.target())) };
        let [turn, fence, age, value, operation, lead] = parts.as_slice() else {
            return Err(unexpected(&self.target()));
        };
        let turn = match (text(turn).as_deref(), integer(lead)) {
            (Some("found"), _) => FleetTurn::Found,
            (Some("leader"), Some(fence)) => FleetTurn::Leader(fence),
            (Some("held"), _) => FleetTurn::Held,
            _ => return Err(unexpected(&self.target())),
        };
        let operation = text(operation).and_then(|text| FleetOperation::decode(&text));
        Ok(FleetReply { turn, result: result(fence, age, value), operation })
    }

    /// Stores the result of a run, `age` after it ended, and releases the lease. Returns the result that is there
    /// instead, if the fence is not the highest any more.
    pub async fn store(
        &self,
        process: &Arc<Process>,
        key: &FleetKey,
        lease: (&str, u64),
        (value, well, age): (&[u8], bool, Duration),
    ) -> Result<Option<FleetResult>, CheckError> {
        let mut command = self.script(scripts::STORE, &[&key.keys[0], &key.keys[1], &key.keys[2]]);
        command.arg(lease.0).arg(lease.1).arg(u8::from(well)).arg(value).arg(millis(age)).arg(millis(KEPT));
        match self.call(process, command).await? {
            Value::Array(parts) => match parts.as_slice() {
                [fence, age, value] => Ok(result(fence, age, value)),
                _ => Ok(None),
            },
            _ => Err(unexpected(&self.target())),
        }
    }

    /// Renews a lease; false if it is another's by now.
    pub async fn renew(&self, process: &Arc<Process>, key: &FleetKey, token: &str) -> Result<bool, CheckError> {
        let command = self.script(scripts::RENEW, &[&key.keys[1]]).arg(token).arg(millis(LEASE)).take();
        Ok(integer(&self.call(process, command).await?) == Some(1))
    }

    /// Gives a lease back, if it is still this holder's.
    pub async fn release(&self, process: &Arc<Process>, key: &FleetKey, token: &str) -> Result<(), CheckError> {
        self.call(process, self.script(scripts::RELEASE, &[&key.keys[1]]).arg(token).take()).await.map(drop)
    }

    /// Who holds the lease of each check, and for how long at most.
    pub async fn holders(
        &self,
        process: &Arc<Process>,
        keys: &[FleetKey],
    ) -> Result<Vec<Option<(String, Duration)>>, CheckError> {
        let commands: Vec<Cmd> = keys
            .iter()
            .flat_map(|key| [cmd("GET").arg(&key.keys[1]).take(), cmd("PTTL").arg(&key.keys[1]).take()])
            .collect();
        let replies = self.send(process, &commands).await?;
        Ok(replies.chunks(2).map(holder).collect())
    }

    fn script(&self, script: &str, keys: &[&str]) -> Cmd {
        let mut command = cmd("EVAL");
        command.arg(script).arg(keys.len());
        for key in keys {
            command.arg(*key);
        }
        command
    }

    async fn call(&self, process: &Arc<Process>, command: Cmd) -> Result<Value, CheckError> {
        let replies = self.send(process, &[command]).await?;
        replies.into_iter().next().ok_or_else(|| unexpected(&self.target()))
    }

    async fn send(&self, process: &Arc<Process>, commands: &[Cmd]) -> Result<Vec<Value>, CheckError> {
        let context = Context::new(process.clone(), COMMAND_TIMEOUT);
        let late = |_| CheckError::Timeout { after: COMMAND_TIMEOUT, phase: Phase::Query };
        let replies = timeout(COMMAND_TIMEOUT, self.client.send(&context, commands)).await.map_err(late)??;
        match replies.iter().find_map(|reply| if let Value::ServerError(error) = reply { Some(error) } else { None }) {
            Some(error) => Err(self.client.refusal("EVAL", error)),
            None => Ok(replies),
        }
    }
}

/// The holder of a lease, of the replies to GET and PTTL.
fn holder(pair: &[Value]) -> Option<(String, Duration)> {
    match pair {
        [holder, left] => Some((text(holder)?, Duration::from_millis(integer(left)?))),
        _ => None,
    }
}

fn result(fence: &Value, age: &Value, value: &Value) -> Option<FleetResult> {
    let fence = integer(fence).filter(|fence| *fence > 0)?;
    Some(FleetResult { fence, age: Duration::from_millis(integer(age)?), value: bytes(value) })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(1 << 50)
}
