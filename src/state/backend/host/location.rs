//! Where the store of a host is: in a private directory, in shared memory unless the user names another.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::errors::Unusable;
use super::file_system;

/// The directory where processes of one user find each other, whatever their environment: `$XDG_RUNTIME_DIR` and
/// `/run/user` exist for some processes of a user and not for others. The containers of a pod have one `/dev/shm`.
pub fn default_directory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    base.join(format!("lifesigns-{}", geteuid().as_raw()))
}

/// Makes the directory if it is not there. No other user may own it or be able to put files into it.
fn prepare(directory: &Path) -> Result<(), Unusable> {
    file_system::check(directory)?;
    if let Err(error) = DirBuilder::new().recursive(true).mode(0o700).create(directory)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error.into());
    }
    let found = fs::symlink_metadata(directory)?;
    let refuse = |what: &str| Err(Unusable(format!("its directory {what}")));
    match () {
        () if found.is_symlink() => refuse("is a symbolic link"),
        () if !found.is_dir() => refuse("is not a directory"),
        () if found.uid() != geteuid().as_raw() => refuse("belongs to another user"),
        () if found.mode() & 0o022 != 0 => refuse("can be written to by others"),
        () => Ok(()),
    }
}

/// Whether that is the name of a file which a process was killed while making.
pub fn is_unfinished(name: &OsStr) -> bool {
    name.to_str().and_then(|name| name.strip_prefix('.')).is_some_and(|id| uuid::Uuid::try_parse(id).is_ok())
}

/// Makes the file with its header, and zeros up to `length`: no process ever sees less of it, unless the file was cut.
fn make(path: &Path, header: &[u8], length: u64) -> io::Result<()> {
    let fresh = path.with_file_name(format!(".{}", uuid::Uuid::new_v4()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.set_len(length)?;
    file.write_all(header)?;
    // Fails if another process was quicker: its file is used.
    let made = fs::hard_link(&fresh, path);
    fs::remove_file(&fresh)?;
    made.or_else(|error| if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) })
}

/// Opens the file, or makes one that only its owner can read.
pub fn open(path: &Path, header: &[u8], length: u64) -> Result<File, Unusable> {
    prepare(path.parent().unwrap_or(path))?;
    if inode(path).is_none() {
        make(path, header, length)?;
    }
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags.bits().cast_signed()).open(path).map_err(
        |error| match rustix::io::Errno::from_io_error(&error) {
            Some(rustix::io::Errno::LOOP) => Unusable("it is a symbolic link".to_owned()),
            _ => error.into(),
        },
    )?;
    let found = file.metadata()?;
    match () {
        () if !found.is_file() => Err(Unusable("it is not a file".to_owned())),
        () if found.uid() != geteuid().as_raw() => Err(Unusable("it belongs to another user".to_owned())),
        () => {
            if found.mode() & 0o077 != 0 {
                file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
            }
            Ok(file)
        }
    }
}

/// One spelling of the path in this process. Nothing is looked up on Linux, where the path may be on something that
/// blocks and a file may be opened more than once. With POSIX locks it must be opened once, whatever it is called; the
/// directory itself stays as it is: it must not be a link.
pub fn spelled(path: &Path) -> PathBuf {
    #[cfg(not(target_os = "linux"))]
    {
        let directory = path.parent().unwrap_or(path);
        let base = directory.parent().filter(|base| !base.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if let (Ok(base), Some(directory), Some(name)) = (base.canonicalize(), directory.file_name(), path.file_name())
        {
            return base.join(directory).join(name);
        }
    }
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Which file stands at `path` now.
pub fn inode(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}
