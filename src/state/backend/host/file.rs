//! The file that the processes of a host share: a table of slots, each with one small value that changes as a whole.
//!
//! ```text
//!   0      header: magic, format, boot id
//!   4 K    members: for each its number and the last lease that it could not settle
//!   32 K   table: for each slot its key, two value versions (sequence, length, place, checksum), when it was last used,
//!          the key's checksum
//!   127 K  members again: for each whether it has joined, and from 128 K on what it says of itself
//!   640 K  for each number n the two homes of the values of slot n, of 128 K each, and the batch area of member n
//! ```
//!
//! States of a slot: free (no key) ──find──► assigned, empty ──write──► first or second value is the newest ──idle for an
//! hour while the table is full──► assigned to another key.
//!
//! A writer has the slot locked, writes a value where the newest is not, then its version in the table, in place of the older
//! one: a process killed at any instant leaves the value before or the value after. Of one slot it writes the home that is
//! not in use. Of several it has all slots from the first to the last of them locked, and writes their values side by side
//! where its batch area is free, then their part of the table: see [`batch`]. A reader locks nothing; a checksum shows it
//! when a writer overtook it. Nothing is mapped into memory: a file that is cut short or damaged gives errors, not signals.
//! The first bytes of both homes ([`RESERVED`]) are allocated with the slot, so that a full disk does not stop small values.
//! Nothing is synced: what a crash of the machine leaves has another boot id.

mod batch;
mod header;
mod members;
mod slot;
mod snapshot;
mod statuses;
mod value_version;

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use super::errors::Unusable;
use super::location;
use super::range_lock::{self, LockRange, MEMBERS};
use crate::model::clock;
use crate::runtime::close_on_fork::NotInherited;
use crate::runtime::lock;
use crate::state::backend::{CAPACITY, RESERVED};
pub use batch::{BatchedValue, LockedSlots};
use header::Header;
pub use header::{FORMAT, is_from_another_boot};
pub use slot::SlotValue;
use slot::{CHECKSUM_AT, USED_AT};
pub use snapshot::TableSnapshot;
pub use statuses::{MemberStatuses, STATUS_CAPACITY};
use value_version::{ValueVersion, checksum, part};

const SLOTS: usize = 1_024;
const SLOT: usize = 64;
const TABLE_AT: u64 = 32 << 10;
const VALUES_AT: u64 = 640 << 10;
/// A slot that was used within so many seconds is not assigned to another key.
const IDLE: u32 = 3_600;
const HELD: &str = "another process holds it: is one stopped?";
/// How long to wait for processes that make, replace or remove the file.
const HEADER_TIMEOUT: Duration = Duration::from_millis(100);

/// What a value is found by.
pub type Key = [u8; 16];

/// An open store.
pub struct StoreFile {
    // A child that kept its copy would keep the locks of a parent that is gone.
    file: NotInherited<File>,
    inode: (u64, u64),
    pub member: u32,
    /// The number of this member, which no other has.
    pub process: u64,
    /// Not what stands at the path any more, or not in order.
    lost: AtomicBool,
    header: Header,
    /// Held with the table's lock, which excludes other processes but not the threads of this one.
    table: Mutex<()>,
    /// Held with the locks of slots, which may belong to the process: read for one slot, written for several.
    slots: RwLock<()>,
    /// So many of the first slots were assigned when the table was last read as a whole.
    assigned: AtomicUsize,
    /// So many of the first numbers of members were in use so far.
    members: AtomicUsize,
}

/// Where a key is in the table.
enum SlotSearch {
    Found(usize),
    Free(usize),
    Full,
}

/// The result of assigning a slot to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssignedSlot {
    At(usize),
    /// All slots are in use.
    Full,
    /// Another process holds the table.
    Busy,
}

fn slot_at(index: usize) -> u64 {
    TABLE_AT + (index * SLOT) as u64
}

/// One of the two homes of a slot's values.
fn home_at(index: usize, second: bool) -> u64 {
    VALUES_AT + ((3 * index + usize::from(second)) * CAPACITY) as u64
}

/// The seconds since boot.
fn seconds() -> u32 {
    u32::try_from(clock::now() / 1_000_000_000).unwrap_or(u32::MAX)
}

impl StoreFile {
    /// Opens the store, makes it if it is not there, and replaces it if it is not one of ours; the second value says why.
    pub fn open(path: &Path) -> Result<(Self, Option<&'static str>), Unusable> {
        let header = Header::new();
        // As often as it can be removed between being opened and being joined.
        for _ in 0..10 {
            let file = NotInherited::new(location::open(path, header.bytes(), VALUES_AT)?);
            let metadata = file.metadata()?;
            let process = uuid::Uuid::new_v4().as_u64_pair().0;
            let inode = (metadata.dev(), metadata.ino());
            let mut store = Self {
                file,
                inode,
                member: MEMBERS,
                process,
                lost: AtomicBool::default(),
                header,
                table: Mutex::default(),
                slots: RwLock::default(),
                assigned: AtomicUsize::default(),
                members: AtomicUsize::default(),
            };
            let replaced = store.put_in_order()?;
            store.join()?;
            if store.is_at(path) {
                return Ok((store, replaced));
            }
        }
        Err(Unusable("it is removed again and again".to_owned()))
    }

