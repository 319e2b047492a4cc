//! Which process this is, and in which container it runs.

use crate::runtime::PerProcess;

/// A random number for each process. Process numbers are not unique: every container has a process 1.
pub fn process_id() -> u64 {
    static ID: PerProcess<u64> = PerProcess::new();
    *ID.get_or_init(|| uuid::Uuid::new_v4().as_u64_pair().0)
}

/// The same for processes that see each other's process numbers: the inode of their PID namespace. 0 where there are no
/// namespaces.
pub fn container() -> u64 {
    static CONTAINER: PerProcess<u64> = PerProcess::new();
    *CONTAINER.get_or_init(namespace)
}

#[cfg(target_os = "linux")]
fn namespace() -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self/ns/pid").map(|found| found.ino()).unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
fn namespace() -> u64 {
    0
}
