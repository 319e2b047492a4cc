//! Process scope: a record is known to this process alone, and kept in its memory only.

use std::time::Duration;

use super::{Backend, Busy, Owner, TableSnapshot};

pub struct ProcessBackend;

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
impl ProcessBackend {
    /// Nothing: these records are changed one by one.
    pub fn transact_all(
        records: &[&Self],
        _change: &mut dyn FnMut(usize, Option<Vec<u8>>) -> Option<Vec<u8>>,
    ) -> Vec<bool> {
        vec![false; records.len()]
    }
}

impl Backend for ProcessBackend {
    fn new_owner(&self) -> Owner {
        Owner { member: 0, process: 0, lease: 0 }
    }

    fn is_alive(&self, _: &Owner) -> bool {
        true
    }

    fn snapshot(&self) -> Option<TableSnapshot> {
        None
    }

    fn read_if_changed(&self, _: Option<&TableSnapshot>) -> Option<Vec<u8>> {
        None
    }

    fn transact(&self, _: Duration, change: &mut dyn FnMut(Option<Vec<u8>>) -> Option<Vec<u8>>) -> Result<(), Busy> {
        change(None);
        Ok(())
    }

    fn report_stuck(&self) {}
}