    /// Whether this is what stands at the path.
    pub fn is_at(&self, path: &Path) -> bool {
        location::inode(path) == Some(self.inode)
    }

    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Has the store verified before it is used again.
    pub fn mark_lost(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    /// Replaces the content if it is not one of ours, and says why.
    pub fn put_in_order(&self) -> Result<Option<&'static str>, Unusable> {
        let Some(_lock) = range_lock::lock(&self.file, LockRange::Header, HEADER_TIMEOUT)? else {
            return Err(Unusable(HELD.to_owned()));
        };
        let Some(wrong) = self.read_table()?.err() else {
            self.lost.store(false, Ordering::Relaxed);
            return Ok(None);
        };
        // What a writer has read of the table must not return after it.
        let _threads = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let Some(_slots) = range_lock::lock(&self.file, LockRange::Slots(0, SLOTS), HEADER_TIMEOUT)? else {
            return Err(Unusable(HELD.to_owned()));
        };
        self.file.set_len(0)?;
        self.file.set_len(VALUES_AT)?;
        self.file.write_all_at(self.header.bytes(), 0)?;
        self.lost.store(false, Ordering::Relaxed);
        Ok(Some(wrong))
    }

    /// The table of a store that is in order, or what is wrong with it.
    fn read_table(&self) -> io::Result<Result<Vec<u8>, &'static str>> {
        let mut header = [0; Header::LENGTH];
        let length = self.read_some(&mut header, 0)?;
        if let Some(wrong) = self.header.differs(header.get(..length).unwrap_or_default()) {
            return Ok(Err(wrong));
        }
        let table = self.slots(SLOTS)?;
        let intact = |slot: &[u8]| u32::from_le_bytes(part(slot, CHECKSUM_AT)) == checksum(&part(slot, 0));
        let mut used = table.chunks_exact(SLOT).take_while(|slot| part::<16>(slot, 0) != [0; 16]);
        let cut = self.file.metadata()?.len() < VALUES_AT;
        self.assigned.fetch_max(used.clone().count(), Ordering::Relaxed);
        Ok(if cut || !used.all(intact) { Err("it was damaged") } else { Ok(table) })
    }

    /// The first slots of the table as they are now, with one read.
    pub fn slots(&self, count: usize) -> io::Result<Vec<u8>> {
        let mut slots = vec![0; count.min(SLOTS) * SLOT];
        self.read_some(&mut slots, TABLE_AT)?;
        Ok(slots)
    }

    /// Reads as many bytes as there are.
    fn read_some(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        let mut length = 0;
        while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, at + length as u64) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(length)
    }

    /// The slot of a key, if it has one. Waits for no other process.
    pub fn find(&self, key: &Key) -> io::Result<Option<usize>> {
        Ok(if let SlotSearch::Found(index) = self.search(key, seconds())? { Some(index) } else { None })
    }

    /// The slot of a key, assigned now if it has none. Waits for other processes that do so, within `timeout`.
    pub fn assign(&self, key: &Key, timeout: Duration) -> io::Result<AssignedSlot> {
        self.assign_at(key, timeout, seconds())
    }

    fn assign_at(&self, key: &Key, timeout: Duration, now: u32) -> io::Result<AssignedSlot> {
        if let SlotSearch::Found(index) = self.search(key, now)? {
            return Ok(AssignedSlot::At(index));
        }
        let _thread = lock(&self.table);
        let Some(_lock) = range_lock::lock(&self.file, LockRange::Table, timeout)? else {
            return Ok(AssignedSlot::Busy);
        };
        match self.search(key, now)? {
            SlotSearch::Found(index) => Ok(AssignedSlot::At(index)),
            SlotSearch::Free(index) => {
                // A writer of several slots returns the keys of all of them.
                let Some(_slot) = self.lock(index, timeout)? else { return Ok(AssignedSlot::Busy) };
                for second in [false, true] {
                    self.file.write_all_at(&[0; RESERVED], home_at(index, second))?;
                }
                let mut slot = [0; SLOT];
                let parts = key.iter().copied().chain([0; 2 * ValueVersion::LENGTH]).chain(now.to_le_bytes());
                for (byte, value) in slot.iter_mut().zip(parts.chain(checksum(key).to_le_bytes())) {
                    *byte = value;
                }
                self.file.write_all_at(&slot, slot_at(index))?;
                self.assigned.fetch_max(index + 1, Ordering::Relaxed);
                Ok(AssignedSlot::At(index))
            }
            SlotSearch::Full => Ok(AssignedSlot::Full),
        }
    }

    fn search(&self, key: &Key, now: u32) -> io::Result<SlotSearch> {
        let Ok(table) = self.read_table()? else { return Err(io::ErrorKind::InvalidData.into()) };
        let mut unused = (0, None);
        for (index, slot) in table.chunks_exact(SLOT).enumerate() {
            let found = part::<16>(slot, 0);
            if found == *key {
                return Ok(SlotSearch::Found(index));
            }
            if found == [0; 16] {
                return Ok(SlotSearch::Free(index));
            }
            // A moment in the future is damage. Compared as ages: `now` is small on a machine that was just started.
            let used = u32::from_le_bytes(part(slot, USED_AT));
            let idle = now.checked_sub(used).unwrap_or(u32::MAX);
            if idle >= IDLE && idle > unused.0 {
                unused = (idle, Some(index));
            }
        }
        Ok(unused.1.map_or(SlotSearch::Full, SlotSearch::Free))
    }
}

#[cfg(test)]
mod tests;
