//! Where the records of checks are kept: the only place that knows whether one process or a host shares them.
//!
//! A backend loads, locks and stores bytes; what they mean is the business of [`super::record`].

pub mod fleet;
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub mod host;
pub mod process;

use std::time::Duration;

pub use crate::model::Owner;
#[cfg(any(target_os = "linux", target_os = "macos"))]
pub use host::{HostBackend, TableSnapshot};

/// The same of records that are changed together.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub use process::ProcessBackend as HostBackend;
/// No backend is shared there: there is no table to take a snapshot of.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
pub use std::convert::Infallible as TableSnapshot;

/// The largest record, in bytes.
pub const CAPACITY: usize = 128 << 10;
/// A record of so many bytes can be stored on a full disk, too, once it is there.
pub const RESERVED: usize = 4 << 10;

/// Another process holds the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// Where one record is kept, beside this process's memory.
pub trait Backend: Send + Sync {
    /// The owner of a new lease.
    fn new_owner(&self) -> Owner;

    /// Whether the process of that lease lives, and can store the outcome. False as soon as its owner failed to store
    /// one: processes that wait for it must run the check themselves then, and not wait until the lease runs out.
    fn is_alive(&self, owner: &Owner) -> bool;

    /// The largest record that can be stored now: [`CAPACITY`], or [`RESERVED`] after a disk was found full.
    fn capacity(&self) -> usize {
        CAPACITY
    }

    /// A snapshot of the whole table, for a caller that reads several records at once.
    fn snapshot(&self) -> Option<TableSnapshot>;

    /// The record's bytes if they changed since they were last returned here or given to `change`. Waits for no other
    /// process; cheap where nothing has changed, and more so with a snapshot.
    fn read_if_changed(&self, snapshot: Option<&TableSnapshot>) -> Option<Vec<u8>>;

    /// Calls `change` with the record's bytes if they changed since they were last seen, while no other process can
    /// change them, and stores what it returns. `Busy` if another process holds them for longer than `lock_timeout`:
    /// `change` was not called then. Where the backend cannot be used, `change` is called with `None`. Where its result
    /// cannot be stored, this process continues with it alone; the leases that it holds are void for all others (see
    /// [`Backend::is_alive`]). Blocks for `lock_timeout`, and once for the opening of the store.
    fn transact(
        &self,
        lock_timeout: Duration,
        change: &mut dyn FnMut(Option<Vec<u8>>) -> Option<Vec<u8>>,
    ) -> Result<(), Busy>;

    /// The same as a record of a host's store, which can be changed together with others: see
    /// [`HostBackend::transact_all`].
    fn as_host(&self) -> Option<&HostBackend> {
        None
    }

    /// Reports that the record of that check cannot be encoded within [`Backend::capacity`]: it stays this process's own,
    /// whose leases are void for all others.
    fn report_too_large(&self, _check: &str) {}

    /// Reports that a record could not be locked for long, and that this process continues without it.
    fn report_stuck(&self);
}
