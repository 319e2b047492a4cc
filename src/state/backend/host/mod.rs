//! Host scope: all processes of one user on a host or in a pod know the same of a check, through a file in shared memory.
//!
//! Not LMDB, which was tried: its write lock cannot be waited for with a bound (a worker stopped within a transaction
//! hangs all others for good), a file cut short ends every worker with SIGBUS, and its bindings refuse to open the store
//! again in a forked child.

mod file;
mod location;
mod range;
mod record;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Busy;
use crate::runtime::diagnostics;
use crate::runtime::{PerProcess, lock};

use file::{Key, Read, StoreFile, sequence};
use location::Unusable;
pub use location::default_directory;
pub use record::HostBackend;

/// How long a store that could not be used is left alone.
const RETRY: Duration = Duration::from_secs(30);

/// One store in this process.
pub struct HostStore {
    path: PathBuf,
    state: Mutex<State>,
    entries: Mutex<HashMap<Key, Arc<Entry>>>,
    /// The values that this process knows are in so many of the first slots.
    slots: AtomicUsize,
}

/// All slots at one moment, for whoever looks at several values at once. It only tells which have not changed since they
/// were seen: the others have to be looked at.
pub struct TableSnapshot {
    file: Arc<StoreFile>,
    slots: Vec<u8>,
}

#[derive(Default)]
struct State {
    file: Option<Arc<StoreFile>>,
    down_until: Option<Instant>,
    /// What was last complained about, and when it last happened.
    trouble: Option<(String, Instant)>,
}

/// One value of the store. The lock keeps the threads of this process from each other, as the file's locks do processes.
#[derive(Default)]
pub struct Entry {
    key: Key,
    place: Mutex<Place>,
}

/// Where the value is, as far as is known, and how often that has changed.
#[derive(Default)]
struct Place {
    at: Option<(Arc<StoreFile>, usize)>,
    moves: u64,
}

/// What of a value was seen already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    moves: u64,
    sequence: u64,
}

impl HostStore {
    /// The store at that path: the same for all who ask in this process, since a process must open it only once.
    pub fn at(path: &Path) -> Arc<Self> {
        static STORES: PerProcess<Mutex<HashMap<PathBuf, Arc<HostStore>>>> = PerProcess::new();
        let stores = STORES.get_or_init(Mutex::default);
        let path = location::canonical(path);
        let new = || {
            let (state, entries, slots) = Default::default();
            Arc::new(Self { path: path.clone(), state, entries, slots })
        };
        lock(&stores).entry(path.clone()).or_insert_with(new).clone()
    }

    pub fn entry(&self, key: Key) -> Arc<Entry> {
        let mut entries = lock(&self.entries);
        entries.retain(|known, entry| *known == key || Arc::strong_count(entry) > 1);
        entries.entry(key).or_insert_with(|| Arc::new(Entry { key, place: Mutex::default() })).clone()
    }

    fn tell(&self, is_warning: bool, what: &str) {
        diagnostics::publish(is_warning, format!("host store {}: {what}", self.path.display()));
    }

    /// The open file, if it can be used now.
    fn file(&self) -> Option<Arc<StoreFile>> {
        let mut state = lock(&self.state);
        if let Some(until) = state.down_until {
            if Instant::now() < until {
                return None;
            }
            state.down_until = None;
        }
        let known = state.file.clone().filter(|file| !file.is_lost() || file.is_at(&self.path));
        let opened = match known {
            Some(file) if !file.is_lost() => return Some(file),
            // Not opened again: closing either descriptor would release all locks of this process.
            Some(file) => file.put_in_order().map(|replaced| (file, replaced)),
            None => StoreFile::open(&self.path).map(|(file, replaced)| (Arc::new(file), replaced)),
        };
        match opened {
            Ok((file, replaced)) => {
                if let Some(why) = replaced {
                    self.tell(true, &format!("{why}, and is replaced by an empty one"));
                }
                state.file = Some(file.clone());
                Some(file)
            }
            Err(Unusable(why)) => {
                self.down(&mut state, why);
                None
            }
        }
    }

    fn down(&self, state: &mut State, why: String) {
        state.down_until = Some(Instant::now() + RETRY);
        self.complain(state, why);
    }

    /// Says once what is wrong.
    fn complain(&self, state: &mut State, why: String) {
        if state.trouble.as_ref().is_none_or(|(said, _)| *said != why) {
            self.tell(true, &format!("cannot be used ({why}); each process checks for itself meanwhile"));
        }
        state.trouble = Some((why, Instant::now()));
    }

    fn failed(&self, error: io::Error) {
        self.complain(&mut lock(&self.state), Unusable::from(error).0);
    }

    fn report_stuck(&self) {
        self.complain(&mut lock(&self.state), "another process does not let go of a record: is it stopped?".to_owned());
    }

