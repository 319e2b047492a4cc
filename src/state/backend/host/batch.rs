//! Values of a store that are changed together: one lock and four system calls more, however many they are.
//!
//! Guarantees: no other process is waited for: what is not to be had at once is left to [`HostStore::update`]. So a process that
//! was stopped while it had some slot costs the others nothing but system calls, and one that was stopped while it had the
//! slots of a batch costs them for each value what it costs them if it was stopped while it had that one. Each value changes
//! as a whole, also when its writer is killed or stopped at any instant; not all of a batch change in one instant.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use super::file::LockedSlots;
use super::{BatchedValue, EntryVersion, HostStore, SlotLocation, SlotValue, StoreEntry, StoreFile, UpdateError};
use crate::runtime::try_lock;

/// Of so many slots side by side some are locked together, at most.
const SPAN: usize = 64;

/// A value that is to be changed together with others.
pub struct BatchedUpdate<'a> {
    pub entry: &'a StoreEntry,
    pub known: &'a mut EntryVersion,
    /// Its outcome; `None`: nothing, it must be updated by itself.
    pub result: Option<Result<(), UpdateError>>,
}

/// A value whose slot is known, and which no other thread can change.
struct Located<'a> {
    number: usize,
    index: usize,
    location: MutexGuard<'a, SlotLocation>,
}

impl HostStore {
    /// Calls `change` as [`HostStore::update`] does, with the number of each update, and stores what it returns.
    pub fn update_all(
        &self,
        updates: &mut [BatchedUpdate<'_>],
        change: &mut dyn FnMut(usize, Option<Vec<u8>>) -> Option<Vec<u8>>,
    ) {
        let Some(file) = self.opened() else { return };
        self.availability.verify_soon(&file);
        let entries: Vec<_> = updates.iter().map(|update| update.entry).collect();
        let mut located: Vec<_> = entries.iter().enumerate().filter_map(|at| self.locate_at_once(&file, at)).collect();
        located.sort_unstable_by_key(|located| located.index);
        let mut rest = located.as_mut_slice();
        while let Some(first) = rest.first().map(|first| first.index) {
            let count = rest.partition_point(|located| located.index < first + SPAN);
            let (span, others) = rest.split_at_mut(count);
            rest = others;
            let last = span.last().map_or(first, |last| last.index);
            // One alone gains nothing by it.
            if count > 1
                && let Ok(Some(slots)) = file.try_lock_all(first, last)
            {
                self.update_span(slots, span, updates, change);
            }
        }
    }

    fn locate_at_once<'a>(
        &self,
        file: &Arc<StoreFile>,
        (number, entry): (usize, &&'a StoreEntry),
    ) -> Option<Located<'a>> {
        // Held by another thread, or by this one if the same entry is there twice.
        let mut location = try_lock(&entry.location)?;
        let (found, index) = self.locate(entry, &mut location, Some(Duration::ZERO)).ok()??;
        Arc::ptr_eq(&found, file).then_some(Located { number, index, location })
    }

    fn update_span(
        &self,
        slots: LockedSlots<'_>,
        span: &mut [Located<'_>],
        updates: &mut [BatchedUpdate<'_>],
        change: &mut dyn FnMut(usize, Option<Vec<u8>>) -> Option<Vec<u8>>,
    ) {
        let (mut values, mut changed) = (Vec::new(), Vec::new());
        for Located { number, index, location } in span {
            let Some(update) = updates.get_mut(*number) else { continue };
            let key = &update.entry.key;
            let known = if update.known.moves == location.moves { update.known.sequence } else { 0 };
            let value = match slots.read(*index, key, known) {
                Ok(SlotValue::New { sequence, value }) => {
                    *update.known = EntryVersion { moves: location.moves, sequence };
                    Some(value)
                }
                Ok(SlotValue::Empty | SlotValue::Unchanged) => None,
                Ok(SlotValue::Reassigned | SlotValue::Damaged) | Err(_) => continue,
            };
            update.result = Some(Ok(()));
            if let Some(value) = change(*number, value) {
                values.push(BatchedValue { index: *index, key, value });
                changed.push((*number, location.moves));
            }
        }
        let written = slots.write(&values);
        for (at, (number, moves)) in changed.into_iter().enumerate() {
            let Some(update) = updates.get_mut(number) else { continue };
            match written.as_ref().ok().and_then(|sequences| sequences.get(at)) {
                Some(sequence) => *update.known = EntryVersion { moves, sequence: *sequence },
                None => update.result = Some(Err(UpdateError::Unavailable)),
            }
        }
        match written {
            Ok(_) => self.availability.report_success(),
            Err(error) => self.availability.report_failure(error),
        }
    }
}

#[cfg(test)]
mod tests;
