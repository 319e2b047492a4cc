//! The record of one check in the store of a host.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::file::{CAPACITY, Key};
use super::{Entry, Glance, HostStore, Seen};
use crate::process::lock;
use crate::store::record::{Owner, Record};
use crate::store::{Busy, Store};

/// The record of one check in a store.
pub struct Shared {
    store: Arc<HostStore>,
    entry: Arc<Entry>,
    seen: Mutex<Seen>,
}

impl Shared {
    pub fn new(path: &Path, key: Key) -> Self {
        let store = HostStore::at(path);
        let entry = store.entry(key);
        Self { store, entry, seen: Mutex::default() }
    }

    fn hear(&self, record: &mut Record, told: Option<Vec<u8>>) {
        if told.is_some_and(|told| !record.hear(&told)) {
            self.store.tell(true, "a record makes no sense, and is replaced");
        }
    }
}

impl Store for Shared {
    fn owner(&self) -> Owner {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let lease = NEXT.fetch_add(1, Ordering::Relaxed);
        // Where the store cannot be used nobody else will ever see it.
        let (seat, process) = self.store.file().map_or((u32::MAX, 0), |file| (file.seat, file.process));
        Owner { seat, process, lease }
    }

    fn is_alive(&self, owner: &Owner) -> bool {
        self.store.file().is_none_or(|file| file.is_alive(owner.seat, owner.process))
    }

    fn glance(&self) -> Option<Glance> {
        self.store.glance()
    }

    fn pull(&self, record: &mut Record, glance: Option<&Glance>) {
        let told = self.store.look(&self.entry, &mut lock(&self.seen), glance);
        self.hear(record, told);
    }

    fn transact(
        &self,
        record: &mut Record,
        patience: Duration,
        change: &mut dyn FnMut(&mut Record) -> bool,
    ) -> Result<(), Busy> {
        self.store.update(&self.entry, &mut lock(&self.seen), patience, &mut |told| {
            self.hear(record, told);
            if change(record) { record.tell(CAPACITY) } else { None }
        })
    }

    fn gave_up(&self) {
        self.store.stuck();
    }
}
