//! What each member says of itself: a row that it alone writes, with one call and no lock.
//!
//! Before the rows there is one byte for each member, set by all that have joined: so far rows are read. A row is found torn
//! by its checksum, and is read again. Rows of members that have ended stay until their number is used again: they say
//! themselves when they were written.

use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;

use super::value_version::part;
use super::{SLOT, SLOTS, StoreFile, TABLE_AT, VALUES_AT};
use crate::state::backend::host::range_lock::MEMBERS;

/// Length, checksum, and what is said.
const ROW: usize = 512;
const HEAD: usize = 8;
/// What a member can say of itself, in bytes.
pub const STATUS_CAPACITY: usize = ROW - HEAD;
const ROWS_AT: u64 = VALUES_AT - (MEMBERS as usize * ROW) as u64;
const JOINED_AT: u64 = ROWS_AT - MEMBERS as u64;
const _: () = assert!(TABLE_AT + (SLOTS * SLOT) as u64 <= JOINED_AT);
/// A reader overtakes a writer seldom, and no two of them in a row.
const ATTEMPTS: usize = 3;

/// The rows of all members at one moment.
#[derive(Default)]
pub struct MemberStatuses(Vec<u8>);

impl MemberStatuses {
    /// What members say of themselves, the same bytes as were written.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.rows().filter_map(said)
    }

    fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.0.get(MEMBERS as usize..).unwrap_or_default().chunks_exact(ROW)
    }

    fn joined(&self) -> &[u8] {
        self.0.get(..MEMBERS as usize).unwrap_or_default()
    }

    fn is_torn(&self) -> bool {
        self.rows().any(|row| length(row) > 0 && said(row).is_none())
    }
}

fn row_at(member: u32) -> u64 {
    ROWS_AT + u64::from(member) * ROW as u64
}

fn length(row: &[u8]) -> usize {
    u32::from_le_bytes(part(row, 0)) as usize
}

/// What a row says; `None` if it is empty or torn.
fn said(row: &[u8]) -> Option<&[u8]> {
    let said = row.get(HEAD..HEAD.checked_add(length(row))?).filter(|said| !said.is_empty())?;
    (u32::from_le_bytes(part(row, 4)) == crc32fast::hash(said)).then_some(said)
}

impl StoreFile {
    /// Marks this member's row as one to be read.
    pub(super) fn mark_joined(&self) -> io::Result<()> {
        self.members.fetch_max(self.member as usize + 1, Ordering::Relaxed);
        self.file.write_all_at(&[1], JOINED_AT + u64::from(self.member))
    }

    /// Removes what the last member of this number has said, and allocates the row: a disk that is full later does not
    /// stop it from being written.
    pub(super) fn clear_status(&self) -> io::Result<()> {
        self.file.write_all_at(&[0; ROW], row_at(self.member))
    }

    /// Writes what this member says of itself, of [`STATUS_CAPACITY`] bytes at most.
    pub fn write_status(&self, status: &[u8]) -> io::Result<()> {
        let length = u32::try_from(status.len()).unwrap_or(u32::MAX).to_le_bytes();
        let row = [&length[..], &crc32fast::hash(status).to_le_bytes(), status].concat();
        if row.len() > ROW {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.file.write_all_at(&row, row_at(self.member))
    }

    /// What all members say of themselves. Waits for none of them.
    pub fn read_statuses(&self) -> io::Result<MemberStatuses> {
        let mut attempts = 1..ATTEMPTS;
        loop {
            let statuses = self.read_rows(self.members.load(Ordering::Relaxed))?;
            // Another process may have replaced the content of the file.
            if statuses.joined().get(self.member as usize) != Some(&1) {
                self.register()?;
            }
            let members = statuses.joined().iter().rposition(|joined| *joined != 0).map_or(0, |last| last + 1);
            let has_all = members <= self.members.fetch_max(members, Ordering::Relaxed);
            if (has_all && !statuses.is_torn()) || attempts.next().is_none() {
                return Ok(statuses);
            }
        }
    }

    fn read_rows(&self, count: usize) -> io::Result<MemberStatuses> {
        let mut bytes = vec![0; MEMBERS as usize + count.min(MEMBERS as usize) * ROW];
        let length = self.read_some(&mut bytes, JOINED_AT)?;
        bytes.truncate(length);
        Ok(MemberStatuses(bytes))
    }
}

/// With POSIX locks a process is one member, however often it opens the file.
#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::state::scratch::Scratch;

    fn read(file: &StoreFile) -> Vec<Vec<u8>> {
        let mut said: Vec<_> = file.read_statuses().unwrap().iter().map(<[u8]>::to_vec).collect();
        said.sort_unstable();
        said
    }

    #[test]
    fn members_read_what_the_others_say_and_what_those_said_that_have_ended() {
        let scratch = Scratch::new();
        let files: Vec<_> = (0..3).map(|_| scratch.open()).collect();
        let [first, second, third] = &files[..] else { unreachable!() };
        assert_eq!(read(first), [] as [Vec<u8>; 0]);
        first.write_status(b"a").unwrap();
        third.write_status(&[b'c'; STATUS_CAPACITY]).unwrap();
        assert_eq!(read(second), [b"a".to_vec(), vec![b'c'; STATUS_CAPACITY]]);
        third.write_status(b"d").unwrap();
        assert_eq!(read(first), [b"a", b"d"]);
        assert!(first.write_status(&[0; STATUS_CAPACITY + 1]).is_err());
        drop(files);
        let last = scratch.open();
        last.write_status(b"last").unwrap();
        let said = read(&last);
        assert!(
            said.contains(&b"d".to_vec()) && !said.contains(&b"a".to_vec()),
            "the number of the first is used again"
        );
    }

    #[test]
    fn torn_row_is_left_out_and_leaves_the_others() {
        let scratch = Scratch::new();
        let (first, second) = (scratch.open(), scratch.open());
        first.write_status(b"first").unwrap();
        second.write_status(b"second").unwrap();
        let row = row_at(second.member);
        for position in row..row + (HEAD + b"second".len()) as u64 {
            let mut byte = [0];
            first.file.read_exact_at(&mut byte, position).unwrap();
            first.file.write_all_at(&[byte[0] ^ 0x80], position).unwrap();
            assert_eq!(read(&first), [b"first"], "byte {}", position - row);
            first.file.write_all_at(&byte, position).unwrap();
        }
        assert_eq!(read(&first).len(), 2);
    }

    #[test]
    fn member_of_a_file_whose_content_was_replaced_is_read_again() {
        let scratch = Scratch::new();
        let (first, second) = (scratch.open(), scratch.open());
        second.file.set_len(0).unwrap();
        assert_eq!(second.put_in_order().unwrap(), Some("it was damaged"));
        first.write_status(b"first").unwrap();
        read(&first);
        let third = scratch.open();
        assert_eq!(read(&third), [b"first"]);
    }
}
