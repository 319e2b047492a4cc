//! Removal of the stores that applications which are gone leave in the default directory.
//!
//! A file is removed if no process is a member of it, and it was not written for a day or is from before the machine was
//! started. Members are found by their locks, which are in the same place in every format: a file of another version of
//! Lifesigns is kept as long as that one uses it.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::process::geteuid;

use super::file::is_from_another_boot;
use super::location;
use super::range_lock::{self, LockRange};

/// How long a file without members is kept for those who come back.
const KEEP: Duration = Duration::from_secs(24 * 3_600);
/// How many files are looked at, at most: this is done each time a process opens a store.
const MAX_FILES: usize = 1_000;

/// Removes stale stores from `directory`, but for those in `used`, and returns their number.
pub fn remove(directory: &Path, used: &[&Path], now: SystemTime) -> usize {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path()).take(MAX_FILES);
    paths.filter(|path| !used.contains(&path.as_path()) && remove_if_stale(path, now).unwrap_or(false)).count()
}

fn remove_if_stale(path: &Path, now: SystemTime) -> io::Result<bool> {
    let name = path.file_name().unwrap_or_default();
    let is_store = path.extension() == Some(OsStr::new("lifesigns")) && !name.as_bytes().starts_with(b".");
    if !is_store && !location::is_unfinished(name) {
        return Ok(false);
    }
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.uid() != geteuid().as_raw() {
        return Ok(false);
    }
    let is_old = found.modified().is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > KEEP));
    let is_stale = is_old || (is_store && was_left_before_boot(&file));
    if !is_stale {
        return Ok(false);
    }
    // A process that opens it meanwhile finds it gone once it has joined, and makes another one.
    let Some(_lock) = range_lock::lock(&file, LockRange::Header, Duration::ZERO)? else { return Ok(false) };
    if range_lock::is_locked(&file, LockRange::Members) || location::inode(path) != Some((found.dev(), found.ino())) {
        return Ok(false);
    }
    fs::remove_file(path)?;
    Ok(true)
}

fn was_left_before_boot(file: &File) -> bool {
    let mut start = [0; 64];
    file.read_at(&mut start, 0).is_ok_and(|length| is_from_another_boot(start.get(..length).unwrap_or_default()))
}
