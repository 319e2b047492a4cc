//! The record of one check in the store of a host.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::availability::RETRY;
use super::batch::BatchedUpdate;
use super::file::Key;
use super::range_lock::MEMBERS;
use super::{EntryVersion, HostStore, StoreEntry, TableSnapshot, UpdateError};
use crate::runtime::{lock, try_lock};
use crate::state::backend::{Backend, Busy, CAPACITY, Owner, RESERVED};

/// The number of the next lease of this process.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The record of one check in a store.
pub struct HostBackend {
    store: Arc<HostStore>,
    entry: Arc<StoreEntry>,
    known: Mutex<EntryVersion>,
    /// When a record was last too large for what is left of the disk.
    full_at: Mutex<Option<Instant>>,
}

impl HostBackend {
    pub fn new(path: &Path, key: Key) -> Self {
        let store = HostStore::at(path);
        let entry = store.entry(key);
        Self { store, entry, known: Mutex::default(), full_at: Mutex::default() }
    }

    /// The same as [`Backend::transact`] for records of one store together, as far as nothing has to be waited for. `change`
    /// is called with the number of each record; returns for which it was. The others must be changed by themselves.
    pub fn transact_all(
        records: &[&Self],
        change: &mut dyn FnMut(usize, Option<Vec<u8>>) -> Option<Vec<u8>>,
    ) -> Vec<bool> {
        let mut changed = vec![false; records.len()];
        let Some(store) = records.first().map(|first| &first.store) else { return changed };
        let of_store = records.iter().enumerate().filter(|(_, record)| Arc::ptr_eq(&record.store, store));
        let (numbers, mut known): (Vec<_>, Vec<_>) =
            of_store.filter_map(|(number, record)| Some(((number, *record), try_lock(&record.known)?))).unzip();
        let mut updates: Vec<_> = numbers
            .iter()
            .zip(&mut known)
            .map(|((_, record), known)| BatchedUpdate { entry: &record.entry, known, result: None })
            .collect();
        store.update_all(&mut updates, &mut |at, value| {
            let (number, _) = numbers.get(at)?;
            change(*number, value)
        });
        for ((number, record), update) in numbers.iter().zip(updates) {
            if update.result == Some(Err(UpdateError::Unavailable)) {
                record.report_unavailable();
            }
            if let Some(changed) = changed.get_mut(*number) {
                *changed = update.result.is_some();
            }
        }
        changed
    }

    fn report_unavailable(&self) {
        *lock(&self.full_at) = Some(Instant::now());
        self.void_leases();
    }

    /// Processes that wait for this one's outcome must not wait until its lease runs out.
    fn void_leases(&self) {
        if let Some(file) = self.store.opened() {
            let _ = file.void_leases(NEXT.load(Ordering::Relaxed).saturating_sub(1));
        }
    }
}

impl Backend for HostBackend {
    fn new_owner(&self) -> Owner {
        let lease = NEXT.fetch_add(1, Ordering::Relaxed);
        // Where the store cannot be used no other process will ever see it.
        let (member, process) = self.store.member_file().map_or((MEMBERS, 0), |file| (file.member, file.process));
        Owner { member, process, lease }
    }

    fn is_alive(&self, owner: &Owner) -> bool {
        self.store.member_file().is_none_or(|file| file.is_alive(owner))
    }

    fn capacity(&self) -> usize {
        let is_full = lock(&self.full_at).is_some_and(|at| at.elapsed() < RETRY);
        if is_full { RESERVED } else { CAPACITY }
    }

    fn snapshot(&self) -> Option<TableSnapshot> {
        self.store.snapshot()
    }

    fn read_if_changed(&self, snapshot: Option<&TableSnapshot>) -> Option<Vec<u8>> {
        self.store.read_if_changed(&self.entry, &mut lock(&self.known), snapshot)
    }

    fn transact(
        &self,
        lock_timeout: Duration,
        change: &mut dyn FnMut(Option<Vec<u8>>) -> Option<Vec<u8>>,
    ) -> Result<(), Busy> {
        match self.store.update(&self.entry, &mut lock(&self.known), lock_timeout, change) {
            Ok(()) => Ok(()),
            Err(UpdateError::Busy) => Err(Busy),
            Err(UpdateError::Unavailable) => {
                self.report_unavailable();
                Ok(())
            }
        }
    }

    fn as_host(&self) -> Option<&HostBackend> {
        Some(self)
    }

    fn report_too_large(&self, check: &str) {
        self.store.availability.report_too_large(check);
        self.void_leases();
    }

    fn report_stuck(&self) {
        self.store.availability.report_stuck();
    }
}
