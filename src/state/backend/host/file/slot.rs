//! One slot of the table: read without a lock, written by the process that has it locked.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{PoisonError, RwLockReadGuard};
use std::time::Duration;

use super::value_version::{FIRST_AT, SECOND_AT, ValueVersion, newest, part};
use super::{Key, SLOT, StoreFile, home_at, seconds, slot_at};
use crate::state::backend::CAPACITY;
use crate::state::backend::host::range_lock::{self, LockRange, RangeLock};

/// What is read from a slot.
#[derive(Debug, PartialEq, Eq)]
pub enum SlotValue {
    /// Nothing was written yet.
    Empty,
    /// The sequence is the one that the reader knows.
    Unchanged,
    New {
        sequence: u64,
        value: Vec<u8>,
    },
    /// The slot is another key's, or gone.
    Reassigned,
    Damaged,
}

/// When it was last written, in seconds since boot.
pub(super) const USED_AT: usize = SECOND_AT + ValueVersion::LENGTH;
/// The checksum of the key.
pub(super) const CHECKSUM_AT: usize = USED_AT + 4;

/// A slot that other processes cannot lock, until dropped; threads of this one must exclude each other.
pub struct LockedSlot<'a> {
    store: &'a StoreFile,
    index: usize,
    bytes: [u8; SLOT],
    // Released in this order.
    _lock: RangeLock<'a>,
    _threads: RwLockReadGuard<'a, ()>,
}

/// The home of a slot's next value: where the newest one is not.
pub(super) fn next_home(index: usize, newest: ValueVersion) -> u64 {
    home_at(index, u64::from(newest.at) == home_at(index, false))
}

/// Describes a value of that place in a slot, in place of the older one, and notes that the slot is used.
pub(super) fn describe(slot: &mut [u8], key: &Key, value: &[u8], at: u64) -> ValueVersion {
    let (newest, second) = newest(slot);
    let at = u32::try_from(at).unwrap_or(u32::MAX);
    let next = ValueVersion::of(newest.sequence.wrapping_add(1).max(1), key, value, at);
    put(slot, if second { FIRST_AT } else { SECOND_AT }, &next.bytes());
    put(slot, USED_AT, &seconds().to_le_bytes());
    next
}

fn put(slot: &mut [u8], at: usize, bytes: &[u8]) {
    for (byte, value) in slot.iter_mut().skip(at).zip(bytes) {
        *byte = *value;
    }
}

impl StoreFile {
    /// Locks a slot within `timeout`; `None` if another process holds it for longer.
    pub fn lock(&self, index: usize, timeout: Duration) -> io::Result<Option<LockedSlot<'_>>> {
        let threads = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let Some(lock) = range_lock::lock(&self.file, LockRange::Slot(index), timeout)? else { return Ok(None) };
        Ok(Some(LockedSlot { store: self, index, bytes: self.slot(index)?, _lock: lock, _threads: threads }))
    }

    /// Reads a slot unless its sequence is the `known` one.
    pub fn read(&self, index: usize, key: &Key, known: u64) -> io::Result<SlotValue> {
        self.value(&self.slot(index)?, key, known)
    }

    fn slot(&self, index: usize) -> io::Result<[u8; SLOT]> {
        let mut slot = [0; SLOT];
        self.read_some(&mut slot, slot_at(index))?;
        Ok(slot)
    }

    pub(super) fn value(&self, slot: &[u8], key: &Key, known: u64) -> io::Result<SlotValue> {
        if part::<16>(slot, 0) != *key {
            return Ok(SlotValue::Reassigned);
        }
        let (version, _) = newest(slot);
        if version.sequence == 0 {
            return Ok(SlotValue::Empty);
        }
        if version.sequence == known {
            return Ok(SlotValue::Unchanged);
        }
        let length = version.length as usize;
        if length > CAPACITY {
            return Ok(SlotValue::Damaged);
        }
        let mut value = vec![0; length];
        match self.file.read_exact_at(&mut value, version.at.into()) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(SlotValue::Damaged),
            other => other?,
        }
        if ValueVersion::of(version.sequence, key, &value, version.at) != version {
            return Ok(SlotValue::Damaged);
        }
        Ok(SlotValue::New { sequence: version.sequence, value })
    }
}

impl LockedSlot<'_> {
    /// Reads it unless its sequence is the `known` one.
    pub fn read(&self, key: &Key, known: u64) -> io::Result<SlotValue> {
        self.store.value(&self.bytes, key, known)
    }

    /// Writes the value and then, with one write, its description and the time; returns the new sequence.
    pub fn write(mut self, key: &Key, value: &[u8]) -> io::Result<u64> {
        let at = next_home(self.index, newest(&self.bytes).0);
        self.store.file.write_all_at(value, at)?;
        let next = describe(&mut self.bytes, key, value, at);
        self.store_bytes(FIRST_AT..CHECKSUM_AT)?;
        Ok(next.sequence)
    }

    /// Empties it.
    pub fn clear(&mut self) -> io::Result<()> {
        put(&mut self.bytes, FIRST_AT, &[0; 2 * ValueVersion::LENGTH]);
        self.store_bytes(FIRST_AT..USED_AT)
    }

    fn store_bytes(&self, changed: std::ops::Range<usize>) -> io::Result<()> {
        let at = slot_at(self.index) + changed.start as u64;
        self.store.file.write_all_at(self.bytes.get(changed).unwrap_or_default(), at)
    }
}
