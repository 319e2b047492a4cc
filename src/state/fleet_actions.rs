//! The actions of a fleet as a host has them: a copy of the document that the holder writes, what is requested here, and
//! whether this host may act itself.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::actions::FEWER_ENTRIES;
use super::applied::note_applied;
use super::backend::Busy;
use super::backend::fleet::document::DocumentMark;
use super::scope::Scope;
use super::stored::{Fits, Stored};
use crate::model::CollectOrdered;
use crate::model::clock::{self, Moment};
use crate::policy::action::{ActionTable, Switch};

/// What they are kept as, and the document: with another number for each layout, see [`super::layout`].
pub(super) const KEY: &str = "fleet actions 1";
pub(super) const DESK_KEY: &str = "fleet action desk 1";
pub const DOCUMENT: &str = "actions-1";
/// Under which name the holder finds what is requested.
pub const REQUESTS: &str = "dq:actions-1";
/// Requests that wait, of one host.
const MAX_PENDING: usize = 100;
/// Requests that are remembered as applied.
const MAX_APPLIED: usize = 300;
/// How long a person's wish that an action runs is kept while the fleet cannot be asked.
const KEEP_RUN: Duration = Duration::from_secs(3_600);

/// The table of the fleet, and which requests it contains.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FleetActions {
    pub table: ActionTable,
    pub applied: Vec<u64>,
    /// Which document this is, by fence and revision.
    mark: (u64, u64),
}

impl FleetActions {
    pub fn mark(&self) -> DocumentMark {
        DocumentMark { fence: self.mark.0, revision: self.mark.1 }
    }

    #[must_use]
    pub fn marked(mut self, mark: DocumentMark) -> Self {
        self.mark = (mark.fence, mark.revision);
        self
    }

    /// Applies a request once.
    pub fn apply(&mut self, id: u64, request: &ActionRequest, until: u64) {
        if !note_applied(&mut self.applied, id, MAX_APPLIED) {
            return;
        }
        match request {
            ActionRequest::Run { name, author, .. } => self.table.request(name, author, until),
            ActionRequest::Switch { name: Some(name), switch } => {
                self.table.set_disabled(name, switch.clone());
            }
            ActionRequest::Switch { name: None, switch } => self.table.off.clone_from(switch),
            ActionRequest::Confirm(revisions) => self.table.confirm(revisions),
        }
    }
}

impl Fits for FleetActions {
    fn shrink(&mut self, round: usize) -> bool {
        let Some(kept) = FEWER_ENTRIES.get(round) else { return false };
        self.table.keep_entries(*kept);
        true
    }
}

/// What is wanted of the fleet's table on a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ActionRequest {
    Run {
        name: String,
        author: String,
        /// When that was, in nanoseconds since boot.
        #[serde(with = "clock::nanos")]
        at: u64,
    },
    /// Switches an action, or all of them, off or on.
    Switch { name: Option<String>, switch: Option<Switch> },
    /// Notes which revisions of entries the tables have.
    Confirm(BTreeMap<String, u64>),
}

impl ActionRequest {
    /// Whether it is too old to be done: what a person wants to run now is not wanted for ever.
    pub fn is_over(&self, now: Moment) -> bool {
        matches!(self, Self::Run { at, .. } if now.since(*at) >= KEEP_RUN)
    }
}

/// What a host knows beside the fleet's table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ActionDesk {
    /// What was requested here and is not known to be applied, by ids.
    pub pending: Vec<(u64, ActionRequest)>,
    /// Until when this host judges the fleet's table, in nanoseconds since boot.
    leads_until: u64,
    /// Since when this host is one of those that act, in nanoseconds since boot, and until when at most.
    pub slot: Option<(u64, u64)>,
    view: Option<FailuresElsewhere>,
}

/// On how many other instances checks fail, and how many others say something of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailuresElsewhere {
    /// When that was read, in nanoseconds since boot.
    pub at: u64,
    /// All, this one included.
    pub instances: u32,
    /// By check: in error, degraded, and all.
    pub checks: BTreeMap<String, [u32; 3]>,
}

impl ActionDesk {
    /// Adds a request; false where too many wait.
    pub fn add(&mut self, request: ActionRequest) -> bool {
        let has_room = self.pending.len() < MAX_PENDING;
        if has_room {
            self.pending.push((uuid::Uuid::new_v4().as_u64_pair().0, request));
        }
        has_room
    }

    /// Forgets requests that are applied, or too old; returns whether there were any.
    pub fn forget(&mut self, applied: &[u64], now: Moment) -> bool {
        let before = self.pending.len();
        self.pending.retain(|(id, request)| !applied.contains(id) && !request.is_over(now));
        self.pending.len() != before
    }

    /// Notes for how long this host judges the fleet's table; zero: it does not any more. Returns whether that is to be
    /// stored.
    pub fn lead(&mut self, duration: Duration, now: Moment) -> bool {
        let was_until = self.leads_until;
        // Not each second.
        let is_due = duration.is_zero() || was_until < now.after(duration / 2);
        self.leads_until = match () {
            () if duration.is_zero() => 0,
            () if is_due => now.after(duration),
            () => was_until,
        };
        self.leads_until != was_until
    }

    pub fn leads(&self, now: Moment) -> bool {
        now.boot < self.leads_until
    }

    /// What was read of the other instances within `max_age`.
    pub fn view(&self, max_age: Duration, now: Moment) -> Option<&FailuresElsewhere> {
        // A time in the future is one of another boot.
        self.view.as_ref().filter(|view| view.at <= now.boot && now.since(view.at) < max_age)
    }

    pub fn saw(&mut self, view: FailuresElsewhere) {
        self.view = Some(view);
    }
}

