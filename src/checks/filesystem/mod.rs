//! The checks of file systems: space and inodes left, and directories that must be writable.

mod directories;
mod disk;

use crate::model::Status;

pub use directories::DirectoriesCheck;
pub use disk::DiskCheck;

/// Orders statuses by how bad they are.
fn severity(status: Status) -> u8 {
    match status {
        Status::Healthy | Status::Skipped => 0,
        Status::Degraded => 1,
        Status::Error => 2,
    }
}
