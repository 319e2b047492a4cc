//! Whether a file can be written, synced and removed in a directory, without ever leaving a second one behind.
//!
//! Where the file system can make a file without a name (`O_TMPFILE`), that is used: nothing can be left, not even by a
//! process that is killed. Elsewhere the file has a unique name. If it cannot be removed, its name is remembered, and
//! each further test, of this process or of one after it, writes to that same file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use uuid::Uuid;

use crate::runtime::lock;

const PREFIX: &str = ".lifesigns-";

/// How many entries of a directory are searched for a file of ours.
const MAX_ENTRIES: usize = 10_000;

/// The file of one directory that could not be removed.
#[derive(Debug, Default)]
pub struct Leftover(Mutex<Search>);

#[derive(Debug, Default)]
enum Search {
    /// Another process may have left one.
    #[default]
    Pending,
    Found(Option<PathBuf>),
}

/// Writes, syncs and removes a file.
pub fn write_test(directory: &Path, leftover: &Leftover) -> Result<(), String> {
    match unnamed(directory) {
        Some(written) => written.map_err(|error| error.kind().to_string()),
        None => named(directory, leftover),
    }
}

/// As [`write_test`], with a file that has no name; `None` where the file system has no such files.
#[cfg(target_os = "linux")]
fn unnamed(directory: &Path) -> Option<io::Result<()>> {
    use rustix::fs::{Mode, OFlags, open};
    use rustix::io::Errno;
    match open(directory, OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Some(fill(&mut File::from(file))),
        // Kernels and file systems that do not know the flag take it for an attempt to write to the directory itself.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) => None,
        Err(errno) => Some(Err(errno.into())),
    }
}

#[cfg(not(target_os = "linux"))]
fn unnamed(_: &Path) -> Option<io::Result<()>> {
    None
}

fn named(directory: &Path, leftover: &Leftover) -> Result<(), String> {
    let in_words = |error: io::Error| error.kind().to_string();
    // Held during the I/O: the test of one directory is one job at a time.
    let mut search = lock(&leftover.0);
    if matches!(*search, Search::Pending) {
        *search = Search::Found(left_behind(directory));
    }
    let old = match &*search {
        Search::Found(Some(path)) if path.symlink_metadata().is_ok() => Some(path.clone()),
        _ => None,
    };
    let is_new = old.is_none();
    // A name that no other process, thread or host uses.
    let unique = || directory.join(format!("{PREFIX}{}-{}", std::process::id(), Uuid::new_v4().simple()));
    let path = old.unwrap_or_else(unique);
    let mut file = open_file(&path, is_new).map_err(in_words)?;
    let written = fill(&mut file);
    // Closed first: Windows removes no open file, NFS would rename it.
    drop(file);
    match fs::remove_file(&path) {
        Ok(()) => {
            *search = Search::Found(None);
            written.map_err(in_words)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => written.map_err(in_words),
        Err(error) => {
            let problem = format!("{} cannot be removed: {}", path.display(), error.kind());
            *search = Search::Found(Some(path));
            Err(problem)
        }
    }
}

/// A file of an earlier process that could not be removed.
fn left_behind(directory: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(directory).ok()?.take(MAX_ENTRIES).filter_map(Result::ok);
    let mut ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    ours.find(|entry| {
        // One that another process is just using can be older than a minute only if that process was killed.
        let age = entry.metadata().ok().and_then(|file| file.modified().ok()?.elapsed().ok());
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        is_file && age.is_some_and(|age| age.as_secs() > 60) && open_file(&entry.path(), false).is_ok()
    })
    .map(|entry| entry.path())
}

fn open_file(path: &Path, is_new: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(is_new).truncate(!is_new);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32);
    }
    options.open(path)
}

/// Writes a whole block: a few bytes fit into the inode of some file systems, even of a full one.
fn fill(file: &mut File) -> io::Result<()> {
    const CONTENT: [u8; 4096] = [b'\n'; 4096];
    file.write_all(&CONTENT).and_then(|()| file.sync_all())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    #[cfg(target_os = "linux")]
    use std::process::Command;

    fn directory() -> PathBuf {
        let path = std::env::temp_dir().join(format!("lifesigns-{}", Uuid::new_v4()));
        fs::create_dir(&path).unwrap();
        path
    }

    fn count(path: &Path) -> usize {
        fs::read_dir(path).unwrap().count()
    }

    #[test]
    fn named_file_is_removed() {
        let path = directory();
        assert_eq!(named(&path, &Leftover::default()), Ok(()));
        assert_eq!(write_test(&path, &Leftover::default()), Ok(()));
        assert_eq!(count(&path), 0);
        fs::remove_dir(&path).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn refused_removal_leaves_one_file_over_many_runs() {
        let path = directory();
        let change =
            |flag: &str| Command::new("chattr").arg(flag).arg(&path).output().is_ok_and(|o| o.status.success());
        // Needs root, and a file system with attributes.
        if change("+a") {
            let leftover = Leftover::default();
            for _ in 0..5 {
                let error = named(&path, &leftover).unwrap_err();
                assert!(error.contains("cannot be removed: "), "{error}");
                assert_eq!(count(&path), 1);
            }
            // A process that starts later finds it.
            let file = fs::read_dir(&path).unwrap().next().unwrap().unwrap().path();
            let old = std::time::SystemTime::now() - std::time::Duration::from_secs(120);
            File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
            assert!(named(&path, &Leftover::default()).is_err());
            assert_eq!(count(&path), 1);
            assert!(change("-a"));
            assert_eq!(named(&path, &leftover), Ok(()), "removed as soon as that is allowed");
            assert_eq!(count(&path), 0);
        }
        fs::remove_dir_all(&path).unwrap();
    }
}
