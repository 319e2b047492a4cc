//! The members: the processes that have the file open, each known by a random number and alive while it holds a lock.
//!
//! Process ids prove nothing: two containers that share memory both have a process 1, and a forked child has another
//! one. A member's row holds its number; no other process has that. A process killed at any instant loses the lock.

use std::io;
use std::os::unix::fs::FileExt;

use super::value_version::part;
use super::{StoreFile, range_lock};
use crate::state::backend::Owner;
use crate::state::backend::host::errors::Unusable;
use crate::state::backend::host::range_lock::{LockRange, MEMBERS};

pub(super) const MEMBERS_AT: u64 = 4 << 10;
/// The member's number, and the number of its last lease whose outcome it could not store.
pub(super) const MEMBER: u64 = 16;

fn member_at(member: u32) -> u64 {
    MEMBERS_AT + u64::from(member) * MEMBER
}

impl StoreFile {
    pub(super) fn join(&mut self) -> Result<(), Unusable> {
        for member in 0..MEMBERS {
            if range_lock::try_lock(&self.file, LockRange::Member(member))? {
                self.member = member;
                self.void_leases(0)?;
                // What it says is left out where the disk has no space for that.
                let _ = self.clear_status();
                return Ok(self.register()?);
            }
        }
        Err(Unusable(format!("{MEMBERS} processes use it already")))
    }

    /// Writes this member's number: again whenever the file's content may have been replaced, also by another process.
    pub fn register(&self) -> io::Result<()> {
        self.file.write_all_at(&self.process.to_le_bytes(), member_at(self.member))?;
        self.mark_joined()
    }

    /// Ends all leases of this member up to that one for other processes, since it cannot store their outcome. Needs no
    /// space on the disk.
    pub fn void_leases(&self, until: u64) -> io::Result<()> {
        self.file.write_all_at(&until.to_le_bytes(), member_at(self.member) + 8)
    }

    /// Whether the process of that lease lives and can store its outcome.
    pub fn is_alive(&self, owner: &Owner) -> bool {
        if owner.process == self.process {
            return true;
        }
        let mut row = [0; MEMBER as usize];
        owner.member < MEMBERS
            && self.read_some(&mut row, member_at(owner.member)).is_ok()
            && u64::from_le_bytes(part(&row, 0)) == owner.process
            && u64::from_le_bytes(part(&row, 8)) < owner.lease
            && range_lock::is_locked(&self.file, LockRange::Member(owner.member))
    }
}
