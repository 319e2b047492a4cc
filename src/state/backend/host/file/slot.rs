//! One slot: read by whoever asks, written by who has it locked.

use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use super::half::{Half, newest, part};
use super::{Key, SLOT, StoreFile, slot_at, value_at};
use crate::model::clock;
use crate::state::backend::CAPACITY;
use crate::state::backend::host::range::{self, Locked, Part};

/// What there is to read in a slot.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// Nothing yet.
    Empty,
    /// What the reader has seen.
    Same,
    New {
        sequence: u64,
        value: Vec<u8>,
    },
    /// The slot is another key's, or gone.
    Moved,
    Damaged,
}

/// Where the halves stand in a slot, and when it was last used after them.
const HALVES: usize = 16;

/// The sequence of a key's value among these slots, if it is there.
pub fn sequence(slots: &[u8], index: usize, key: &Key) -> Option<u64> {
    let slot = slots.chunks_exact(SLOT).nth(index)?;
    (part::<16>(slot, 0) == *key).then(|| newest(slot).0.sequence)
}

/// A slot that is locked for other processes, until dropped; threads of this one must keep each other out.
pub struct Slot<'a> {
    store: &'a StoreFile,
    index: usize,
    bytes: [u8; SLOT],
    _locked: Locked<'a>,
}

impl StoreFile {
    /// Locks a slot within `patience`; `None` if another process has it for longer.
    pub fn lock(&self, index: usize, patience: Duration) -> io::Result<Option<Slot<'_>>> {
        let Some(locked) = range::lock(&self.file, Part::Slot(index), patience)? else { return Ok(None) };
        Ok(Some(Slot { store: self, index, bytes: self.slot(index)?, _locked: locked }))
    }

    /// Reads a slot unless its sequence is the one that was `seen`.
    pub fn read(&self, index: usize, key: &Key, seen: u64) -> io::Result<Read> {
        self.value(&self.slot(index)?, index, key, seen)
    }

    fn slot(&self, index: usize) -> io::Result<[u8; SLOT]> {
        let mut slot = [0; SLOT];
        self.read_some(&mut slot, slot_at(index))?;
        Ok(slot)
    }

    fn value(&self, slot: &[u8; SLOT], index: usize, key: &Key, seen: u64) -> io::Result<Read> {
        if part::<16>(slot, 0) != *key {
            return Ok(Read::Moved);
        }
        let (half, second) = newest(slot);
        if half.sequence == 0 {
            return Ok(Read::Empty);
        }
        if half.sequence == seen {
            return Ok(Read::Same);
        }
        let length = half.length as usize;
        if length > CAPACITY {
            return Ok(Read::Damaged);
        }
        let mut value = vec![0; length];
        match self.file.read_exact_at(&mut value, value_at(index, second)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Read::Damaged),
            other => other?,
        }
        if Half::of(half.sequence, key, &value) != half {
            return Ok(Read::Damaged);
        }
        Ok(Read::New { sequence: half.sequence, value })
    }
}

impl Slot<'_> {
    /// Reads it unless its sequence is the one that was `seen`.
    pub fn read(&self, key: &Key, seen: u64) -> io::Result<Read> {
        self.store.value(&self.bytes, self.index, key, seen)
    }

    /// Writes the value and then, with one write, where it is and when that was; gives the new sequence.
    pub fn write(mut self, key: &Key, value: &[u8]) -> io::Result<u64> {
        let (half, second) = newest(&self.bytes);
        let next = Half::of(half.sequence.wrapping_add(1).max(1), key, value);
        self.store.file.write_all_at(value, value_at(self.index, !second))?;
        self.put(if second { HALVES } else { 32 }, &next.bytes());
        self.put(48, &clock::now().to_le_bytes());
        self.keep(HALVES..56)?;
        Ok(next.sequence)
    }

    /// Empties it.
    pub fn clear(&mut self) -> io::Result<()> {
        self.put(HALVES, &[0; 32]);
        self.keep(HALVES..48)
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        for (byte, value) in self.bytes.iter_mut().skip(at).zip(bytes) {
            *byte = *value;
        }
    }

    fn keep(&self, changed: std::ops::Range<usize>) -> io::Result<()> {
        let at = slot_at(self.index) + changed.start as u64;
        self.store.file.write_all_at(self.bytes.get(changed).unwrap_or_default(), at)
    }
}
