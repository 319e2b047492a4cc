#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::*;
use crate::state::scratch::Scratch;

#[test]
fn snapshot_saves_reads_of_unchanged_values_only() {
    let scratch = Scratch::new();
    let store = HostStore::at(&scratch.0.join("store"));
    assert!(store.snapshot().is_none(), "not open yet");
    let entry = store.entry([7; 16]);
    let (mut writer, mut reader) = (EntryVersion::default(), EntryVersion::default());
    let write = |known: &mut EntryVersion, value: &[u8]| {
        store.update(&entry, known, Duration::from_secs(1), &mut |_| Some(value.to_vec())).unwrap();
    };

    write(&mut writer, b"first");
    let before = store.snapshot();
    assert_eq!(store.read_if_changed(&entry, &mut reader, before.as_ref()).as_deref(), Some(b"first".as_slice()));
    assert_eq!(store.read_if_changed(&entry, &mut reader, before.as_ref()), None);

    write(&mut writer, b"second");
    assert_eq!(store.read_if_changed(&entry, &mut reader, before.as_ref()), None, "as it was then");
    let before_writing = writer;
    assert_eq!(store.read_if_changed(&entry, &mut writer, before.as_ref()), None, "never back to what it was");
    assert_eq!(writer, before_writing);
    let after = store.snapshot();
    assert_eq!(store.read_if_changed(&entry, &mut reader, after.as_ref()).as_deref(), Some(b"second".as_slice()));
    assert_eq!(reader, writer);
}

#[cfg(target_os = "linux")]
#[test]
fn store_that_nobody_uses_is_closed_when_another_is_used() {
    let scratch = Scratch::new();
    let open_files = || {
        let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
        let files = descriptors.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        files.filter(|file| file.starts_with(&scratch.0)).count()
    };
    let kept = HostStore::at(&scratch.0.join("kept"));
    let write = |store: &HostStore| {
        let (entry, second) = (store.entry([7; 16]), Duration::from_secs(1));
        store.update(&entry, &mut EntryVersion::default(), second, &mut |_| Some(b"value".to_vec())).unwrap();
    };
    write(&kept);
    for number in 0..20 {
        write(&HostStore::at(&scratch.0.join(number.to_string())));
    }
    assert!(open_files() <= 3, "{}", open_files());
    write(&kept);
    let again = HostStore::at(&scratch.0.join("3"));
    let value = again.read_if_changed(&again.entry([7; 16]), &mut EntryVersion::default(), None);
    assert_eq!(value.as_deref(), Some(b"value".as_slice()));
}

#[test]
fn read_of_an_unknown_key_takes_no_slot() {
    let scratch = Scratch::new();
    let store = HostStore::at(&scratch.0.join("store"));
    let (entry, mut known) = (store.entry([7; 16]), EntryVersion::default());
    for _ in 0..3 {
        assert_eq!(store.read_if_changed(&entry, &mut known, None), None);
    }
    assert_eq!(store.slots.load(Ordering::Relaxed), 0);
}

#[test]
fn full_table_stops_sharing_of_new_keys_only() {
    let scratch = Scratch::new();
    let store = HostStore::at(&scratch.0.join("store"));
    let timeout = Duration::from_secs(1);
    let key = |index: u32| {
        let mut key = [1; 16];
        key[..4].copy_from_slice(&index.to_le_bytes());
        key
    };
    let update = |index: u32| {
        let mut calls = 0;
        let result = store.update(&store.entry(key(index)), &mut EntryVersion::default(), timeout, &mut |_| {
            calls += 1;
            Some(b"value".to_vec())
        });
        assert_eq!(calls, 1);
        result
    };
    for index in 0..1_024 {
        assert_eq!(update(index), Ok(()));
    }
    assert_eq!(update(2_000), Err(UpdateError::Unavailable));
    assert_eq!(update(5), Ok(()), "the others are shared all the same");
    let entry = store.entry(key(7));
    let value = store.read_if_changed(&entry, &mut EntryVersion::default(), None);
    assert_eq!(value.as_deref(), Some(b"value".as_slice()));
}

