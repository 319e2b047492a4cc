//! A value that all processes of a scope change together, wherever the scope keeps it.

use std::sync::Mutex;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::TableSnapshot;
use super::backend::{Backend, Busy};
use super::scope::Scope;
use crate::runtime::lock;

/// A value of a scope, and what this process knows of it.
pub struct Stored<T> {
    pub(super) backend: Box<dyn Backend>,
    known: Mutex<T>,
    name: String,
}

/// How a value is stored in at most so many bytes.
pub trait Fits: Default + Serialize + DeserializeOwned {
    /// The same with less of what matters least; false if there is no less.
    fn shrink(&mut self, round: usize) -> bool;
}

impl<T: Fits + Clone> Stored<T> {
    /// The value of that name, which must distinguish values of different shape.
    pub fn new(scope: &Scope, name: &str) -> Self {
        Self { backend: scope.backend_of(name), known: Mutex::default(), name: name.to_owned() }
    }

    /// A snapshot of this value and all beside it.
    pub fn snapshot(&self) -> Option<TableSnapshot> {
        self.backend.snapshot()
    }

    /// Reads it: as it is in the store, or was last known where that cannot be read now. Waits for no other process.
    pub fn read<R>(&self, snapshot: Option<&TableSnapshot>, read: impl FnOnce(&T) -> R) -> R {
        let known = &mut *lock(&self.known);
        decode(known, self.backend.read_if_changed(snapshot));
        read(known)
    }

    /// Changes it while no other process can, and stores it if `change` returns true. `Busy`: `change` was not called.
    pub fn update(&self, lock_timeout: Duration, mut change: impl FnMut(&mut T) -> bool) -> Result<(), Busy> {
        let known = &mut *lock(&self.known);
        self.backend.transact(lock_timeout, &mut |bytes| {
            decode(known, bytes);
            if !change(known) {
                return None;
            }
            let bytes = encode(known, self.backend.capacity());
            if bytes.is_none() {
                self.backend.report_too_large(&self.name);
            }
            bytes
        })
    }
}

fn decode<T: Fits>(value: &mut T, bytes: Option<Vec<u8>>) {
    if let Some(bytes) = bytes {
        *value = postcard::from_bytes(&bytes).unwrap_or_default();
    }
}

/// In at most `limit` bytes, with less of it if need be.
fn encode<T: Fits + Clone>(value: &T, limit: usize) -> Option<Vec<u8>> {
    let fitting = |value: &T| postcard::to_allocvec(value).ok().filter(|bytes| bytes.len() <= limit);
    if let Some(bytes) = fitting(value) {
        return Some(bytes);
    }
    let mut less = value.clone();
    for round in 0.. {
        if !less.shrink(round) {
            break;
        }
        if let Some(bytes) = fitting(&less) {
            return Some(bytes);
        }
    }
    None
}
