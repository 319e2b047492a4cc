//! A Unix socket that several processes share by taking turns: the next one takes over when the one before is gone.
//!
//! The kernel lets only one process listen on a path, and a path outlives the process that made it. Whoever holds the
//! lock of the file beside it may listen; the kernel frees the lock however the holder ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::time::sleep;

use crate::runtime::close_on_fork::NotInherited;

/// How soon after the end of a process another one listens.
const RETRY: Duration = Duration::from_millis(100);

/// A process's turn, now or later.
pub struct Turn {
    path: PathBuf,
    listening: Option<NotInherited<UnixListener>>,
    // Last, since it is what lets the next process listen.
    lock: NotInherited<File>,
}

impl Turn {
    /// Listens, or waits for its turn in [`Self::accept`] if another process listens.
    pub fn wait_for(path: &Path) -> io::Result<Self> {
        let mut lock = path.as_os_str().to_owned();
        lock.push(".lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(lock)?;
        let mut turn = Self { path: path.to_owned(), listening: None, lock: NotInherited::new(lock) };
        turn.try_listen()?;
        Ok(turn)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for its turn, then for the next connection. Cancel-safe.
    pub async fn accept(&mut self) -> io::Result<UnixStream> {
        loop {
            match &self.listening {
                Some(listener) => return listener.accept().await.map(|(stream, _)| stream),
                None => sleep(RETRY).await,
            }
            self.try_listen()?;
        }
    }

    fn try_listen(&mut self) -> io::Result<()> {
        match self.lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        remove_stale(&self.path)?;
        self.listening = Some(NotInherited::new(UnixListener::bind(&self.path)?));
        Ok(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.listening.take().is_some() {
            // The next process replaces it where it cannot be removed.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Removes the socket of a process that is gone; nothing else.
fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => Err(io::ErrorKind::AlreadyExists.into()),
        Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => Err(io::ErrorKind::AddrInUse.into()),
        Ok(_) => std::fs::remove_file(path),
    }
}
