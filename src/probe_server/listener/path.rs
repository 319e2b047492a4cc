//! The path of a Unix socket: who may listen on it, and whether its file is still there.
//!
//! A path outlives the process that bound it, and containers that share a directory share no names of sockets. The lock of
//! the file beside the path is held by the processes that listen on it; the kernel releases it however they end.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use crate::probe_server::unix_connect::connect_path_within;

/// How long to wait for a listener whose queue is full: it is in use all the same.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(200);
const MAX_HOLDER: u64 = 4_096;

/// What distinguishes a file from one that has taken its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId(u64, u64);

impl FileId {
    /// None where there is no file.
    pub fn of(path: &Path) -> Option<Self> {
        fs::symlink_metadata(path).ok().map(|found| Self(found.dev(), found.ino()))
    }
}

/// Locks the path; none while another process of the same application has the lock.
pub fn lock(path: &Path, application: &str) -> io::Result<Option<File>> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(name)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            file.write_all(format!("{}\n{application}", std::process::id()).as_bytes())?;
            Ok(Some(file))
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.seek(SeekFrom::Start(0))?;
            file.take(MAX_HOLDER).read_to_string(&mut holder)?;
            match holder.split_once('\n') {
                Some((pid, other)) if other != application => Err(io::Error::new(
                    io::ErrorKind::AddrInUse,
                    format!(
                        "unix:{} is served by application {other:?} (process {pid}), this is {application:?} \
                         (process {})",
                        path.display(),
                        std::process::id()
                    ),
                )),
                _ => Ok(None),
            }
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Listens on the path, in place of the socket of a process that has ended.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    remove_stale(path)?;
    let listener = UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Removes the socket of a process that has ended; nothing else.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => Err(io::ErrorKind::AlreadyExists.into()),
        Ok(_) => match connect_path_within(path, CONNECT_TIMEOUT) {
            Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(io::ErrorKind::AddrInUse.into()),
            Err(error) => Err(error),
        },
    }
}
