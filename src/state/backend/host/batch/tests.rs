#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::state::scratch::Scratch;

/// A store with so many values, all of which are `first`.
fn store(directory: &std::path::Path, count: u8) -> (Arc<HostStore>, Vec<Arc<StoreEntry>>) {
    let store = HostStore::at(&directory.join("store"));
    let entries: Vec<_> = (1..=count).map(|number| store.entry([number; 16])).collect();
    for entry in &entries {
        store.update(entry, &mut EntryVersion::default(), SECOND, &mut |_| Some(b"first".to_vec())).unwrap();
    }
    (store, entries)
}

const SECOND: Duration = Duration::from_secs(1);

fn read(store: &HostStore, entry: &StoreEntry) -> Option<Vec<u8>> {
    store.read_if_changed(entry, &mut EntryVersion::default(), None)
}

/// Changes all of them to `second`, and returns what came of each.
fn update(store: &HostStore, entries: &[&StoreEntry]) -> Vec<Option<Result<(), UpdateError>>> {
    let mut known = vec![EntryVersion::default(); entries.len()];
    let mut updates: Vec<_> =
        entries.iter().zip(&mut known).map(|(entry, known)| BatchedUpdate { entry, known, result: None }).collect();
    store.update_all(&mut updates, &mut |_, value| {
        assert_eq!(value.as_deref(), Some(b"first".as_slice()));
        Some(b"second".to_vec())
    });
    updates.into_iter().map(|update| update.result).collect()
}

#[test]
fn values_that_a_thread_changes_are_left_and_the_others_are_changed() {
    let scratch = Scratch::new();
    let (store, entries) = store(&scratch.0, 5);
    let all: Vec<_> = entries.iter().map(|entry| &**entry).collect();
    let held = entries[2].location.lock().unwrap();
    assert_eq!(update(&store, &all), [Some(Ok(())), Some(Ok(())), None, Some(Ok(())), Some(Ok(()))]);
    drop(held);
    let found = entries.iter().map(|entry| read(&store, entry).unwrap() == b"second");
    assert_eq!(found.collect::<Vec<_>>(), [true, true, false, true, true]);
}

#[test]
fn value_that_is_there_twice_is_changed_once() {
    let scratch = Scratch::new();
    let (store, entries) = store(&scratch.0, 2);
    assert_eq!(update(&store, &[&entries[0], &entries[1], &entries[0]]), [Some(Ok(())), Some(Ok(())), None]);
}

#[test]
fn values_far_from_each_other_are_locked_apart() {
    let scratch = Scratch::new();
    let (store, entries) = store(&scratch.0, 200);
    let chosen: Vec<_> = [0, 1, 70, 190, 199].map(|at: usize| &*entries[at]).to_vec();
    assert_eq!(update(&store, &chosen), [Some(Ok(())), Some(Ok(())), None, Some(Ok(())), Some(Ok(()))], "one is alone");
}

#[test]
fn value_of_which_another_process_holds_the_slot_stops_the_batch_and_nothing_else() {
    let scratch = Scratch::new();
    let (store, entries) = store(&scratch.0, 5);
    let all: Vec<_> = entries.iter().map(|entry| &**entry).collect();
    let other = StoreFile::open(&scratch.0.join("store")).unwrap().0;
    let index = other.find(&[3; 16]).unwrap().unwrap();
    let held = other.lock(index, Duration::ZERO).unwrap();
    if cfg!(target_os = "linux") {
        assert_eq!(update(&store, &all), [None; 5]);
    }
    drop(held);
    assert_eq!(update(&store, &all), [Some(Ok(())); 5]);
}

#[test]
fn snapshot_reads_values_that_were_written_together_and_apart() {
    let scratch = Scratch::new();
    let (store, entries) = store(&scratch.0, 30);
    let together: Vec<_> = entries.iter().skip(10).map(|entry| &**entry).collect();
    assert!(update(&store, &together).iter().all(Option::is_some));
    let snapshot = store.snapshot();
    for (at, entry) in entries.iter().enumerate() {
        let mut known = EntryVersion::default();
        let expected = if at < 10 { "first" } else { "second" };
        let found = store.read_if_changed(entry, &mut known, snapshot.as_ref()).unwrap();
        assert_eq!(found, expected.as_bytes(), "{at}");
        assert_eq!(store.read_if_changed(entry, &mut known, None), None);
    }
}
