//! Host scope: all processes of one user on a host or in a pod know the same of a check, through a file in shared memory.
//!
//! ```text
//!   HostStore ──► Availability ──► StoreFile        one store in this process, by its path
//!       ▲            closed, opening, open, failed
//!   StoreEntry   ──unknown──► located (file, slot) ──file lost, slot assigned to another key──► unknown
//!       ▲
//!   HostBackend (the record of a check) · SharedValue (heartbeats, history marks)
//! ```
//!
//! Guarantees: a value changes as a whole, also when its writer is killed or stopped at any instant; one writer at a time;
//! a reader never sees an older value after a newer one of the same file; nothing is mapped, so that no damage ends a
//! process; a store that fails, is full, damaged, replaced or deleted costs the sharing, and never an answer. A deleted or
//! replaced file is noticed within two seconds. Processes are members by a random number, and alive while they hold a lock.
//!
//! What may block, and for how long: [`HostStore::entry`] and [`HostStore::snapshot`] never. [`HostStore::read_if_changed`]
//! waits for no other process; the first use of a store waits for its opening (`OPEN_TIMEOUT`, 200 ms at most, once).
//! [`HostStore::update_all`] waits for threads of this process, 1 ms at most. [`HostStore::update`] also waits for other
//! processes, twice `lock_timeout` at most: call it in async code with 1 ms, and try again later on [`UpdateError::Busy`].
//!
//! Not guaranteed: that anything outlives the machine; that the file systems of disks do not block (a frozen one does:
//! memory is the default for this reason); order between the values of two entries.
//!
//! Not LMDB, which was tried: its write lock cannot be waited for with a bound (a worker stopped within a transaction
//! hangs all others for good), a file cut short ends every worker with SIGBUS, and its bindings refuse to open the store
//! again in a forked child.

mod availability;
mod batch;
mod check_record;
mod errors;
mod file;
mod file_system;
mod location;
mod range_lock;
mod shared_value;
mod stale_files;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::runtime::{PerProcess, lock};

use availability::Availability;
pub use check_record::HostBackend;
pub use file::FORMAT;
pub use file::TableSnapshot;
use file::{AssignedSlot, BatchedValue, Key, SlotValue, StoreFile};
pub use file::{MemberStatuses, STATUS_CAPACITY};
pub use location::default_directory;
pub use shared_value::SharedValue;

/// One store in this process.
pub struct HostStore {
    availability: Arc<Availability>,
    entries: Mutex<HashMap<Key, Arc<StoreEntry>>>,
    /// The values that this process knows are in so many of the first slots.
    slots: AtomicUsize,
}

/// One value of the store. The lock excludes the threads of this process, as the file's locks do other processes.
#[derive(Default)]
pub struct StoreEntry {
    key: Key,
    location: Mutex<SlotLocation>,
}

/// Where the value is, as far as is known, and how often that has changed.
#[derive(Default)]
struct SlotLocation {
    slot: Option<(Arc<StoreFile>, usize)>,
    moves: u64,
}

/// Which version of a value a caller knows: none at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryVersion {
    moves: u64,
    sequence: u64,
}

/// Why a value was not updated in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateError {
    /// Another process holds it for longer than the timeout; `change` was not called.
    Busy,
    /// The store cannot be used or is full; `change` was called, and other processes do not see its result.
    Unavailable,
}

impl HostStore {
    /// The store at that path: one for all callers in this process. Nothing is opened yet; what nobody uses any more is
    /// closed.
    pub fn at(path: &Path) -> Arc<Self> {
        static STORES: PerProcess<Mutex<HashMap<PathBuf, Arc<HostStore>>>> = PerProcess::new();
        let stores = STORES.get_or_init(Mutex::default);
        let path = location::spelled(path);
        let new = || {
            let (entries, slots) = Default::default();
            Arc::new(Self { availability: Availability::new(path.clone()), entries, slots })
        };
        let mut stores = lock(&stores);
        if let Some(store) = stores.get(&path) {
            return store.clone();
        }
        stores.retain(|_, store| Arc::strong_count(store) > 1);
        stores.entry(path.clone()).or_insert_with(new).clone()
    }

