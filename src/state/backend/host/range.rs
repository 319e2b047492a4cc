//! Locks on ranges of a file, held by a process: the kernel releases them however it ends, and no child inherits them.
//!
//! The ranges are numbers beyond the file's end, so nothing is read or written there. They belong to the process, not to
//! a thread: threads keep each other out by other means. And closing *any* descriptor of the file releases all of them,
//! so a process opens it once and never closes it.

use std::fs::File;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

/// What can be locked.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// The whole file's beginning, while it is made or replaced.
    Header,
    /// The table of slots, while one is given away.
    Table,
    Slot(usize),
    /// Held by a process for as long as it lives.
    Seat(u32),
}

impl Part {
    fn range(self, kind: impl TryInto<libc::c_short>) -> libc::flock {
        const BEYOND: libc::off_t = 1 << 30;
        let at = match self {
            Self::Header => 0,
            Self::Table => 1,
            Self::Slot(index) => (1 << 20) + index as libc::off_t,
            Self::Seat(seat) => (1 << 21) + seat as libc::off_t,
        };
        libc::flock {
            l_type: kind.try_into().unwrap_or_default(),
            l_whence: libc::SEEK_SET.try_into().unwrap_or_default(),
            l_start: BEYOND + at,
            l_len: 1,
            l_pid: 0,
        }
    }
}

/// Locks at once or not at all; `false` if another process has it.
pub fn try_lock(file: &File, part: Part) -> io::Result<bool> {
    match fcntl(file, FcntlArg::F_SETLK(&part.range(libc::F_WRLCK))) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES | Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether another process has it locked.
pub fn is_locked(file: &File, part: Part) -> bool {
    let mut found = part.range(libc::F_WRLCK);
    // Cannot be told: as good as locked, since what follows from the contrary cannot be taken back.
    fcntl(file, FcntlArg::F_GETLK(&mut found)).is_err() || found.l_type != part.range(libc::F_UNLCK).l_type
}

/// A locked part, until dropped.
pub struct Locked<'a> {
    file: &'a File,
    part: Part,
}

/// Locks within `patience`; `None` if another process has it for longer.
pub fn lock(file: &File, part: Part, patience: Duration) -> io::Result<Option<Locked<'_>>> {
    let started = Instant::now();
    // Others have it for some microseconds.
    let mut pause = Duration::from_micros(10);
    while !try_lock(file, part)? {
        if started.elapsed() >= patience {
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(1));
    }
    Ok(Some(Locked { file, part }))
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // Cannot fail for a range that is locked.
        let _ = fcntl(self.file, FcntlArg::F_SETLK(&self.part.range(libc::F_UNLCK)));
    }
}