    /// Says that it works again, once nothing has failed for a while: on a full disk some records can still be written.
    fn works(&self) {
        let mut state = lock(&self.state);
        if state.trouble.take_if(|(_, at)| at.elapsed() > RETRY).is_some() {
            self.tell(false, "is used again");
        }
    }

    /// Where the value is, found or made if need be.
    fn locate<'a>(&self, entry: &Entry, place: &'a mut Place) -> Option<&'a (Arc<StoreFile>, usize)> {
        if place.at.as_ref().is_some_and(|(file, _)| file.is_lost()) {
            place.at = None;
        }
        if place.at.is_none() {
            for _ in 0..2 {
                let file = self.file()?;
                match file.sit().and_then(|()| file.find(&entry.key)) {
                    Ok(Some(index)) => {
                        self.slots.fetch_max(index + 1, Ordering::Relaxed);
                        place.at = Some((file, index));
                        place.moves += 1;
                        break;
                    }
                    Ok(None) => {
                        self.down(&mut lock(&self.state), "it is full".to_owned());
                        return None;
                    }
                    // Put in order at the second attempt.
                    Err(error) if error.kind() == io::ErrorKind::InvalidData => file.lose(),
                    Err(error) => {
                        self.down(&mut lock(&self.state), Unusable::from(error).0);
                        return None;
                    }
                }
            }
        }
        place.at.as_ref()
    }

    /// A snapshot at all values that this process knows of, if the store is open; it waits for nobody.
    pub fn snapshot(&self) -> Option<TableSnapshot> {
        let file = self.state.try_lock().ok()?.file.clone().filter(|file| !file.is_lost())?;
        let slots = file.slots(self.slots.load(Ordering::Relaxed)).ok()?;
        Some(TableSnapshot { file, slots })
    }

    /// The value, if it is not the one that was `seen`, without waiting for anybody.
    pub fn read_if_changed(&self, entry: &Entry, seen: &mut Seen, snapshot: Option<&TableSnapshot>) -> Option<Vec<u8>> {
        // Held by a thread that waits for the slot: what this one knows will do, it is looked at again before it counts.
        let mut place = entry.place.try_lock().ok()?;
        let (file, index) = self.locate(entry, &mut place).cloned()?;
        let unchanged = |snapshot: &TableSnapshot| {
            Arc::ptr_eq(&snapshot.file, &file)
                && seen.moves == place.moves
                && sequence(&snapshot.slots, index, &entry.key) == Some(seen.sequence)
        };
        if snapshot.is_some_and(unchanged) {
            return None;
        }
        // A writer may overtake the reader; whoever finds it damaged with the slot locked says so.
        for _ in 0..3 {
            let sequence = if seen.moves == place.moves { seen.sequence } else { 0 };
            match file.read(index, &entry.key, sequence) {
                Ok(Read::New { sequence, value }) => {
                    *seen = Seen { moves: place.moves, sequence };
                    return Some(value);
                }
                Ok(Read::Damaged) => {}
                Ok(Read::Moved) => {
                    place.at = None;
                    return None;
                }
                Ok(Read::Empty | Read::Same) | Err(_) => return None,
            }
        }
        None
    }

    /// Gives `change` the value, if it is not the one that was `seen`, and keeps what it returns. Nobody else changes it
    /// meanwhile. Where the store cannot be used `change` is called all the same.
    pub fn update(
        &self,
        entry: &Entry,
        seen: &mut Seen,
        patience: Duration,
        change: &mut dyn FnMut(Option<Vec<u8>>) -> Option<Vec<u8>>,
    ) -> Result<(), Busy> {
        let mut place = lock(&entry.place);
        // As often as the file can be found replaced and the slot given away.
        for _ in 0..4 {
            let Some((file, index)) = self.locate(entry, &mut place).cloned() else { break };
            let mut slot = match file.lock(index, patience) {
                Ok(Some(slot)) => slot,
                Ok(None) => return Err(Busy),
                Err(error) => {
                    self.failed(error);
                    continue;
                }
            };
            if !file.is_at(&self.path) {
                file.lose();
                continue;
            }
            let sequence = if seen.moves == place.moves { seen.sequence } else { 0 };
            let found = match slot.read(&entry.key, sequence) {
                Ok(Read::New { sequence, value }) => {
                    *seen = Seen { moves: place.moves, sequence };
                    Some(value)
                }
                Ok(Read::Empty | Read::Same) => None,
                Ok(Read::Moved) => {
                    place.at = None;
                    continue;
                }
                Ok(Read::Damaged) => {
                    self.tell(true, "a record was damaged, and is replaced");
                    slot.clear().ok();
                    None
                }
                Err(error) => {
                    self.failed(error);
                    continue;
                }
            };
            if let Some(value) = change(found) {
                match slot.write(&entry.key, &value) {
                    Ok(sequence) => {
                        *seen = Seen { moves: place.moves, sequence };
                        self.works();
                    }
                    Err(error) => self.failed(error),
                }
            }
            return Ok(());
        }
        change(None);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