    /// The entry of that key: one for all callers in this process. It takes a slot of the file with its first update.
    pub fn entry(&self, key: Key) -> Arc<StoreEntry> {
        let mut entries = lock(&self.entries);
        entries.retain(|known, entry| *known == key || Arc::strong_count(entry) > 1);
        entries.entry(key).or_insert_with(|| Arc::new(StoreEntry { key, location: Mutex::default() })).clone()
    }

    /// The open file, if it can be used now.
    fn file(&self) -> Option<Arc<StoreFile>> {
        self.availability.file()
    }

    /// Looks whether the open file is still the one at the path. May block as long as the file system does.
    pub fn verify(&self) {
        self.availability.verify_here();
    }

    /// The file, if it is open already.
    fn opened(&self) -> Option<Arc<StoreFile>> {
        self.availability.opened()
    }

    /// The file in which this process is a member: also while no new entries are located in it.
    fn member_file(&self) -> Option<Arc<StoreFile>> {
        self.opened().or_else(|| self.file())
    }

    /// Where the value is; a slot is assigned to it within `assign`, if given. `None` where there is none.
    fn locate(
        &self,
        entry: &StoreEntry,
        location: &mut SlotLocation,
        assign: Option<Duration>,
    ) -> Result<Option<(Arc<StoreFile>, usize)>, UpdateError> {
        if location.slot.as_ref().is_some_and(|(file, _)| file.is_lost()) {
            location.slot = None;
        }
        if let Some(known) = &location.slot {
            return Ok(Some(known.clone()));
        }
        for _ in 0..2 {
            let file = self.file().ok_or(UpdateError::Unavailable)?;
            let found = match assign {
                Some(timeout) => file.register().and_then(|()| file.assign(&entry.key, timeout)),
                None => file.find(&entry.key).map(|found| found.map_or(AssignedSlot::Full, AssignedSlot::At)),
            };
            match found {
                Ok(AssignedSlot::At(index)) => {
                    self.slots.fetch_max(index + 1, Ordering::Relaxed);
                    location.slot = Some((file, index));
                    location.moves += 1;
                    return Ok(location.slot.clone());
                }
                Ok(AssignedSlot::Full) if assign.is_none() => return Ok(None),
                Ok(AssignedSlot::Full) => {
                    self.availability.report_full();
                    return Err(UpdateError::Unavailable);
                }
                Ok(AssignedSlot::Busy) => return Err(UpdateError::Busy),
                // Put in order at the second attempt.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => file.mark_lost(),
                Err(error) => {
                    self.availability.fail(error);
                    return Err(UpdateError::Unavailable);
                }
            }
        }
        Err(UpdateError::Unavailable)
    }

    /// Writes what this process says of itself, of [`STATUS_CAPACITY`] bytes at most, where its other members read it.
    /// Waits for none of them.
    pub fn write_status(&self, status: &[u8]) -> Result<(), UpdateError> {
        self.in_file(|file| file.write_status(status))
    }

    /// What all members say of themselves. Waits for none of them.
    pub fn read_statuses(&self) -> Result<MemberStatuses, UpdateError> {
        self.in_file(StoreFile::read_statuses)
    }

    fn in_file<T>(&self, call: impl FnOnce(&StoreFile) -> io::Result<T>) -> Result<T, UpdateError> {
        let file = self.file().ok_or(UpdateError::Unavailable)?;
        call(&file).map_err(|error| {
            self.availability.report_failure(error);
            UpdateError::Unavailable
        })
    }

    /// A snapshot of all values that this process knows of, if the store is open. Never blocks.
    pub fn snapshot(&self) -> Option<TableSnapshot> {
        TableSnapshot::new(self.opened()?, self.slots.load(Ordering::Relaxed))
    }

