//! The file as processes find it: in order, half written, cut short, damaged.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::type_complexity)]

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use super::slot::next_home;
use super::value_version::newest;
use super::*;
use crate::state::backend::Owner;
use crate::state::scratch::Scratch;

const KEY: Key = [7; 16];

impl Scratch {
    fn path(&self) -> PathBuf {
        self.0.join("store")
    }

    pub(super) fn open(&self) -> StoreFile {
        StoreFile::open(&self.path()).unwrap().0
    }
}

pub(super) fn value(read: SlotValue) -> Option<Vec<u8>> {
    if let SlotValue::New { value, .. } = read { Some(value) } else { None }
}

pub(super) fn assign(file: &StoreFile, key: &Key) -> usize {
    let AssignedSlot::At(index) = file.assign(key, HEADER_TIMEOUT).unwrap() else { panic!("no slot") };
    index
}

fn write(file: &StoreFile, index: usize, value: &[u8]) -> u64 {
    file.lock(index, HEADER_TIMEOUT).unwrap().unwrap().write(&KEY, value).unwrap()
}

#[test]
fn read_returns_each_version_once() {
    let scratch = Scratch::new();
    let file = scratch.open();
    let index = assign(&file, &KEY);
    assert_eq!(file.find(&KEY).unwrap(), Some(index));
    assert_eq!(file.find(&[8; 16]).unwrap(), None, "reading assigns nothing");
    assert_ne!(assign(&file, &[8; 16]), index);
    assert_eq!(file.read(index, &KEY, 0).unwrap(), SlotValue::Empty);
    for round in 0..5_u8 {
        let written = vec![round; 1_000 * usize::from(round)];
        let sequence = write(&file, index, &written);
        assert_eq!(file.read(index, &KEY, sequence).unwrap(), SlotValue::Unchanged);
        assert_eq!(value(file.read(index, &KEY, 0).unwrap()), Some(written));
    }
    assert_eq!(file.read(index, &[8; 16], 0).unwrap(), SlotValue::Reassigned);
}

#[test]
fn only_the_owner_can_read_it() {
    let scratch = Scratch::new();
    let _file = scratch.open();
    let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(scratch.0.clone()), mode(scratch.path())), (0o700, 0o600));
    std::fs::set_permissions(scratch.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let _again = scratch.open();
    assert_eq!(mode(scratch.path()), 0o600);
}

