//! A value of which all processes that share a store have a copy, such as the heartbeats.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::file::Key;
use super::{EntryVersion, HostStore, StoreEntry, UpdateError};
use crate::runtime::lock;

/// A value in a store, and what this process knows of it. Its encoded size must stay below
/// [`CAPACITY`](crate::state::backend::CAPACITY).
pub struct SharedValue<T> {
    store: Arc<HostStore>,
    entry: Arc<StoreEntry>,
    known: Mutex<(EntryVersion, T)>,
}

impl<T: Default + Serialize + DeserializeOwned> SharedValue<T> {
    /// The value of that key, which must distinguish values of different shape.
    pub fn new(path: &Path, key: Key) -> Self {
        let store = HostStore::at(path);
        let entry = store.entry(key);
        Self { store, entry, known: Mutex::default() }
    }

    /// Reads it: as it is in the store, or was last known where that cannot be read now. Waits for no other process.
    pub fn read<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        read(&self.refreshed().1)
    }

    fn refreshed(&self) -> MutexGuard<'_, (EntryVersion, T)> {
        let mut known = lock(&self.known);
        let (version, value) = &mut *known;
        decode(value, self.store.read_if_changed(&self.entry, version, None));
        known
    }

    /// Changes it, and stores it if `change` returns true. [`UpdateError::Busy`]: `change` was not called.
    pub fn update(&self, lock_timeout: Duration, mut change: impl FnMut(&mut T) -> bool) -> Result<(), UpdateError> {
        self.transact(lock_timeout, &mut change)
    }

    fn transact(&self, lock_timeout: Duration, change: &mut dyn FnMut(&mut T) -> bool) -> Result<(), UpdateError> {
        let (version, value) = &mut *lock(&self.known);
        self.store.update(&self.entry, version, lock_timeout, &mut |bytes| {
            decode(value, bytes);
            if change(value) { postcard::to_allocvec(value).ok() } else { None }
        })
    }
}

fn decode<T: Default + DeserializeOwned>(value: &mut T, bytes: Option<Vec<u8>>) {
    if let Some(bytes) = bytes {
        *value = postcard::from_bytes(&bytes).unwrap_or_default();
    }
}
