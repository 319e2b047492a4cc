//! The incidents of a scope: in some of its values, by the names' hashes, so that they take few slots of checks.
//!
//! They are kept by application and name, not by what is checked and how: a new version of the application, with another
//! timeout, finds the incident that is open.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::TableSnapshot;
use super::backend::Busy;
use super::scope::{Scope, key};
use super::stored::{Fits, Stored};
use crate::model::Owner;
use crate::model::clock::Moment;
use crate::policy::incident::{Incident, Subject, truncated};

/// What they are kept as: with another number for each layout, see [`super::layout`].
pub(super) const KEY: &str = "incidents 1";
/// Values that hold the incidents.
const GROUPS: u8 = 32;
/// What a message is cut to where there is no room.
const SHORT_MESSAGE: usize = 100;
const SHORT_TIMELINE: usize = 3;

/// The subjects of one value, by name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct IncidentTable(pub BTreeMap<String, Subject>);

impl IncidentTable {
    /// All incidents, by subject, the oldest first.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.0.values().flat_map(Subject::incidents)
    }

    /// Drops what is to be remembered no longer, and gives up what no process has the channel for: see
    /// [`Subject::prune`]. Returns whether there was anything.
    pub fn prune(&mut self, now: Moment, report: &mut dyn FnMut(&Incident, &str)) -> bool {
        let pruned = self.0.values_mut().map(|subject| subject.prune(now, report)).fold(false, |any, one| any | one);
        let before = self.0.len();
        self.0.retain(|_, subject| !subject.is_void(now));
        pruned || self.0.len() != before
    }
}

impl Fits for IncidentTable {
    fn shrink(&mut self, round: usize) -> bool {
        let subjects = self.0.values_mut();
        match round {
            0 => subjects.for_each(|subject| subject.closed.retain(Incident::has_pending)),
            1 => subjects.flat_map(Subject::incidents_mut).for_each(|incident| {
                let needless = incident.timeline.len().saturating_sub(SHORT_TIMELINE);
                incident.timeline.drain(..needless);
            }),
            2 => subjects.flat_map(Subject::incidents_mut).for_each(|incident| {
                incident.message = truncated(&incident.message, SHORT_MESSAGE);
                incident.blocked.clear();
                for notice in &mut incident.notices {
                    notice.message = truncated(&notice.message, SHORT_MESSAGE);
                    notice.blocked.clear();
                }
            }),
            3 => subjects.flat_map(Subject::incidents_mut).for_each(Incident::keep_essentials),
            _ => return false,
        }
        true
    }
}

/// The incidents of one application in a scope.
pub struct IncidentStore(Vec<Stored<IncidentTable>>);

impl IncidentStore {
    pub fn new(scope: &Scope, application: &str) -> Self {
        let name = |group| format!("{KEY} {group} {application}");
        Self((0..GROUPS).map(|group| Stored::new(scope, &name(group))).collect())
    }

    /// What one host of a fleet counts of its own: no incident of it is shown, or sent.
    pub fn of_instance(scope: &Scope, application: &str) -> Self {
        Self(vec![Stored::new(scope, &format!("{KEY} of the instance {application}"))])
    }

    /// Which value holds the subject of that name.
    pub fn group_of(name: &str) -> usize {
        key(name).first().map_or(0, |byte| usize::from(byte % GROUPS))
    }

    /// The numbers of all values.
    pub fn groups(&self) -> std::ops::Range<usize> {
        0..self.0.len()
    }

    pub fn snapshot(&self) -> Option<TableSnapshot> {
        self.0.first()?.snapshot()
    }

    /// Reads one of the values; `None` where there is none of that number.
    pub fn read<R>(
        &self,
        group: usize,
        snapshot: Option<&TableSnapshot>,
        read: impl FnOnce(&IncidentTable) -> R,
    ) -> Option<R> {
        Some(self.0.get(group)?.read(snapshot, read))
    }

    /// Changes one of the values: see [`Stored::update`].
    pub fn update(
        &self,
        group: usize,
        lock_timeout: Duration,
        change: impl FnMut(&mut IncidentTable) -> bool,
    ) -> Result<(), Busy> {
        self.0.get(group).map_or(Ok(()), |stored| stored.update(lock_timeout, change))
    }