#[test]
fn deleted_file_is_replaced_within_seconds() {
    let scratch = Scratch::new();
    let path = scratch.0.join("store");
    let store = HostStore::at(&path);
    let entry = store.entry([7; 16]);
    let update = || {
        store
            .update(&entry, &mut EntryVersion::default(), Duration::from_secs(1), &mut |_| Some(b"value".to_vec()))
            .ok()
    };
    update().unwrap();
    std::fs::remove_file(&path).unwrap();
    let started = std::time::Instant::now();
    while !path.exists() {
        assert!(started.elapsed() < Duration::from_secs(20));
        update().unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn stale_files_are_removed_and_used_ones_are_kept() {
    let scratch = Scratch::new();
    let path = |name: &str| scratch.0.join(name);
    let old = std::time::SystemTime::now() - Duration::from_secs(25 * 3_600);
    let age = |name: &str| File::options().write(true).open(path(name)).unwrap().set_modified(old).unwrap();
    let make = |name: &str| StoreFile::open(&path(name)).unwrap().0;
    let names = ["gone.3.lifesigns", "gone-other-format.2.lifesigns", "recent.3.lifesigns", "before-boot.3.lifesigns"];
    for name in names {
        make(name);
    }
    let in_use = make("used.3.lifesigns");
    for at in [8, 12] {
        // The format, and the boot.
        let name = if at == 8 { "gone-other-format.2.lifesigns" } else { "before-boot.3.lifesigns" };
        File::options().write(true).open(path(name)).unwrap().write_all_at(&[77], at).unwrap();
    }
    let unfinished = format!(".{}", uuid::Uuid::new_v4());
    for name in [unfinished.as_str(), "notes.txt", ".hidden.lifesigns"] {
        std::fs::write(path(name), "x").unwrap();
        age(name);
    }
    for name in ["gone.3.lifesigns", "gone-other-format.2.lifesigns", "used.3.lifesigns"] {
        age(name);
    }
    // Locks of its own process prove nothing where they are POSIX locks.
    let kept = if cfg!(target_os = "linux") { Vec::new() } else { vec![path("used.3.lifesigns")] };
    let used: Vec<_> = kept.iter().map(PathBuf::as_path).collect();
    assert_eq!(stale_files::remove(&scratch.0, &used, std::time::SystemTime::now()), 4);
    let mut left: Vec<_> =
        std::fs::read_dir(&scratch.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, [".hidden.lifesigns", "notes.txt", "recent.3.lifesigns", "used.3.lifesigns"]);
    drop(in_use);
    assert_eq!(stale_files::remove(&scratch.0, &[], std::time::SystemTime::now()), 1);
}

#[test]
fn file_lost_while_it_is_verified_is_opened_again() {
    let scratch = Scratch::new();
    let store = HostStore::at(&scratch.0.join("store"));
    for _ in 0..100 {
        let file = store.file().unwrap();
        file.mark_lost();
        assert!(store.file().is_some());
        store.availability.verify_at_once();
        file.mark_lost();
        assert!(store.file().is_some(), "opened after the verification");
    }
}

#[test]
fn member_is_alive_after_another_process_replaced_the_content() {
    let scratch = Scratch::new();
    let path = scratch.0.join("store");
    let store = HostStore::at(&path);
    let update = || {
        let entry = store.entry([7; 16]);
        store.update(&entry, &mut EntryVersion::default(), Duration::from_secs(1), &mut |_| Some(b"value".to_vec()))
    };
    update().unwrap();
    let own = store.file().unwrap();
    std::fs::write(&path, b"damage").unwrap();
    let other = StoreFile::open(&path).unwrap().0;
    let owner = crate::state::backend::Owner { member: own.member, process: own.process, lease: 1 };
    assert!(!other.is_alive(&owner));
    update().unwrap();
    assert_eq!(other.is_alive(&owner), cfg!(target_os = "linux"));
}
