//! The instances of a fleet: each host that runs the application announces itself, and is seen by all.
//!
//! ```text
//!   announce ──► ready, not ready or draining ──three announcements missed──► missed ──ten minutes──► forgotten
//!                   ▲                               │    (draining: it has ended as planned, forgotten at once)
//!                   └───────────announce────────────┘
//! ```
//!
//! Where no instance at all was seen for as long as one may miss announcements, it is the server that could not be
//! reached: then none is missed until all have had that time to announce themselves again. After the server has lost its
//! data none is known, so that none is missed either.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value, cmd};

use super::reply::{bytes, integer, text, unexpected};
use super::{FleetStore, millis, scripts};
use crate::model::{CheckError, CollectOrdered};
use crate::runtime::Process;

/// How often an instance announces itself.
pub const ANNOUNCE_EVERY: Duration = Duration::from_secs(10);
/// An instance that was not seen for so long has missed three announcements.
pub const MISSED_AFTER: Duration = Duration::from_secs(35);
/// One that was not seen for so long is forgotten.
pub const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);
/// Instances that are read at once: their descriptions are a few hundred bytes each.
const PAGE: usize = 100;

/// In the order of the scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceState {
    Ready,
    NotReady,
    Draining,
}

impl InstanceState {
    pub const ALL: [Self; 3] = [Self::Ready, Self::NotReady, Self::Draining];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotReady => "not_ready",
            Self::Draining => "draining",
        }
    }
}

/// What an instance says of itself.
pub struct Announcement {
    pub id: String,
    pub state: InstanceState,
    pub description: Vec<u8>,
    /// Identifies `names`, the checks that the description speaks of by their places.
    pub settings: String,
    pub names: String,
}

/// How many instances there are in each state, in the order of [`InstanceState::ALL`], and how many are missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstanceCounts {
    pub states: [u64; 3],
    pub missed: u64,
}

/// An instance as it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenInstance {
    pub id: String,
    pub state: InstanceState,
    pub age: Duration,
    pub is_missed: bool,
    pub description: Vec<u8>,
}

/// All instances, and the names of checks by the hash of settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenInstances {
    pub instances: Vec<SeenInstance>,
    pub names: BTreeMap<String, String>,
}

impl FleetStore {
    fn sets(&self) -> [String; 3] {
        InstanceState::ALL.map(|state| self.key(&format!("seen:{}", state.as_str())))
    }

    /// Announces an instance; returns how many there are.
    pub async fn announce(
        &self,
        process: &Arc<Process>,
        announcement: &Announcement,
    ) -> Result<InstanceCounts, CheckError> {
        let [ready, not_ready, draining] = self.sets();
        let (instances, names, outage) = (self.key("instances"), self.key("names"), self.key("outage"));
        let mut command = self.script(scripts::ANNOUNCE, &[&ready, &not_ready, &draining, &instances, &names, &outage]);
        let number = InstanceState::ALL.iter().position(|state| *state == announcement.state).unwrap_or_default() + 1;
        command.arg(&announcement.id).arg(number).arg(&announcement.description[..]);
        command.arg(&announcement.settings).arg(&announcement.names);
        command.arg(millis(MISSED_AFTER)).arg(millis(FORGOTTEN_AFTER));
        let Value::Array(counts) = self.call(process, command).await? else {
            return Err(unexpected(&self.target()));
        };
        let counts: Vec<u64> = counts.iter().filter_map(integer).collect();
        let [ready, not_ready, draining, missed] = counts[..] else { return Err(unexpected(&self.target())) };
        Ok(InstanceCounts { states: [ready, not_ready, draining], missed })
    }

    /// All instances that are not forgotten.
    pub async fn instances(&self, process: &Arc<Process>) -> Result<SeenInstances, CheckError> {
        let mut commands = vec![cmd("TIME"), cmd("EXISTS").arg(self.key("outage")).take()];
        commands.push(cmd("HGETALL").arg(self.key("names")).take());
        let all = |set: &String| cmd("ZRANGE").arg(set).arg(0).arg(-1).arg("WITHSCORES").take();
        commands.extend(self.sets().iter().map(all));
        let replies = self.send(process, &commands).await?;
        let [time, outage, names, sets @ ..] = replies.as_slice() else { return Err(unexpected(&self.target())) };
        let now = server_time(time).ok_or_else(|| unexpected(&self.target()))?;
        let mut instances = Vec::new();
        for (state, set) in InstanceState::ALL.into_iter().zip(sets) {
            for (id, seen) in pairs(set).filter_map(|[id, seen]| Some((text(id)?, integer(seen)?))) {
                let age = Duration::from_millis(now.saturating_sub(seen));
                let is_missed = age > MISSED_AFTER && integer(outage) == Some(0);
                instances.push(SeenInstance { id, state, age, is_missed, description: Vec::new() });
            }
        }
        self.describe(process, &mut instances).await?;
        let names = pairs(names).filter_map(|[hash, names]| Some((text(hash)?, text(names)?))).collect_ordered();
        Ok(SeenInstances { instances, names })
    }

    /// Reads what the instances say of themselves; drops those that say nothing any more.
    async fn describe(&self, process: &Arc<Process>, instances: &mut Vec<SeenInstance>) -> Result<(), CheckError> {
        let mut described = HashMap::new();
        for page in instances.chunks(PAGE) {
            let mut command: Cmd = cmd("HMGET").arg(self.key("instances")).take();
            for instance in page {
                command.arg(&instance.id);
            }
            let Value::Array(found) = self.call(process, command).await? else {
                return Err(unexpected(&self.target()));
            };
            let found = page.iter().zip(&found).filter_map(|(of, found)| Some((of.id.clone(), bytes(found)?)));
            described.extend(found);
        }
        instances.retain_mut(|instance| match described.remove(&instance.id) {
            Some(description) => {
                instance.description = description;
                true
            }
            None => false,
        });
        Ok(())
    }
}

fn pairs(value: &Value) -> impl Iterator<Item = &[Value; 2]> {
    let parts = if let Value::Array(parts) = value { parts.as_slice() } else { &[] };
    parts.as_chunks::<2>().0.iter()
}

/// The reply to TIME in milliseconds.
fn server_time(value: &Value) -> Option<u64> {
    let [seconds, micros] = pairs(value).next()?;
    Some(integer(seconds)? * 1_000 + integer(micros)? / 1_000)
}
