//! What the operating system says of the file system that a path is on.

use std::path::Path;

/// What the file system of a path says.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(not(unix), allow(dead_code, reason = "only read elsewhere"))]
pub enum DiskReading {
    Usage(DiskUsage),
    Missing,
    Unreadable(String),
    /// This operating system has no `statvfs`.
    #[cfg_attr(unix, allow(dead_code, reason = "only read elsewhere"))]
    Unsupported,
}

/// In bytes, or in inodes. `free` is what an unprivileged process can still take: less than `total - used` where the
/// file system keeps a reserve for root (74 of 235 GB on one disk).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Amount {
    pub total: u64,
    pub used: u64,
    pub free: u64,
}

impl Amount {
    /// As `df` computes it: the reserve counts neither as used nor as free.
    pub fn percent_used(self) -> f64 {
        let usable = self.used.saturating_add(self.free);
        if usable == 0 { 0.0 } else { self.used as f64 / usable as f64 * 100.0 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DiskUsage {
    /// The device, by which paths on one file system are known.
    pub device: u64,
    pub is_read_only: bool,
    pub space: Amount,
    /// None where the file system makes inodes as it needs them (btrfs).
    pub inodes: Option<Amount>,
}

#[cfg(unix)]
pub fn read(path: &Path) -> DiskReading {
    use std::os::unix::fs::MetadataExt;

    use rustix::fs::{StatVfsMountFlags, statvfs};
    use rustix::io::Errno;
    // Of one type on all systems, unlike that of `stat`.
    let device = || {
        let metadata = std::fs::metadata(path).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(metadata.dev())
    };
    match statvfs(path).and_then(|usage| Ok((usage, device()?))) {
        Ok((stat, device)) => {
            let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
            let space = Amount {
                total: bytes(stat.f_blocks),
                used: bytes(stat.f_blocks.saturating_sub(stat.f_bfree)),
                free: bytes(stat.f_bavail),
            };
            let inodes =
                Amount { total: stat.f_files, used: stat.f_files.saturating_sub(stat.f_ffree), free: stat.f_favail };
            DiskReading::Usage(DiskUsage {
                device,
                is_read_only: stat.f_flag.contains(StatVfsMountFlags::RDONLY),
                space,
                inodes: (inodes.total > 0).then_some(inodes),
            })
        }
        Err(Errno::NOENT | Errno::NOTDIR) => DiskReading::Missing,
        Err(errno) => DiskReading::Unreadable(errno.kind().to_string()),
    }
}

#[cfg(not(unix))]
pub fn read(_: &Path) -> DiskReading {
    DiskReading::Unsupported
}