#[test]
fn paths_that_other_users_could_change_are_refused() {
    let reason = |scratch: &Scratch| StoreFile::open(&scratch.path()).map(drop).unwrap_err().0;
    let scratch = Scratch::new();
    std::fs::create_dir(&scratch.0).unwrap();
    std::fs::set_permissions(&scratch.0, std::fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(reason(&scratch), "its directory can be written to by others");

    let scratch = Scratch::new();
    symlink("/tmp", &scratch.0).unwrap();
    assert_eq!(reason(&scratch), "its directory is a symbolic link");
    std::fs::remove_file(&scratch.0).unwrap();

    let scratch = Scratch::new();
    std::fs::create_dir(&scratch.0).unwrap();
    symlink("/etc/passwd", scratch.path()).unwrap();
    assert_eq!(reason(&scratch), "it is a symbolic link");

    let scratch = Scratch::new();
    std::fs::create_dir_all(scratch.path()).unwrap();
    assert!(!reason(&scratch).is_empty());

    let scratch = Scratch::new();
    std::fs::write(&scratch.0, "").unwrap();
    assert_eq!(reason(&scratch), "its directory is not a directory");
    std::fs::remove_file(&scratch.0).unwrap();
}

#[test]
fn file_of_another_kind_is_replaced() {
    let table: [(&str, &dyn Fn(&mut Vec<u8>), Option<&str>); 7] = [
        ("untouched", &|_| {}, None),
        ("emptied", &|bytes| bytes.clear(), Some("it was damaged")),
        ("cut within the header", &|bytes| bytes.truncate(20), Some("it was damaged")),
        ("not ours", &|bytes| bytes[0] ^= 1, Some("it was damaged")),
        ("text", &|bytes| *bytes = b"x".repeat(100_000), Some("it was damaged")),
        ("version", &|bytes| bytes[8] ^= 1, Some("it was of another version")),
        ("boot", &|bytes| bytes[20] ^= 1, Some("it was left from before the machine was started")),
    ];
    for (name, damage, expected) in table {
        let scratch = Scratch::new();
        let index = {
            let file = scratch.open();
            let index = assign(&file, &KEY);
            write(&file, index, b"value");
            index
        };
        let mut bytes = std::fs::read(scratch.path()).unwrap();
        damage(&mut bytes);
        std::fs::write(scratch.path(), bytes).unwrap();
        let (file, replaced) = StoreFile::open(&scratch.path()).unwrap();
        assert_eq!(replaced, expected, "{name}");
        let kept = value(file.read(index, &KEY, 0).unwrap()).is_some();
        assert_eq!(kept, name == "untouched", "{name}");
        let index = assign(&file, &KEY);
        write(&file, index, b"new");
        assert_eq!(value(file.read(index, &KEY, 0).unwrap()).unwrap(), b"new", "{name}");
    }
}

#[test]
fn killed_writer_leaves_the_value_before() {
    let scratch = Scratch::new();
    let file = scratch.open();
    let index = assign(&file, &KEY);
    for before in [&b"first"[..], b"second"] {
        write(&file, index, before);
        // What a killed writer gets done: some of the value, in the place that is not in use.
        let mut slot = [0; SLOT];
        file.read_some(&mut slot, slot_at(index)).unwrap();
        file.file.write_all_at(b"rubbish", next_home(index, newest(&slot).0)).unwrap();
        assert_eq!(value(file.read(index, &KEY, 0).unwrap()).unwrap(), before);
    }
}

#[test]
fn damaged_value_is_found_wherever_it_is_damaged() {
    let scratch = Scratch::new();
    let file = scratch.open();
    let index = assign(&file, &KEY);
    write(&file, index, b"some value");
    let mut slot = [0; SLOT];
    file.read_some(&mut slot, slot_at(index)).unwrap();
    let (newest, second) = newest(&slot);
    let version = if second { 36 } else { 16 };
    let positions =
        (version..version + 20).map(|at| slot_at(index) + at).chain((0..10).map(|at| u64::from(newest.at) + at));
    for position in positions {
        let mut byte = [0];
        file.file.read_exact_at(&mut byte, position).unwrap();
        file.file.write_all_at(&[byte[0] ^ 0x40], position).unwrap();
        let read = file.read(index, &KEY, 0).unwrap();
        assert!(matches!(read, SlotValue::Damaged | SlotValue::Empty), "byte {position}: {read:?}");
        file.file.write_all_at(&byte, position).unwrap();
        assert!(value(file.read(index, &KEY, 0).unwrap()).is_some());
    }
    // Cut short under a reader: an answer, no signal.
    file.file.set_len(VALUES_AT).unwrap();
    assert_eq!(file.read(index, &KEY, 0).unwrap(), SlotValue::Damaged);
    file.file.set_len(0).unwrap();
    assert_eq!(file.read(index, &KEY, 0).unwrap(), SlotValue::Reassigned);
    assert_eq!(file.find(&KEY).unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert_eq!(file.put_in_order().unwrap(), Some("it was damaged"));
    assign(&file, &KEY);
}

#[test]
fn full_table_reassigns_what_was_idle_for_longest() {
    let scratch = Scratch::new();
    let file = scratch.open();
    let key = |index: usize| {
        let mut key = [1; 16];
        key[..8].copy_from_slice(&(index as u64).to_le_bytes());
        key
    };
    let assign = |key: &Key, now: u32| file.assign_at(key, HEADER_TIMEOUT, now).unwrap();
    let idle = IDLE;
    // Just after boot, within the first hour and later.
    for now in [1_000, idle / 2, 5 * idle] {
        for index in 0..SLOTS {
            assert_eq!(assign(&key(index), now), AssignedSlot::At(index));
        }
        assert_eq!(assign(&KEY, now), AssignedSlot::Full);
        assert_eq!(assign(&KEY, now + idle - 1), AssignedSlot::Full);
        let used = |index: usize, at: u32| {
            file.file.write_all_at(&at.to_le_bytes(), slot_at(index) + USED_AT as u64).unwrap();
        };
        used(500, now - 500);
        assert_eq!(assign(&KEY, now + idle - 1), AssignedSlot::At(500));
        assert_eq!(file.read(500, &key(500), 0).unwrap(), SlotValue::Reassigned);
        used(700, now + idle);
        assert_eq!(assign(&[8; 16], now + idle - 1), AssignedSlot::At(700), "a moment in the future is damage");
        file.file.set_len(0).unwrap();
        assert_eq!(file.put_in_order().unwrap(), Some("it was damaged"));
    }
}

#[test]
fn fifo_at_the_path_is_refused_without_waiting() {
    let scratch = Scratch::new();
    std::fs::create_dir(&scratch.0).unwrap();
    std::fs::set_permissions(&scratch.0, std::fs::Permissions::from_mode(0o700)).unwrap();
    nix::unistd::mkfifo(&scratch.path(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(StoreFile::open(&scratch.path()).map(drop).unwrap_err().0, "it is not a file");
}

#[test]
fn member_is_alive_until_its_file_is_closed() {
    let scratch = Scratch::new();
    let (first, second) = (scratch.open(), scratch.open());
    let owner = |file: &StoreFile, lease: u64| Owner { member: file.member, process: file.process, lease };
    assert_ne!(first.process, second.process);
    #[cfg(target_os = "linux")]
    assert_ne!(first.member, second.member);
    // Each open has its own locks where these belong to the open file, not to the process.
    let is_shared = cfg!(target_os = "linux");
    let of_second = owner(&second, 5);
    assert_eq!(first.is_alive(&of_second), is_shared);
    assert!(!first.is_alive(&Owner { process: 7, ..of_second }), "another process, be its process id the same");
    second.void_leases(4).unwrap();
    assert_eq!(first.is_alive(&of_second), is_shared);
    second.void_leases(5).unwrap();
    assert!(!first.is_alive(&of_second), "it cannot store its outcome");
    assert_eq!(first.is_alive(&owner(&second, 6)), is_shared);
    drop(second);
    assert!(!first.is_alive(&Owner { lease: 6, ..of_second }));
}

/// What loses POSIX locks: anything in the process that opens and closes the file.
#[cfg(target_os = "linux")]
#[test]
fn closing_another_descriptor_of_the_file_releases_no_lock() {
    let scratch = Scratch::new();
    let (file, other) = (scratch.open(), scratch.open());
    let index = assign(&file, &KEY);
    let locked = file.lock(index, Duration::ZERO).unwrap().unwrap();
    drop(File::open(scratch.path()).unwrap());
    assert!(other.lock(index, Duration::ZERO).unwrap().is_none());
    assert!(other.is_alive(&Owner { member: file.member, process: file.process, lease: 1 }));
    drop(locked);
    assert!(other.lock(index, Duration::ZERO).unwrap().is_some());
}

#[test]
fn threads_that_assign_at_once_get_slots_of_their_own() {
    let scratch = Scratch::new();
    let file = scratch.open();
    let threads = 8_u8;
    let start = std::sync::Barrier::new(threads.into());
    let mut assigned: Vec<_> = std::thread::scope(|scope| {
        let spawned: Vec<_> = (0..threads)
            .map(|thread| {
                let (file, start) = (&file, &start);
                scope.spawn(move || {
                    start.wait();
                    (0..20)
                        .map(|round| assign(file, &[thread + 1, round, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]))
                        .collect()
                })
            })
            .collect();
        spawned.into_iter().flat_map(|thread| -> Vec<usize> { thread.join().unwrap() }).collect()
    });
    assigned.sort_unstable();
    assigned.dedup();
    assert_eq!(assigned.len(), usize::from(threads) * 20);
}
