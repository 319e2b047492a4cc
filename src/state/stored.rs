//! A value that all processes of a scope change together, wherever the scope keeps it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::TableSnapshot;
use super::backend::{Backend, Busy};
use super::scope::Scope;
use crate::runtime::{diagnostics, lock};

/// A value of a scope, and what this process knows of it.
pub struct Stored<T> {
    pub(super) backend: Box<dyn Backend>,
    known: Mutex<T>,
    name: String,
    is_undecodable: AtomicBool,
}

/// How a value is stored in at most so many bytes.
pub trait Fits: Default + Serialize + DeserializeOwned {
    /// The same with less of what matters least; false if there is no less.
    fn shrink(&mut self, round: usize) -> bool;
}

impl<T: Fits + Clone> Stored<T> {
    /// The value of that name, which must distinguish values of different shape.
    pub fn new(scope: &Scope, name: &str) -> Self {
        let (known, is_undecodable) = Default::default();
        Self { backend: scope.backend_of(name), known, name: name.to_owned(), is_undecodable }
    }

    /// A snapshot of this value and all beside it.
    pub fn snapshot(&self) -> Option<TableSnapshot> {
        self.backend.snapshot()
    }

    /// Reads it: as it is in the store, or was last known where that cannot be read now. Waits for no other process.
    pub fn read<R>(&self, snapshot: Option<&TableSnapshot>, read: impl FnOnce(&T) -> R) -> R {
        read(&self.refreshed(snapshot))
    }

    fn refreshed(&self, snapshot: Option<&TableSnapshot>) -> MutexGuard<'_, T> {
        let mut known = lock(&self.known);
        self.decode(&mut known, self.backend.read_if_changed(snapshot));
        known
    }

    /// Changes it while no other process can, and stores it if `change` returns true. `Busy`: `change` was not called.
    pub fn update(&self, lock_timeout: Duration, mut change: impl FnMut(&mut T) -> bool) -> Result<(), Busy> {
        self.transact(lock_timeout, &mut change)
    }

    fn transact(&self, lock_timeout: Duration, change: &mut dyn FnMut(&mut T) -> bool) -> Result<(), Busy> {
        let known = &mut *lock(&self.known);
        self.backend.transact(lock_timeout, &mut |bytes| {
            self.decode(known, bytes);
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

    /// Brings it up to date. What cannot be decoded is replaced by what this process knows with its next change, which
    /// is said once.
    fn decode(&self, known: &mut T, bytes: Option<Vec<u8>>) {
        match bytes.map(|bytes| postcard::from_bytes(&bytes)) {
            None => {}
            Some(Ok(value)) => *known = value,
            Some(Err(_)) if self.is_undecodable.swap(true, Ordering::Relaxed) => {}
            Some(Err(_)) => {
                diagnostics::publish(true, format!("{:?} in the store cannot be decoded, and is replaced", self.name));
            }
        }
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

#[cfg(all(test, any(target_os = "linux", target_os = "macos")))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde::Deserialize;

    use super::*;
    use crate::state::scratch::Scratch;

    const SECOND: Duration = Duration::from_secs(1);

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum NewKind {
        Known,
        Added,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum OldKind {
        Known,
    }

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    struct New(Vec<NewKind>);

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Old(Vec<OldKind>);

    impl Fits for New {
        fn shrink(&mut self, _: usize) -> bool {
            false
        }
    }

    impl Fits for Old {
        fn shrink(&mut self, _: usize) -> bool {
            false
        }
    }

    #[test]
    fn value_of_a_version_with_more_variants_is_left_until_it_is_replaced() {
        let scratch = Scratch::new();
        let scope = Scope::Host(scratch.0.join("store"));
        let (new, old) = (Stored::<New>::new(&scope, "kinds 1"), Stored::<Old>::new(&scope, "kinds 1"));
        let change = |value: New| {
            new.update(SECOND, |known| {
                *known = value.clone();
                true
            })
        };
        change(New(vec![NewKind::Known])).unwrap();
        assert_eq!(old.read(None, Clone::clone), Old(vec![OldKind::Known]));
        change(New(vec![NewKind::Known, NewKind::Added])).unwrap();
        assert_eq!(old.read(None, Clone::clone), Old(vec![OldKind::Known]), "as it was last known");
        assert!(old.is_undecodable.load(Ordering::Relaxed), "is said");
        old.update(SECOND, |_| false).unwrap();
        assert_eq!(new.read(None, |known| known.0.len()), 2);
        old.update(SECOND, |_| true).unwrap();
        assert_eq!(new.read(None, Clone::clone), New(vec![NewKind::Known]));
    }
}