impl Fits for ActionDesk {
    fn shrink(&mut self, round: usize) -> bool {
        self.view = None;
        self.pending.truncate(self.pending.len() / 2);
        round < 8
    }
}

/// The fleet's actions on a host of one application.
pub struct FleetActionStore {
    copy: Stored<FleetActions>,
    desk: Stored<ActionDesk>,
}

impl FleetActionStore {
    /// `scope` is that of the host.
    pub fn new(scope: &Scope, application: &str) -> Self {
        let copy = Stored::new(scope, &format!("{KEY} {application}"));
        Self { copy, desk: Stored::new(scope, &format!("{DESK_KEY} {application}")) }
    }

    pub fn read<R>(&self, read: impl FnOnce(&FleetActions) -> R) -> R {
        self.copy.read(None, read)
    }

    /// Replaces the copy; false while another process holds it.
    pub fn replace(&self, lock_timeout: Duration, with: &FleetActions) -> bool {
        let replace = |copy: &mut FleetActions| {
            let is_other = copy != with;
            copy.clone_from(with);
            is_other
        };
        self.copy.update(lock_timeout, replace).is_ok()
    }

    pub fn desk<R>(&self, read: impl FnOnce(&ActionDesk) -> R) -> R {
        self.desk.read(None, read)
    }

    /// Changes the desk: see [`Stored::update`].
    pub fn update_desk(&self, lock_timeout: Duration, change: impl FnMut(&mut ActionDesk) -> bool) -> Result<(), Busy> {
        self.desk.update(lock_timeout, change)
    }

    /// Who has switched all actions off, and what has disabled each of these, with what is requested here.
    pub fn switches<'n>(&self, names: impl Iterator<Item = &'n str>) -> (Option<Switch>, BTreeMap<String, Switch>) {
        let mut table = self.read(|copy| copy.table.clone());
        self.desk(|desk| {
            for (_, request) in &desk.pending {
                match request {
                    ActionRequest::Switch { name: Some(name), switch } => {
                        table.set_disabled(name, switch.clone());
                    }
                    ActionRequest::Switch { name: None, switch } => table.off.clone_from(switch),
                    ActionRequest::Run { .. } | ActionRequest::Confirm(_) => {}
                }
            }
        });
        let disabled = |name: &str| Some((name.to_owned(), table.disabled(name)?.clone()));
        let disabled = names.filter_map(disabled).collect_ordered();
        (table.off, disabled)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, clippy::indexing_slicing)]
    use std::time::SystemTime;

    use super::*;

    fn switch(by: &str) -> Option<Switch> {
        Some(Switch { by: by.to_owned(), at: SystemTime::UNIX_EPOCH })
    }

    #[test]
    fn request_is_applied_once_and_forgotten_then() {
        let (mut desk, mut actions, now) = (ActionDesk::default(), FleetActions::default(), Moment::now());
        assert!(desk.add(ActionRequest::Switch { name: None, switch: switch("anna") }));
        assert!(desk.add(ActionRequest::Switch { name: None, switch: None }));
        let [(first, off), (_, on)] = &desk.pending[..] else { panic!("two wait") };
        actions.apply(*first, off, 0);
        assert_eq!(actions.table.off, switch("anna"));
        actions.apply(7, on, 0);
        actions.apply(*first, off, 0);
        assert_eq!(actions.table.off, None, "it was applied before");
        assert!(desk.forget(&actions.applied, now));
        assert_eq!(desk.pending.len(), 1);
        assert!(!desk.forget(&actions.applied, now));
    }

    #[test]
    fn switch_is_kept_until_it_is_applied_and_a_run_for_an_hour() {
        let (mut desk, now) = (ActionDesk::default(), Moment::now());
        assert!(desk.add(ActionRequest::Switch { name: Some("warm".to_owned()), switch: switch("anna") }));
        assert!(desk.add(ActionRequest::Run { name: "warm".to_owned(), author: "anna".to_owned(), at: now.boot }));
        assert!(!desk.forget(&[], now));
        let later = Moment { boot: now.after(KEEP_RUN), ..now };
        assert!(desk.forget(&[], later));
        assert!(matches!(desk.pending[..], [(_, ActionRequest::Switch { .. })]));
        assert_eq!((0..200).filter(|_| desk.add(ActionRequest::Confirm(BTreeMap::new()))).count(), MAX_PENDING - 1);
    }

    #[test]
    fn document_of_another_host_has_the_same_ages_here() {
        let now = Moment::now();
        let mut desk = ActionDesk::default();
        desk.add(ActionRequest::Run { name: "warm".to_owned(), author: String::new(), at: now.boot });
        let request = &desk.pending[0].1;
        let encoded = clock::encode_for_host(request).unwrap_or_default();
        let found = clock::decode_from_host::<ActionRequest>(&encoded, Duration::from_secs(5));
        let Some(ActionRequest::Run { at, .. }) = found else { panic!("decoded") };
        let age = Moment::now().since(at);
        assert!(age >= Duration::from_secs(4) && age < Duration::from_secs(60), "{age:?}");
        assert_eq!(clock::decode_from_host::<ActionRequest>(b"", Duration::ZERO), None);
    }

    #[test]
    fn host_leads_for_as_long_as_it_has_noted() {
        let (mut desk, now) = (ActionDesk::default(), Moment::now());
        let (lease, second) = (Duration::from_secs(10), Duration::from_secs(1));
        assert!(!desk.leads(now) && desk.lead(lease, now) && desk.leads(now));
        assert!(!desk.lead(lease, Moment { boot: now.after(second), ..now }), "not each second");
        assert!(!desk.leads(Moment { boot: now.after(lease), ..now }));
        assert!(desk.lead(Duration::ZERO, now) && !desk.leads(now));
    }
}
