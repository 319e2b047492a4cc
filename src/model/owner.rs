//! Who holds a lease, in all processes that share a store.

use serde::{Deserialize, Serialize};

/// Who holds a lease: the process, by its place among the backend's members and a random number that no other process
/// has (a process id is not unique where containers share memory), and the number of the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub member: u32,
    pub process: u64,
    pub lease: u64,
}
