//! Several slots that are written together: one lock, one write of the values, one of their part of the table.
//!
//! All slots from the first to the last of them are locked, those in between, too. No other process is waited for: if one has
//! any of them, each slot is written by itself.
//!
//! The values stand side by side in the batch area of this member, where no other process writes. A part of it is free if no
//! slot describes a value there. Only this process makes a slot do so, and the process that had the same number of a member
//! before it: slots that are read without their lock can only stop doing so. What the older description of a slot names is
//! left alone, too: a reader has as much time as with two homes. A value that is large, or finds no place, goes to its home.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;
use std::sync::{RwLockWriteGuard, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use super::slot::{CHECKSUM_AT, describe, next_home};
use super::value_version::{FIRST_AT, newest, versions};
use super::{Key, SLOT, SlotValue, StoreFile, VALUES_AT, slot_at};
use crate::state::backend::host::range_lock::{self, LockRange, RangeLock};
use crate::state::backend::{CAPACITY, RESERVED};

/// How long to wait for threads of this process: they have a slot for some microseconds, unless they wait for another process.
const THREAD_TIMEOUT: Duration = Duration::from_millis(1);

/// The next value of a slot.
pub struct BatchedValue<'a> {
    pub index: usize,
    pub key: &'a Key,
    pub value: Vec<u8>,
}

/// Slots side by side that no other process or thread can lock, until dropped.
pub struct LockedSlots<'a> {
    store: &'a StoreFile,
    /// As far as this member's batch area may be described.
    table: Vec<u8>,
    // Released in this order.
    _lock: RangeLock<'a>,
    _threads: RwLockWriteGuard<'a, ()>,
}

impl StoreFile {
    /// Locks all slots from the first to the last one; `None` if another process has one of them, or a thread for long.
    pub fn try_lock_all(&self, first: usize, last: usize) -> io::Result<Option<LockedSlots<'_>>> {
        let started = Instant::now();
        let threads = loop {
            match self.slots.try_write() {
                Ok(threads) => break threads,
                Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
                Err(TryLockError::WouldBlock) if started.elapsed() < THREAD_TIMEOUT => {
                    thread::sleep(THREAD_TIMEOUT / 50)
                }
                Err(TryLockError::WouldBlock) => return Ok(None),
            }
        };
        let range = LockRange::Slots(first, last + 1 - first);
        let Some(lock) = range_lock::lock(&self.file, range, Duration::ZERO)? else { return Ok(None) };
        let table = self.slots(self.assigned.load(Ordering::Relaxed).max(last + 1))?;
        Ok(Some(LockedSlots { store: self, table, _lock: lock, _threads: threads }))
    }
}

impl LockedSlots<'_> {
    /// Reads one of them unless its sequence is the `known` one.
    pub fn read(&self, index: usize, key: &Key, known: u64) -> io::Result<SlotValue> {
        self.store.value(self.table.chunks_exact(SLOT).nth(index).unwrap_or_default(), key, known)
    }

    /// Writes the values of different slots, in the order of these, and then, with one write, all descriptions; returns the
    /// new sequences.
    pub fn write(mut self, values: &[BatchedValue<'_>]) -> io::Result<Vec<u64>> {
        let (Some(first), Some(last)) = (values.first(), values.last()) else { return Ok(Vec::new()) };
        let places = self.write_batched(values);
        let mut sequences = Vec::with_capacity(values.len());
        for (number, BatchedValue { index, key, value }) in values.iter().enumerate() {
            let slot = self.table.chunks_exact_mut(SLOT).nth(*index).ok_or(io::ErrorKind::InvalidData)?;
            let at = match places.as_ref().and_then(|places| *places.get(number)?) {
                Some(at) => at,
                None => {
                    let home = next_home(*index, newest(slot).0);
                    self.store.file.write_all_at(value, home)?;
                    home
                }
            };
            sequences.push(describe(slot, key, value, at).sequence);
        }
        let changed = first.index * SLOT + FIRST_AT..last.index * SLOT + CHECKSUM_AT;
        let bytes = self.table.get(changed).ok_or(io::ErrorKind::InvalidData)?;
        self.store.file.write_all_at(bytes, slot_at(first.index) + FIRST_AT as u64)?;
        Ok(sequences)
    }

    /// Writes those that are not large to the batch area, and returns where each is; `None` if there is no place for them.
    fn write_batched(&self, values: &[BatchedValue<'_>]) -> Option<Vec<Option<u64>>> {
        let is_small = |value: &BatchedValue<'_>| value.value.len() <= RESERVED;
        let bytes: Vec<u8> =
            values.iter().filter(|value| is_small(value)).flat_map(|value| &value.value).copied().collect();
        let start = self.free_place(bytes.len())?;
        // A full disk: there is place in the homes.
        self.store.file.write_all_at(&bytes, start).ok()?;
        let mut next = start;
        let place = |value: &BatchedValue<'_>| {
            let at = next;
            is_small(value).then(|| {
                next += value.value.len() as u64;
                at
            })
        };
        Some(values.iter().map(place).collect())
    }

    /// The first place in this member's batch area with so many bytes that no slot describes.
    fn free_place(&self, length: usize) -> Option<u64> {
        let start = VALUES_AT + (3 * u64::from(self.store.member) + 2) * CAPACITY as u64;
        let end = start + CAPACITY as u64;
        let described = self.table.chunks_exact(SLOT).flat_map(versions);
        let mut used: Vec<_> = described
            .filter(|version| version.length as usize <= RESERVED)
            .map(|version| (u64::from(version.at), u64::from(version.at) + u64::from(version.length)))
            .filter(|(at, _)| (start..end).contains(at))
            .collect();
        used.sort_unstable();
        let mut free = start;
        for (at, until) in used {
            if at.saturating_sub(free) >= length as u64 {
                break;
            }
            free = free.max(until);
        }
        (free + length as u64 <= end).then_some(free)
    }
}

#[cfg(test)]
mod tests;