    /// The value, if it is not the `known` one, which is brought up to date. Waits for no other process.
    pub fn read_if_changed(
        &self,
        entry: &StoreEntry,
        known: &mut EntryVersion,
        snapshot: Option<&TableSnapshot>,
    ) -> Option<Vec<u8>> {
        // Held by a thread that updates the value: callers read it again before they decide anything on it.
        let mut location = entry.location.try_lock().ok()?;
        let (file, index) = self.locate(entry, &mut location, None).ok()??;
        if let Some(snapshot) = snapshot.filter(|snapshot| Arc::ptr_eq(&snapshot.file, &file)) {
            let is_known = known.moves == location.moves;
            if is_known && snapshot.sequence(index, &entry.key) == Some(known.sequence) {
                return None;
            }
            if let Some((sequence, value)) =
                snapshot.later(index, &entry.key, if is_known { known.sequence } else { 0 })
            {
                *known = EntryVersion { moves: location.moves, sequence };
                return Some(value);
            }
        }
        // A writer may overtake the reader; damage is reported by who finds it with the slot locked.
        for _ in 0..3 {
            let sequence = if known.moves == location.moves { known.sequence } else { 0 };
            match file.read(index, &entry.key, sequence) {
                Ok(SlotValue::New { sequence, value }) => {
                    *known = EntryVersion { moves: location.moves, sequence };
                    return Some(value);
                }
                Ok(SlotValue::Damaged) => {}
                Ok(SlotValue::Reassigned) => {
                    location.slot = None;
                    return None;
                }
                Ok(SlotValue::Empty | SlotValue::Unchanged) | Err(_) => return None,
            }
        }
        None
    }

    /// Calls `change` with the value, if it is not the `known` one, and stores what it returns; no other process or thread
    /// changes it meanwhile. Where the store cannot be used `change` is called all the same, with `None`.
    pub fn update(
        &self,
        entry: &StoreEntry,
        known: &mut EntryVersion,
        lock_timeout: Duration,
        change: &mut dyn FnMut(Option<Vec<u8>>) -> Option<Vec<u8>>,
    ) -> Result<(), UpdateError> {
        let mut location = lock(&entry.location);
        // As often as the file can be found replaced and the slot reassigned.
        for _ in 0..4 {
            let (file, index) = match self.locate(entry, &mut location, Some(lock_timeout)) {
                Ok(Some(located)) => located,
                Err(UpdateError::Busy) => return Err(UpdateError::Busy),
                Ok(None) | Err(UpdateError::Unavailable) => break,
            };
            self.availability.verify_soon(&file);
            let mut slot = match file.lock(index, lock_timeout) {
                Ok(Some(slot)) => slot,
                Ok(None) => return Err(UpdateError::Busy),
                Err(error) => {
                    self.availability.report_failure(error);
                    continue;
                }
            };
            let sequence = if known.moves == location.moves { known.sequence } else { 0 };
            let value = match slot.read(&entry.key, sequence) {
                Ok(SlotValue::New { sequence, value }) => {
                    *known = EntryVersion { moves: location.moves, sequence };
                    Some(value)
                }
                Ok(SlotValue::Empty | SlotValue::Unchanged) => None,
                Ok(SlotValue::Reassigned) => {
                    location.slot = None;
                    continue;
                }
                Ok(SlotValue::Damaged) => {
                    self.availability.report_damage();
                    slot.clear().ok();
                    None
                }
                Err(error) => {
                    self.availability.report_failure(error);
                    continue;
                }
            };
            let Some(changed) = change(value) else { return Ok(()) };
            return match slot.write(&entry.key, &changed) {
                Ok(sequence) => {
                    *known = EntryVersion { moves: location.moves, sequence };
                    self.availability.report_success();
                    Ok(())
                }
                Err(error) => {
                    self.availability.report_failure(error);
                    Err(UpdateError::Unavailable)
                }
            };
        }
        change(None);
        Err(UpdateError::Unavailable)
    }
}

#[cfg(test)]
mod tests;
