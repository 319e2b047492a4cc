//! One slot of the table: read without a lock, written by the process that has it locked.

use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use super::value_version::{ValueVersion, newest, part};
use super::{Key, SLOT, StoreFile, slot_at, value_at};
use crate::model::clock;
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

/// Where the descriptions of both values stand in a slot.
const FIRST_AT: usize = 16;
const SECOND_AT: usize = 32;
/// When it was last written, in nanoseconds since boot.
pub(super) const USED_AT: usize = 48;
/// The checksum of the key.
pub(super) const CHECKSUM_AT: usize = 56;

/// The sequence of a key's value among these slots, if it is there.
pub fn sequence(slots: &[u8], index: usize, key: &Key) -> Option<u64> {
    let slot = slots.chunks_exact(SLOT).nth(index)?;
    (part::<16>(slot, 0) == *key).then(|| newest(slot).0.sequence)
}

/// A slot that other processes cannot lock, until dropped; threads of this one must exclude each other.
pub struct LockedSlot<'a> {
    store: &'a StoreFile,
    index: usize,
    bytes: [u8; SLOT],
    _lock: RangeLock<'a>,
}

impl StoreFile {
    /// Locks a slot within `timeout`; `None` if another process holds it for longer.
    pub fn lock(&self, index: usize, timeout: Duration) -> io::Result<Option<LockedSlot<'_>>> {
        let Some(lock) = range_lock::lock(&self.file, LockRange::Slot(index), timeout)? else { return Ok(None) };
        Ok(Some(LockedSlot { store: self, index, bytes: self.slot(index)?, _lock: lock }))
    }

    /// Reads a slot unless its sequence is the `known` one.
    pub fn read(&self, index: usize, key: &Key, known: u64) -> io::Result<SlotValue> {
        self.value(&self.slot(index)?, index, key, known)
    }

    fn slot(&self, index: usize) -> io::Result<[u8; SLOT]> {
        let mut slot = [0; SLOT];
        self.read_some(&mut slot, slot_at(index))?;
        Ok(slot)
    }

    fn value(&self, slot: &[u8; SLOT], index: usize, key: &Key, known: u64) -> io::Result<SlotValue> {
        if part::<16>(slot, 0) != *key {
            return Ok(SlotValue::Reassigned);
        }
        let (version, second) = newest(slot);
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
        match self.file.read_exact_at(&mut value, value_at(index, second)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(SlotValue::Damaged),
            other => other?,
        }
        if ValueVersion::of(version.sequence, key, &value) != version {
            return Ok(SlotValue::Damaged);
        }
        Ok(SlotValue::New { sequence: version.sequence, value })
    }
}

impl LockedSlot<'_> {
    /// Reads it unless its sequence is the `known` one.
    pub fn read(&self, key: &Key, known: u64) -> io::Result<SlotValue> {
        self.store.value(&self.bytes, self.index, key, known)
    }

    /// Writes the value and then, with one write, its description and the time; returns the new sequence.
    pub fn write(mut self, key: &Key, value: &[u8]) -> io::Result<u64> {
        let (version, second) = newest(&self.bytes);
        let next = ValueVersion::of(version.sequence.wrapping_add(1).max(1), key, value);
        self.store.file.write_all_at(value, value_at(self.index, !second))?;
        self.put(if second { FIRST_AT } else { SECOND_AT }, &next.bytes());
        self.put(USED_AT, &clock::now().to_le_bytes());
        self.store_bytes(FIRST_AT..CHECKSUM_AT)?;
        Ok(next.sequence)
    }

    /// Empties it.
    pub fn clear(&mut self) -> io::Result<()> {
        self.put(FIRST_AT, &[0; 32]);
        self.store_bytes(FIRST_AT..USED_AT)
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        for (byte, value) in self.bytes.iter_mut().skip(at).zip(bytes) {
            *byte = *value;
        }
    }

    fn store_bytes(&self, changed: std::ops::Range<usize>) -> io::Result<()> {
        let at = slot_at(self.index) + changed.start as u64;
        self.store.file.write_all_at(self.bytes.get(changed).unwrap_or_default(), at)
    }
}
