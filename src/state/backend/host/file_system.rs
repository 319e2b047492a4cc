//! Which file systems a store may be on: those whose locks and contents all processes of the host see alike, at once.

use std::path::Path;

use super::errors::Unusable;

/// Refuses file systems of a network and those that another process serves: they block when their server does, and their
/// locks may be forgotten.
pub fn check(directory: &Path) -> Result<(), Unusable> {
    #[cfg(target_os = "linux")]
    {
        // The directory itself may not exist yet.
        let existing = directory.ancestors().find(|path| path.exists()).unwrap_or(directory);
        let existing = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
        let found = rustix::fs::statfs(existing).map_err(std::io::Error::from)?;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the kernel's numbers have 32 bits")]
        if let Some(name) = refused(found.f_type as u32) {
            return Err(Unusable(format!(
                "it is on {name}, where processes cannot rely on locks: name a local directory as store path"
            )));
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = directory;
    Ok(())
}

/// The name of a file system that cannot hold a store, by its number in `linux/magic.h`.
#[cfg(target_os = "linux")]
fn refused(kind: u32) -> Option<&'static str> {
    Some(match kind {
        0x6969 => "NFS",
        0x517B | 0xFE53_4D42 => "SMB",
        0xFF53_4D42 => "CIFS",
        0x6573_5546 => "FUSE",
        0x0102_1997 => "9P",
        0x00C3_6400 => "Ceph",
        0x5346_414F | 0x6B41_4653 => "AFS",
        0x7375_7245 => "Coda",
        0x0BD0_0BD0 => "Lustre",
        0x4750_4653 => "GPFS",
        0x1983_0326 => "BeeGFS",
        0x0116_1970 => "GFS2",
        0x7461_636F => "OCFS2",
        0x786F_4256 => "VirtualBox's shared folders",
        _ => return None,
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_refused_and_local_ones_are_not() {
        for (kind, name) in [(0x6969, "NFS"), (0xFF53_4D42, "CIFS"), (0xFE53_4D42, "SMB"), (0x6573_5546, "FUSE")] {
            assert_eq!(refused(kind), Some(name));
        }
        // tmpfs, ramfs, ext, XFS, Btrfs, overlayfs, ZFS, F2FS.
        let local = [0x0102_1994, 0x8584_58F6, 0xEF53, 0x5846_5342, 0x9123_683E, 0x794C_7630, 0x2FC1_2FC1, 0xF2F5_2010];
        for kind in local {
            assert_eq!(refused(kind), None, "{kind:x}");
        }
        assert_eq!(check(&std::env::temp_dir().join("missing").join("missing")), Ok(()));
    }
}
