//! The actions of a scope: what has run, what may run, and who holds the lease.

use std::time::Duration;

use super::backend::{Busy, CAPACITY};
use super::scope::Scope;
use super::stored::{Fits, Stored};
use crate::model::Owner;
use crate::policy::action::ActionTable;

/// What they are kept as: with another number for each layout, see [`super::layout`].
pub(super) const KEY: &str = "actions 2";
/// Entries that are kept where there is no room, by round.
pub(super) const FEWER_ENTRIES: [usize; 3] = [50, 10, 0];

impl Fits for ActionTable {
    fn shrink(&mut self, round: usize) -> bool {
        let Some(kept) = FEWER_ENTRIES.get(round) else { return false };
        self.keep_entries(*kept);
        true
    }
}

/// The actions of one application in a scope.
pub struct ActionStore {
    stored: Stored<ActionTable>,
    is_shared: bool,
}

impl ActionStore {
    pub fn new(scope: &Scope, application: &str) -> Self {
        let stored = Stored::new(scope, &format!("{KEY} {application}"));
        Self { stored, is_shared: *scope != Scope::Process }
    }

    pub fn read<R>(&self, read: impl FnOnce(&ActionTable) -> R) -> R {
        self.stored.read(None, read)
    }

    /// Changes them: see [`Stored::update`].
    pub fn update(&self, lock_timeout: Duration, change: impl FnMut(&mut ActionTable) -> bool) -> Result<(), Busy> {
        self.stored.update(lock_timeout, change)
    }

    /// Whether the other processes of the scope see what this one stores. Where they do not, each would act for itself.
    pub fn is_usable(&self) -> bool {
        !self.is_shared || self.new_owner().process != 0 && self.stored.backend.capacity() == CAPACITY
    }

    /// The owner of a new lease.
    pub fn new_owner(&self) -> Owner {
        self.stored.backend.new_owner()
    }

    /// Whether the process of an owner lives.
    pub fn is_alive(&self, owner: &Owner) -> bool {
        self.stored.backend.is_alive(owner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::SystemTime;

    use super::*;
    use crate::policy::action::{ActionCause, ActionEntry, EntryState};
    use crate::state::backend::RESERVED;

    #[test]
    fn table_full_of_long_entries_fits_and_less_of_it_on_a_full_disk() {
        let mut table = ActionTable::default();
        let now = SystemTime::now();
        for _ in 0..100 {
            let mut entry =
                ActionEntry::new(&"a".repeat(100), "warm_cache", Some(&"c".repeat(100)), ActionCause::Check, now)
                    .because(&"r".repeat(10_000));
            entry.become_state(EntryState::Failed, &"t".repeat(10_000), now);
            table.entries.push(entry);
        }
        table.entries.push(ActionEntry::new("running", "warm_cache", None, ActionCause::Person, now));
        assert!(postcard::to_allocvec(&table).unwrap().len() < CAPACITY);
        for round in 0..FEWER_ENTRIES.len() {
            assert!(table.shrink(round));
        }
        assert!(!table.shrink(FEWER_ENTRIES.len()));
        assert_eq!(table.entries.len(), 1, "what runs is kept");
        assert!(postcard::to_allocvec(&table).unwrap().len() < RESERVED);
    }
}
