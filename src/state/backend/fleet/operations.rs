//! What operators do to the breakers of all hosts: the last one for each check, by number.

use std::collections::BTreeMap;
use std::sync::Arc;

use redis::{Value, cmd};

use super::reply::{text, unexpected};
use super::{COMMAND_TIMEOUT, FleetKey, FleetStore, millis, scripts};
use crate::model::{CheckError, CollectOrdered};
use crate::runtime::Process;
use crate::state::record::{Operation, PendingOperation};

/// An operator's decision on the breaker of a check, in all hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FleetOperation {
    /// Higher than that of the decision before.
    pub number: u64,
    pub operation: Operation,
}

const WORDS: [(&str, Operation); 4] = [
    ("force_open", Operation::ForceOpen),
    ("force_closed", Operation::ForceClosed),
    ("disable", Operation::Disable),
    ("reset", Operation::Reset),
];

fn word(operation: Operation) -> &'static str {
    WORDS.iter().find(|(_, known)| *known == operation).map_or("reset", |(word, _)| word)
}

impl FleetOperation {
    pub(super) fn decode(text: &str) -> Option<Self> {
        let (number, word) = text.split_once(' ')?;
        let (_, operation) = WORDS.iter().find(|(known, _)| *known == word)?;
        Some(Self { number: number.parse().ok()?, operation: *operation })
    }
}

impl FleetStore {
    /// Has all hosts apply an operation to the breaker of a check, which was made when the one of the number `known` was
    /// the last; returns what stands: this one, or a later one.
    pub async fn operate(
        &self,
        process: &Arc<Process>,
        key: &FleetKey,
        pending: PendingOperation,
        known: u64,
    ) -> Result<FleetOperation, CheckError> {
        // What is made now is the last, whatever the clocks of a server and of the one before it show.
        let age = Some(pending.age()).filter(|age| *age >= COMMAND_TIMEOUT).unwrap_or_default();
        let mut command = self.script(scripts::OPERATE, &[&self.key("ops")]);
        command.arg(&key.check).arg(word(pending.operation)).arg(millis(age)).arg(known);
        let stands = text(&self.call(process, command).await?).and_then(|text| FleetOperation::decode(&text));
        stands.ok_or_else(|| unexpected(&self.target()))
    }

    /// Gives back an operation to a server that has lost it; it stands if that has no later one.
    pub async fn give_back(
        &self,
        process: &Arc<Process>,
        key: &FleetKey,
        operation: FleetOperation,
    ) -> Result<(), CheckError> {
        let mut command = self.script(scripts::GIVE_BACK, &[&self.key("ops")]);
        command.arg(&key.check).arg(word(operation.operation)).arg(operation.number);
        self.call(process, command).await.map(drop)
    }

    /// The last operation on the breaker of each check, by [`FleetKey::check`].
    pub async fn operations(&self, process: &Arc<Process>) -> Result<BTreeMap<String, FleetOperation>, CheckError> {
        let Value::Array(parts) = self.call(process, cmd("HGETALL").arg(self.key("ops")).take()).await? else {
            return Err(unexpected(&self.target()));
        };
        let pair = |pair: &[Value]| match pair {
            [check, operation] => Some((text(check)?, FleetOperation::decode(&text(operation)?)?)),
            _ => None,
        };
        Ok(parts.chunks(2).filter_map(pair).collect_ordered())
    }
}
