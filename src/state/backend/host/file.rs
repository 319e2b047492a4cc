//! The file that the processes of a host share: a table of slots, each with one small value that changes as a whole.
//!
//! ```text
//!   0      header: magic, format, boot id
//!   4 K    seats: the number of the process that has the seat
//!   16 K   table: for each slot its key, two halves (sequence, length, checksum), when it was last used, the key's checksum
//!   128 K  the halves' values, 128 K for each
//! ```
//!
//! A writer has the slot locked, writes the value to the older half, then that half's entry in the table: a process
//! killed at any instant leaves the value before or the value after. A reader locks nothing; a checksum tells it when it
//! was overtaken. Nothing is mapped into memory: a file that is cut short or damaged gives errors, not signals. Nothing
//! is synced: what a crash of the machine leaves has another boot id.

mod half;
mod header;
mod slot;

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::location::{self, Unusable};
use super::range::{self, Part};
use crate::model::clock;
use crate::state::backend::CAPACITY;
use half::{checksum, part};
use header::Header;
pub use slot::{Read, sequence};

const SEATS: u32 = 1_024;
const SEATS_AT: u64 = 4 << 10;
const SLOTS: usize = 1_024;
const SLOT: usize = 64;
const TABLE_AT: u64 = 16 << 10;
const VALUES_AT: u64 = 128 << 10;
/// A slot that was used within this time is not given to somebody else.
const IDLE: Duration = Duration::from_secs(3_600);
/// How long to wait for those who make or replace the file.
const PATIENCE: Duration = Duration::from_millis(100);

/// What a value is found by.
pub type Key = [u8; 16];

/// An open store.
pub struct StoreFile {
    file: File,
    inode: (u64, u64),
    pub seat: u32,
    /// The number of this process, which is no other's.
    pub process: u64,
    /// Not what stands at the path any more, or not in order.
    lost: AtomicBool,
    header: Header,
}

fn slot_at(index: usize) -> u64 {
    TABLE_AT + (index * SLOT) as u64
}

fn value_at(index: usize, second: bool) -> u64 {
    VALUES_AT + ((2 * index + usize::from(second)) * CAPACITY) as u64
}

impl StoreFile {
    /// Opens the store, makes it if it is not there, and replaces it if it is not one of ours; the second value says why.
    pub fn open(path: &Path) -> Result<(Self, Option<&'static str>), Unusable> {
        let header = Header::new();
        let file = location::open(path, header.bytes(), VALUES_AT)?;
        let found = file.metadata()?;
        let process = uuid::Uuid::new_v4().as_u64_pair().0;
        let inode = (found.dev(), found.ino());
        let mut store = Self { file, inode, seat: SEATS, process, lost: AtomicBool::default(), header };
        let replaced = store.put_in_order()?;
        store.take_seat()?;
        Ok((store, replaced))
    }

    /// Whether this is what stands at the path.
    pub fn is_at(&self, path: &Path) -> bool {
        location::inode(path) == Some(self.inode)
    }

    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Says that the store must be looked at before it is used again.
    pub fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    /// Replaces the content if it is not one of ours, and says why.
    pub fn put_in_order(&self) -> Result<Option<&'static str>, Unusable> {
        let locked = range::lock(&self.file, Part::Header, PATIENCE)?;
        if locked.is_none() {
            return Err(io::Error::from(io::ErrorKind::TimedOut).into());
        }
        let Some(wrong) = self.read_table()?.err() else {
            self.lost.store(false, Ordering::Relaxed);
            return Ok(None);
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
        let intact = |slot: &[u8]| u32::from_le_bytes(part(slot, 56)) == checksum(&part(slot, 0));
        let used = table.chunks_exact(SLOT).take_while(|slot| part::<16>(slot, 0) != [0; 16]);
        let cut = self.file.metadata()?.len() < VALUES_AT;
        Ok(if cut || !used.into_iter().all(intact) { Err("it was damaged") } else { Ok(table) })
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

    fn take_seat(&mut self) -> Result<(), Unusable> {
        for seat in 0..SEATS {
            if range::try_lock(&self.file, Part::Seat(seat))? {
                self.seat = seat;
                return Ok(self.sit()?);
            }
        }
        Err(Unusable(format!("{SEATS} processes use it already")))
    }

    /// Says who has the seat: again whenever the store may have been replaced.
    pub fn sit(&self) -> io::Result<()> {
        self.file.write_all_at(&self.process.to_le_bytes(), seat_at(self.seat))
    }

    /// Whether the process of that seat and number lives.
    pub fn is_alive(&self, seat: u32, process: u64) -> bool {
        if process == self.process {
            return true;
        }
        let mut sits = [0; 8];
        seat < SEATS
            && self.read_some(&mut sits, seat_at(seat)).is_ok()
            && u64::from_le_bytes(sits) == process
            && range::is_locked(&self.file, Part::Seat(seat))
    }

    /// The slot of a key; `None` if there is none and all are in use.
    pub fn find(&self, key: &Key) -> io::Result<Option<usize>> {
        self.find_at(key, clock::now())
    }

    fn find_at(&self, key: &Key, now: u64) -> io::Result<Option<usize>> {
        if let Found::At(index) = self.search(key, now)? {
            return Ok(Some(index));
        }
        let Some(_locked) = range::lock(&self.file, Part::Table, PATIENCE)? else {
            return Err(io::ErrorKind::TimedOut.into());
        };
        match self.search(key, now)? {
            Found::At(index) => Ok(Some(index)),
            Found::Free(index) => {
                let mut slot = [0; SLOT];
                let parts = key.iter().copied().chain([0; 32]).chain(now.to_le_bytes());
                for (byte, value) in slot.iter_mut().zip(parts.chain(checksum(key).to_le_bytes())) {
                    *byte = value;
                }
                self.file.write_all_at(&slot, slot_at(index))?;
                Ok(Some(index))
            }
            Found::Full => Ok(None),
        }
    }

    fn search(&self, key: &Key, now: u64) -> io::Result<Found> {
        let Ok(table) = self.read_table()? else { return Err(io::ErrorKind::InvalidData.into()) };
        let mut unused = (Duration::ZERO, None);
        for (index, slot) in table.chunks_exact(SLOT).enumerate() {
            let found = part::<16>(slot, 0);
            if found == *key {
                return Ok(Found::At(index));
            }
            if found == [0; 16] {
                return Ok(Found::Free(index));
            }
            // A moment in the future is damage. Compared as ages: `now` is small on a machine that was just started.
            let idle = now.checked_sub(u64::from_le_bytes(part(slot, 48))).map_or(Duration::MAX, Duration::from_nanos);
            if idle >= IDLE && idle > unused.0 {
                unused = (idle, Some(index));
            }
        }
        Ok(unused.1.map_or(Found::Full, Found::Free))
    }
}

enum Found {
    At(usize),
    Free(usize),
    Full,
}

fn seat_at(seat: u32) -> u64 {
    SEATS_AT + u64::from(seat) * 8
}

#[cfg(test)]
mod tests;
