//! Where the store of a host is: a private directory in shared memory, unless the user names another.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

/// Where workers of one user find each other, whatever their environment says: `$XDG_RUNTIME_DIR` and `/run/user` are
/// there for some processes of a user and not for others. The containers of a pod have one `/dev/shm`.
pub fn default_directory() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    base.join(format!("lifesigns-{}", geteuid().as_raw()))
}

/// Why a store cannot be used, in our own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable(pub String);

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        // The kind is one of a fixed list of texts.
        Self(error.kind().to_string())
    }
}

/// Makes the directory if it is not there. Nobody else may own it or be able to put files into it.
fn prepare(directory: &Path) -> Result<(), Unusable> {
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
        () if found.uid() != geteuid().as_raw() => refuse("belongs to somebody else"),
        () if found.mode() & 0o022 != 0 => refuse("can be written to by others"),
        () => Ok(()),
    }
}

/// Makes the file with what it begins with, and zeros up to `length`: nobody ever sees less of it, unless somebody cut it.
fn make(path: &Path, beginning: &[u8], length: u64) -> io::Result<()> {
    let fresh = path.with_file_name(format!(".{}", uuid::Uuid::new_v4()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.set_len(length)?;
    file.write_all(beginning)?;
    // Fails if somebody else was quicker: theirs it is.
    let made = fs::hard_link(&fresh, path);
    fs::remove_file(&fresh)?;
    made.or_else(|error| if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) })
}

/// Opens the file, or makes one that only its owner can read.
pub fn open(path: &Path, beginning: &[u8], length: u64) -> Result<File, Unusable> {
    prepare(path.parent().unwrap_or(path))?;
    if inode(path).is_none() {
        make(path, beginning, length)?;
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
        () if found.uid() != geteuid().as_raw() => Err(Unusable("it belongs to somebody else".to_owned())),
        () => {
            if found.mode() & 0o077 != 0 {
                file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
            }
            Ok(file)
        }
    }
}

/// One spelling of the path for all who mean the same. The directory itself stays as it is: it must not be a link.
pub fn canonical(path: &Path) -> PathBuf {
    let directory = path.parent().unwrap_or(path);
    let base = directory.parent().filter(|base| !base.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (base.canonicalize(), directory.file_name(), path.file_name()) {
        (Ok(base), Some(directory), Some(name)) => base.join(directory).join(name),
        _ => path.to_owned(),
    }
}

/// Which file stands at `path` now.
pub fn inode(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}
