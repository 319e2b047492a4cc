//! Locks on ranges of the store's file: the kernel releases them however their holder ends.
//!
//! The ranges are numbers beyond the file's end, so nothing is read or written there. They are the same in every format of
//! the file: any version can see whether another one still uses a file.
//!
//! On Linux they are open file description locks. Each open of the file has locks of its own, also within one process, and
//! closing another descriptor of the file releases none of them (POSIX locks are all lost then, whatever code closes it). A
//! forked child shares its parent's description, and with it the locks: it must close its copy at once, which releases
//! nothing while the parent has its own (`runtime/close_on_fork.rs`).
//!
//! On macOS they are POSIX locks: they belong to the process, so it opens the file once and never closes it.

use std::fs::File;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

/// How many processes may have the file open at once.
pub const MEMBERS: u32 = 1_024;
/// Beyond the end of any file.
const FIRST: libc::off_t = 1 << 30;

/// What can be locked.
#[derive(Clone, Copy, Debug)]
pub enum LockRange {
    /// The file as a whole, while it is made, replaced or removed.
    Header,
    /// The table of slots, while one is assigned to another key.
    Table,
    Slot(usize),
    /// So many slots from the first of them.
    Slots(usize, usize),
    /// Held by a member for as long as it has the file open.
    Member(u32),
    /// Those of all members.
    Members,
}

impl LockRange {
    fn as_flock(self, kind: impl TryInto<libc::c_short>) -> libc::flock {
        const SLOT: libc::off_t = 1 << 20;
        const MEMBER: libc::off_t = 1 << 21;
        let (start, length) = match self {
            Self::Header => (0, 1),
            Self::Table => (1, 1),
            Self::Slot(index) => (SLOT + index as libc::off_t, 1),
            Self::Slots(first, count) => (SLOT + first as libc::off_t, count as libc::off_t),
            Self::Member(member) => (MEMBER + libc::off_t::from(member), 1),
            Self::Members => (MEMBER, libc::off_t::from(MEMBERS)),
        };
        libc::flock {
            l_type: kind.try_into().unwrap_or_default(),
            l_whence: libc::SEEK_SET.try_into().unwrap_or_default(),
            l_start: FIRST + start,
            l_len: length,
            l_pid: 0,
        }
    }
}

fn set(file: &File, lock: &libc::flock) -> nix::Result<()> {
    #[cfg(target_os = "linux")]
    let command = FcntlArg::F_OFD_SETLK(lock);
    #[cfg(not(target_os = "linux"))]
    let command = FcntlArg::F_SETLK(lock);
    fcntl(file, command).map(drop)
}

/// Locks at once or not at all; `false` if another holder has it.
pub fn try_lock(file: &File, range: LockRange) -> io::Result<bool> {
    match set(file, &range.as_flock(libc::F_WRLCK)) {
        Ok(()) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES | Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether another holder has any of it locked; also where that cannot be determined, since callers act on the contrary.
pub fn is_locked(file: &File, range: LockRange) -> bool {
    let mut found = range.as_flock(libc::F_WRLCK);
    #[cfg(target_os = "linux")]
    let command = FcntlArg::F_OFD_GETLK(&mut found);
    #[cfg(not(target_os = "linux"))]
    let command = FcntlArg::F_GETLK(&mut found);
    fcntl(file, command).is_err() || found.l_type != range.as_flock(libc::F_UNLCK).l_type
}

/// A locked range, until dropped.
pub struct RangeLock<'a> {
    file: &'a File,
    range: LockRange,
}

/// Locks within `timeout`; `None` if another holder has it for longer.
pub fn lock(file: &File, range: LockRange, timeout: Duration) -> io::Result<Option<RangeLock<'_>>> {
    let started = Instant::now();
    // Other processes hold it for some microseconds.
    let mut pause = Duration::from_micros(10);
    while !try_lock(file, range)? {
        if started.elapsed() >= timeout {
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(1));
    }
    Ok(Some(RangeLock { file, range }))
}

impl Drop for RangeLock<'_> {
    fn drop(&mut self) {
        // Cannot fail for a range that is locked.
        let _ = set(self.file, &self.range.as_flock(libc::F_UNLCK));
    }
}
