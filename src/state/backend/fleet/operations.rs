//! What operators do to the breakers of all hosts: the last one for each check, by number.

use std::collections::BTreeMap;
use std::sync::Arc;

use redis::{Value, cmd};

use super::reply::{text, unexpected};
use super::{FleetKey, FleetStore, scripts};
use crate::model::CheckError;
use crate::runtime::Process;
use crate::state::record::Operation;

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

impl FleetOperation {
    pub(super) fn decode(text: &str) -> Option<Self> {
        let (number, word) = text.split_once(' ')?;
        let (_, operation) = WORDS.iter().find(|(known, _)| *known == word)?;
        Some(Self { number: number.parse().ok()?, operation: *operation })
    }
}

impl FleetStore {
    /// Has all hosts apply an operation to the breaker of a check; returns its number.
    pub async fn operate(
        &self,
        process: &Arc<Process>,
        key: &FleetKey,
        operation: Operation,
    ) -> Result<u64, CheckError> {
        let word = WORDS.iter().find(|(_, known)| *known == operation).map_or("reset", |(word, _)| word);
        let command = self.script(scripts::OPERATE, &[&self.key("ops")]).arg(&key.check).arg(word).take();
        super::integer(&self.call(process, command).await?).ok_or_else(|| unexpected(&self.target()))
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
        Ok(parts.chunks(2).filter_map(pair).collect())
    }
}
