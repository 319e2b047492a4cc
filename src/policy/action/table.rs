//! What the processes of a scope have in common about actions: data, bounded in size.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::entry::ActionEntry;
use super::plan::{MAX_PER_HOUR, Threshold};
use super::stop::Stop;
use super::watch::Watch;
use crate::model::Owner;
use crate::model::clock::{self, Moment};

const HOUR: Duration = Duration::from_secs(3_600);
/// Entries that are kept, and for how long one that is over is kept for tables that have not confirmed it.
pub const MAX_ENTRIES: usize = 100;
const KEEP_ENTRY: Duration = Duration::from_secs(24 * 3_600);
const KEEP_WATCH: Duration = Duration::from_secs(24 * 3_600);

/// All actions of a scope.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ActionTable {
    /// The number of the latest lease.
    pub(super) fence: u64,
    pub(super) lease: Option<ActionLease>,
    /// Who has switched all of them off.
    pub off: Option<Switch>,
    pub(super) watches: BTreeMap<WatchKey, Watch>,
    pub(super) actions: BTreeMap<String, ActionState>,
    /// The oldest first.
    pub entries: Vec<ActionEntry>,
    /// What an action of another table is to continue; for the process that has made the step.
    #[serde(skip)]
    pub handed_on: Vec<HandedOn>,
}

/// A rung that is in another table, and what it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct HandedOn {
    pub action: String,
    pub check: String,
    pub threshold: Threshold,
    pub from: String,
}

/// What was switched off, and by whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Switch {
    pub by: String,
    pub at: SystemTime,
}

/// A check, and what counts as its failure.
pub type WatchKey = (String, Threshold);

/// The right to run one action, while one process does so. Times are in nanoseconds since boot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionLease {
    pub owner: Owner,
    pub fence: u64,
    pub action: String,
    pub entry: String,
    pub incident: Option<IncidentKey>,
    #[serde(with = "clock::nanos")]
    pub until: u64,
}

/// One incident of a check, by its number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IncidentKey {
    pub watch: WatchKey,
    pub number: u64,
}

/// What is known of one action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ActionState {
    pub disabled: Option<Switch>,
    /// Its starts within the last hour, and the end of the last run.
    #[serde(with = "clock::nanos_of")]
    pub started: Vec<u64>,
    #[serde(with = "clock::nanos")]
    pub last_ended: u64,
    /// About incidents that last.
    pub efforts: Vec<Effort>,
    pub request: Option<Request>,
    pub verification: Option<Verification>,
}

/// What an action has done about one incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effort {
    pub incident: IncidentKey,
    pub runs: u32,
    /// The next rung has taken over.
    pub is_handed_on: bool,
    /// What has kept it from starting, as far as noted.
    pub stops: Vec<Stop>,
}

/// What wants an action to run whatever its trigger says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Request {
    Rung {
        incident: IncidentKey,
        from: String,
    },
    Person {
        author: String,
        #[serde(with = "clock::nanos")]
        until: u64,
    },
}

/// The time in which the check of an action that has run must turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    pub entry: String,
    pub incident: IncidentKey,
    #[serde(with = "clock::nanos")]
    pub since: u64,
    #[serde(with = "clock::nanos")]
    pub until: u64,
}

impl ActionState {
    /// Its starts within the hour before `now`.
    pub fn recent(&self, now: Moment) -> usize {
        self.started.iter().filter(|started| now.since(**started) < HOUR).count()
    }

    pub fn note_start(&mut self, now: Moment) {
        self.started.retain(|started| now.since(*started) < HOUR);
        if self.started.len() >= MAX_PER_HOUR as usize {
            self.started.remove(0);
        }
        self.started.push(now.boot);
        self.last_ended = now.boot;
    }

    pub fn effort(&self, incident: &IncidentKey) -> Option<&Effort> {
        self.efforts.iter().find(|effort| effort.incident == *incident)
    }

    pub fn effort_mut(&mut self, incident: &IncidentKey) -> Option<&mut Effort> {
        if self.effort(incident).is_none() {
            let (runs, is_handed_on, stops) = Default::default();
            self.efforts.push(Effort { incident: incident.clone(), runs, is_handed_on, stops });
        }
        self.efforts.iter_mut().find(|effort| effort.incident == *incident)
    }

    fn is_void(&self, now: Moment) -> bool {
        let is_used = self.disabled.is_some() || self.request.is_some() || self.verification.is_some();
        !is_used && self.efforts.is_empty() && self.recent(now) == 0
    }
}

