//! The incidents of a fleet as a host has them: a copy of the document that the holder writes, and what is requested here.
//!
//! The tables and silences themselves are where those of the host are ([`super::incidents`], [`super::alert_control`]), so
//! that all that shows them is the same with a fleet and without one.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::alert_control::AlertControl;
use super::applied::note_applied;
use super::backend::Busy;
use super::backend::fleet::document::{DOCUMENT_CAPACITY, DocumentMark};
use super::incidents::IncidentTable;
use super::scope::Scope;
use super::stored::{Fits, Stored};
use crate::model::clock;

/// What it is kept as, and the document: with another number for each layout, see [`super::layout`].
pub(super) const KEY: &str = "fleet alerts 1";
pub const DOCUMENT: &str = "incidents-1";
/// Requests that wait, of one host.
const MAX_PENDING: usize = 200;
/// Requests that are remembered as applied.
const MAX_APPLIED: usize = 500;

/// What a host knows of the incidents of its fleet beside them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FleetDesk {
    /// What was requested here and is not known to be applied, by ids.
    pub pending: Vec<(u64, Vec<u8>)>,
    /// Which requests the tables here contain.
    pub applied: Vec<u64>,
    /// Which document the tables here were last equal to, by fence and revision.
    mark: (u64, u64),
    /// The fence with which this host is the holder, or was the last one that it knows of.
    pub leads: Option<u64>,
    /// Since when this host has decided alone: the tables here have more than the document.
    pub alone_since: Option<SystemTime>,
}

impl FleetDesk {
    pub fn mark(&self) -> DocumentMark {
        DocumentMark { fence: self.mark.0, revision: self.mark.1 }
    }

    /// Notes that the tables here are those of a document.
    pub fn has(&mut self, mark: DocumentMark) {
        self.mark = (mark.fence, mark.revision);
        self.alone_since = None;
    }

    /// Adds a request; false where too many wait.
    pub fn add(&mut self, id: u64, request: Vec<u8>) -> bool {
        let has_room = self.pending.len() < MAX_PENDING;
        if has_room {
            self.pending.push((id, request));
        }
        has_room
    }

    /// Notes that a request is applied; false if it was before.
    pub fn apply(&mut self, id: u64) -> bool {
        note_applied(&mut self.applied, id, MAX_APPLIED)
    }

    /// Forgets the requests of this host that are applied.
    pub fn forget_applied(&mut self) {
        let Self { pending, applied, .. } = self;
        pending.retain(|(id, _)| !applied.contains(id));
    }
}

impl Fits for FleetDesk {
    fn shrink(&mut self, round: usize) -> bool {
        self.pending.truncate(self.pending.len() / 2);
        round < 8
    }
}

/// The desk of one application on a host.
pub struct DeskStore(Stored<FleetDesk>);

impl DeskStore {
    pub fn new(scope: &Scope, application: &str) -> Self {
        Self(Stored::new(scope, &format!("{KEY} {application}")))
    }

    pub fn read<R>(&self, read: impl FnOnce(&FleetDesk) -> R) -> R {
        self.0.read(None, read)
    }

    /// Changes it: see [`Stored::update`].
    pub fn update(&self, lock_timeout: Duration, change: impl FnMut(&mut FleetDesk) -> bool) -> Result<(), Busy> {
        self.0.update(lock_timeout, change)
    }
}

/// What the holder writes for all hosts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FleetIncidents {
    pub table: IncidentTable,
    pub control: AlertControl,
    /// The requests that were applied.
    pub applied: Vec<u64>,
}

impl FleetIncidents {
    /// In at most [`DOCUMENT_CAPACITY`] bytes, without what matters least; `None` where that is too few.
    pub fn encode(mut self) -> Option<Vec<u8>> {
        let fitting = |all: &Self| postcard::to_allocvec(all).ok().filter(|bytes| bytes.len() < DOCUMENT_CAPACITY - 16);
        for round in 0.. {
            if let Some(bytes) = fitting(&self) {
                return Some(bytes);
            }
            if !self.table.shrink(round) {
                return None;
            }
        }
        None
    }

    /// What another host has encoded, `age` ago.
    pub fn decode(bytes: &[u8], age: Duration) -> Option<Self> {
        clock::decode_from_host(bytes, age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clock::Moment;
    use crate::policy::incident::{Incident, Since};

    #[test]
    fn document_of_another_host_has_the_same_ages_here() {
        let now = Moment::now();
        let since = Since { boot: now.boot - 5_000_000_000, wall: now.wall };
        let mut all = FleetIncidents { applied: vec![7], ..FleetIncidents::default() };
        let mut open = Incident::new("a", since, now);
        open.resolved_at = Some(since);
        all.table.0.entry("a".to_owned()).or_default().open = Some(open);
        all.control.hold("chat", now, Duration::from_secs(60));
        let encoded = all.encode().unwrap_or_default();
        // It was booted 100 s before this one, and has stored this 3 s ago.
        let there = postcard::to_allocvec(&(now.boot + 100_000_000_000 - 3_000_000_000)).unwrap_or_default();
        let found =
            FleetIncidents::decode(&[&there[..], &encoded].concat(), Duration::from_secs(3)).unwrap_or_default();
        let resolved = found.table.incidents().find_map(|incident| incident.resolved_at).map_or(0, |at| at.boot);
        let off = |found: u64, wanted: u64| (i128::from(found) - i128::from(wanted)).unsigned_abs();
        assert!(off(resolved + 100_000_000_000, since.boot) < 50_000_000);
        assert!(off(found.control.held_until("chat") + 100_000_000_000, now.boot + 60_000_000_000) < 50_000_000);
        assert_eq!(found.applied, [7]);
        assert!(FleetIncidents::decode(b"", Duration::ZERO).is_none());
    }

    #[test]
    fn request_is_applied_once_and_forgotten_then() {
        let mut desk = FleetDesk::default();
        assert!(desk.add(1, vec![1]) && desk.add(2, vec![2]));
        assert!(desk.apply(1) && !desk.apply(1));
        desk.forget_applied();
        assert_eq!(desk.pending, [(2, vec![2])]);
        let added = (3..1_000).filter(|id| desk.add(*id, Vec::new())).count();
        assert_eq!(added, MAX_PENDING - 1);
        (10..2_000).for_each(|id| assert!(desk.apply(id)));
        assert_eq!(desk.applied.len(), MAX_APPLIED);
    }
}
