//! The record of one check in the store of a host.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::file::Key;
use super::{Entry, HostStore, Seen, TableSnapshot};
use crate::runtime::lock;
use crate::state::backend::{Backend, Busy, Owner};

/// The record of one check in a store.
pub struct HostBackend {
    store: Arc<HostStore>,
    entry: Arc<Entry>,
    seen: Mutex<Seen>,
}

impl HostBackend {
    pub fn new(path: &Path, key: Key) -> Self {
        let store = HostStore::at(path);
        let entry = store.entry(key);
        Self { store, entry, seen: Mutex::default() }
    }
}

impl Backend for HostBackend {
    fn new_owner(&self) -> Owner {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let lease = NEXT.fetch_add(1, Ordering::Relaxed);
        // Where the store cannot be used no other process will ever see it.
        let (seat, process) = self.store.file().map_or((u32::MAX, 0), |file| (file.seat, file.process));
        Owner { seat, process, lease }
    }

    fn is_alive(&self, owner: &Owner) -> bool {
        self.store.file().is_none_or(|file| file.is_alive(owner.seat, owner.process))
    }

    fn snapshot(&self) -> Option<TableSnapshot> {
        self.store.snapshot()
    }

    fn read_if_changed(&self, snapshot: Option<&TableSnapshot>) -> Option<Vec<u8>> {
        self.store.read_if_changed(&self.entry, &mut lock(&self.seen), snapshot)
    }

    fn transact(
        &self,
        lock_timeout: Duration,
        change: &mut dyn FnMut(Option<Vec<u8>>) -> Option<Vec<u8>>,
    ) -> Result<(), Busy> {
        self.store.update(&self.entry, &mut lock(&self.seen), lock_timeout, change)
    }

    fn report_stuck(&self) {
        self.store.report_stuck();
    }
}
