//! The table at one moment, for callers that read several values at once.
//!
//! It shows which values have not changed since they were read. The others were often written together, and are read so: what
//! follows a value in a batch area is read with it, the more the more values were asked for.

use std::sync::{Arc, Mutex};

use super::value_version::{ValueVersion, newest, part};
use super::{Key, SLOT, StoreFile, VALUES_AT};
use crate::runtime::lock;
use crate::state::backend::CAPACITY;

/// How many bytes are read with a value, from the second one on: at first, and at most.
const READ_AHEAD: (usize, usize) = (2 << 10, 32 << 10);

/// The slots of a file at one moment.
pub struct TableSnapshot {
    pub file: Arc<StoreFile>,
    slots: Vec<u8>,
    read: Mutex<ReadAhead>,
}

/// What was read last of the values, and how much to read next.
#[derive(Default)]
struct ReadAhead {
    start: u64,
    bytes: Vec<u8>,
    next: usize,
}

impl TableSnapshot {
    /// That of the first slots, as they are now.
    pub fn new(file: Arc<StoreFile>, count: usize) -> Option<Self> {
        let slots = file.slots(count).ok()?;
        Some(Self { file, slots, read: Mutex::default() })
    }

    fn version(&self, index: usize, key: &Key) -> Option<ValueVersion> {
        let slot = self.slots.chunks_exact(SLOT).nth(index)?;
        (part::<16>(slot, 0) == *key).then(|| newest(slot).0)
    }

    /// The sequence of a key's value, if it is there.
    pub fn sequence(&self, index: usize, key: &Key) -> Option<u64> {
        Some(self.version(index, key)?.sequence)
    }

    /// The value of a key with its sequence if that is later than the `known` one; `None` also where a writer was faster.
    pub fn later(&self, index: usize, key: &Key, known: u64) -> Option<(u64, Vec<u8>)> {
        let version = self.version(index, key).filter(|version| version.sequence > known)?;
        let value = self.bytes(version.at.into(), version.length as usize)?;
        (ValueVersion::of(version.sequence, key, &value, version.at) == version).then_some((version.sequence, value))
    }

    fn bytes(&self, at: u64, length: usize) -> Option<Vec<u8>> {
        let mut read = lock(&self.read);
        if let Some(found) = read.found(at, length) {
            return Some(found.to_vec());
        }
        let (number, offset) = (at.checked_sub(VALUES_AT)? / CAPACITY as u64, (at - VALUES_AT) % CAPACITY as u64);
        // Nothing follows a value in its home.
        let ahead = if number % 3 == 2 { read.next } else { 0 };
        let rest = CAPACITY - usize::try_from(offset).ok()?;
        let mut bytes = vec![0; ahead.max(length).min(rest)];
        let count = self.file.read_some(&mut bytes, at).ok()?;
        bytes.truncate(count);
        *read = ReadAhead { start: at, bytes, next: (2 * read.next).clamp(READ_AHEAD.0, READ_AHEAD.1) };
        read.found(at, length).map(<[u8]>::to_vec)
    }
}

impl ReadAhead {
    fn found(&self, at: u64, length: usize) -> Option<&[u8]> {
        let offset = usize::try_from(at.checked_sub(self.start)?).ok()?;
        self.bytes.get(offset..offset.checked_add(length)?)
    }
}