    /// The owner of a new right to send.
    pub fn new_owner(&self) -> Owner {
        let none = Owner { member: 0, process: 0, lease: 0 };
        self.0.first().map_or(none, |stored| stored.backend.new_owner())
    }

    /// Whether the process of an owner lives.
    pub fn is_alive(&self, owner: &Owner) -> bool {
        self.0.first().is_some_and(|stored| stored.backend.is_alive(owner))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::policy::incident::{Acknowledgement, Since};
    use crate::state::backend::CAPACITY;

    fn incident(check: &str) -> Incident {
        let now = Moment::now();
        let mut incident = Incident::new(check, Since { boot: now.boot, wall: now.wall }, now);
        incident.describe(crate::model::Status::Error, &"x".repeat(10_000));
        for _ in 0..100 {
            incident.note(crate::policy::incident::TimelineKind::Reminded, &"y".repeat(1_000), now.wall);
        }
        let channels = ["a", "b", "c"].map(str::to_owned).into();
        incident.send(crate::model::NoticeKind::Triggered, &channels, now.wall);
        let author = "anna".to_owned();
        incident.acknowledged = Some(Acknowledgement { author, comment: String::new(), at: now.wall });
        incident
    }

    #[test]
    fn incidents_of_many_subjects_fit_into_a_value_with_less_of_them() {
        let mut table = IncidentTable::default();
        for index in 0..60 {
            let name = format!("check_{index}");
            let mut subject = Subject::default();
            for _ in 0..8 {
                subject.close(incident(&name));
            }
            subject.open = Some(incident(&name));
            assert!(subject.closed.len() <= 5);
            table.0.insert(name, subject);
        }
        assert!(postcard::to_allocvec(&table).unwrap().len() > CAPACITY);
        for subject in table.0.values_mut() {
            subject.closed.iter_mut().for_each(|incident| incident.channels.clear());
        }
        for round in 0..3 {
            assert!(table.shrink(round));
        }
        assert!(postcard::to_allocvec(&table).unwrap().len() < CAPACITY);
        assert_eq!(table.incidents().count(), 60, "what is open stays");
    }

    #[test]
    fn outboxes_of_every_check_fit_however_much_waits_in_them() {
        use crate::model::NoticeKind::{Acknowledged, Reminded, Triggered};
        let mut table = IncidentTable::default();
        // As there are of 1,280 checks that all have failed, with six channels that take nothing.
        let channels = (0..6).map(|index| format!("channel-{index}")).collect();
        let now = Moment::now();
        for index in 0..40 {
            let mut incident = incident(&format!("check_{index}"));
            incident.blocked = vec!["z".repeat(90); 20];
            for kind in [Triggered, Reminded, Acknowledged, Triggered, Acknowledged] {
                incident.send(kind, &channels, now.wall);
            }
            for queue in &mut incident.channels {
                queue.deliveries.iter_mut().for_each(|one| one.last_answer = "a".repeat(200));
            }
            let subject = table.0.entry(incident.check.clone()).or_default();
            subject.open = Some(incident);
        }
        let pending = |table: &IncidentTable| {
            table.incidents().flat_map(|incident| &incident.channels).filter_map(|queue| queue.pending()).count()
        };
        let before = pending(&table);
        for round in 0..4 {
            assert!(postcard::to_allocvec(&table).unwrap().len() > CAPACITY, "round {round}");
            assert!(table.shrink(round));
        }
        assert!(!table.shrink(4));
        assert!(postcard::to_allocvec(&table).unwrap().len() < CAPACITY);
        assert_eq!((table.incidents().count(), pending(&table)), (40, before));
    }

    #[test]
    fn stored_table_is_the_same_once_decoded() {
        let mut table = IncidentTable::default();
        table.0.entry("a".to_owned()).or_default().open = Some(incident("a"));
        let bytes = postcard::to_allocvec(&table).unwrap();
        assert_eq!(postcard::from_bytes::<IncidentTable>(&bytes).unwrap().0, table.0);
    }
}