impl ActionTable {
    /// Whether that incident lasts.
    pub(super) fn is_open(&self, incident: &IncidentKey) -> bool {
        let watch = self.watches.get(&incident.watch);
        watch.is_some_and(|watch| watch.is_open && watch.incidents == incident.number)
    }

    /// The incident of a check that is open.
    pub(super) fn open_incident(&self, check: &str, threshold: Threshold) -> Option<IncidentKey> {
        let key = (check.to_owned(), threshold);
        let watch = self.watches.get(&key).filter(|watch| watch.is_open)?;
        Some(IncidentKey { number: watch.incidents, watch: key })
    }

    pub fn entry_mut(&mut self, id: &str) -> Option<&mut ActionEntry> {
        self.entries.iter_mut().rev().find(|entry| entry.id == id)
    }

    /// Adds an entry in place of the oldest that is over, if there are too many.
    pub(super) fn push(&mut self, entry: ActionEntry) {
        if self.entries.len() >= MAX_ENTRIES {
            let oldest = self.entries.iter().position(|entry| entry.state.is_over());
            self.entries.remove(oldest.unwrap_or_default());
        }
        self.entries.push(entry);
    }

    /// Drops the oldest entries that are over, until there are no more than `kept`.
    pub fn keep_entries(&mut self, kept: usize) {
        let mut surplus = self.entries.len().saturating_sub(kept);
        self.entries.retain(|entry| {
            let is_dropped = surplus > 0 && entry.state.is_over();
            surplus -= usize::from(is_dropped);
            !is_dropped
        });
    }

    /// Notes which revisions of entries the tables have.
    pub fn confirm(&mut self, revisions: &BTreeMap<String, u64>) {
        for entry in &mut self.entries {
            let revision = revisions.get(&entry.id).copied().unwrap_or_default();
            entry.confirmed = entry.confirmed.max(revision);
        }
    }

    /// The checks of which an action is to be verified.
    pub fn verifying(&self) -> impl Iterator<Item = &str> {
        let verifications = self.actions.values().filter_map(|action| action.verification.as_ref());
        verifications.map(|verification| verification.incident.watch.0.as_str())
    }

    /// Whether nothing runs, or is still to be verified.
    pub fn is_idle(&self) -> bool {
        self.lease.is_none() && self.verifying().next().is_none()
    }

    /// For how long a check has failed without a break; zero: it does not.
    pub fn failing_for(&self, check: &str, threshold: Threshold, now: Moment) -> Duration {
        let since = self.watches.get(&(check.to_owned(), threshold)).and_then(|watch| watch.failing_since);
        since.map(|since| now.since(since)).unwrap_or_default()
    }

    /// Whether any action has started within the hour before `now`.
    pub(super) fn has_acted(&self, now: Moment) -> bool {
        self.actions.values().any(|action| action.recent(now) > 0)
    }

    /// Who has disabled an action.
    pub fn disabled(&self, name: &str) -> Option<&Switch> {
        self.actions.get(name)?.disabled.as_ref()
    }

    /// Disables an action, or enables it again; false if it was so.
    pub fn set_disabled(&mut self, name: &str, switch: Option<Switch>) -> bool {
        if self.disabled(name).is_some() == switch.is_some() {
            return false;
        }
        self.actions.entry(name.to_owned()).or_default().disabled = switch;
        true
    }

    /// Has an action run because a person wants so, if a process takes it by `until`.
    pub fn request(&mut self, name: &str, author: &str, until: u64) {
        let action = self.actions.entry(name.to_owned()).or_default();
        action.request = Some(Request::Person { author: author.to_owned(), until });
    }

    /// Drops what is to be remembered no longer; returns whether there was anything.
    pub fn prune(&mut self, now: Moment) -> bool {
        let size = |table: &Self| table.entries.len() + table.actions.len() + table.watches.len();
        let before = size(self);
        let is_old = |entry: &ActionEntry| {
            let ended = entry.ended_at.and_then(|ended| now.wall.duration_since(ended).ok());
            ended.is_some_and(|ago| ago >= KEEP_ENTRY)
        };
        self.entries.retain(|entry| !is_old(entry));
        self.actions.retain(|_, action| !action.is_void(now));
        // Its runs that were counted may be shown for that long.
        self.watches.retain(|_, watch| !watch.is_void() || watch.idle(now) < KEEP_WATCH);
        size(self) != before
    }
}
