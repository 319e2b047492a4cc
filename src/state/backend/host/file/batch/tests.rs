//! Batches beside each other, beside single writers and readers, and cut off half way.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::super::slot_at;
use super::super::tests::{assign, value};
use super::*;
use crate::state::scratch::Scratch;

fn key(index: usize) -> Key {
    [u8::try_from(index).unwrap() + 1; 16]
}

/// A store with so many assigned slots.
fn open(scratch: &Scratch, slots: usize) -> StoreFile {
    let file = scratch.open();
    for index in 0..slots {
        assert_eq!(assign(&file, &key(index)), index);
    }
    file
}

fn read(file: &StoreFile, index: usize) -> Option<Vec<u8>> {
    value(file.read(index, &key(index), 0).unwrap())
}

fn write(file: &StoreFile, values: &[(usize, Vec<u8>)]) {
    let (first, last) = (values.first().unwrap().0, values.last().unwrap().0);
    let slots = file.try_lock_all(first, last).unwrap().unwrap();
    let keys: Vec<Key> = values.iter().map(|(index, _)| key(*index)).collect();
    let values = values.iter().zip(&keys);
    let values: Vec<_> =
        values.map(|((index, value), key)| BatchedValue { index: *index, key, value: value.clone() }).collect();
    slots.write(&values).unwrap();
}

/// What happens at one step: a batch, single writes, or another process that takes over the number of the member.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug)]
enum Step {
    Batch,
    Singly,
    Reopen,
}

/// By which of two members, and the new values: for each slot the length and the byte.
#[cfg(target_os = "linux")]
fn step() -> impl Strategy<Value = (usize, Step, BTreeMap<usize, (usize, u8)>)> {
    let kind = prop_oneof![4 => Just(Step::Batch), 2 => Just(Step::Singly), 1 => Just(Step::Reopen)];
    let length = prop_oneof![20 => 0_usize..900, 1 => 0_usize..20_000];
    (0_usize..2, kind, btree_map(0..SLOTS, (length, any::<u8>()), 1..SLOTS))
}

const SLOTS: usize = 30;

// Two members in one process, which have locks of their own.
#[cfg(target_os = "linux")]
proptest! {
    #![proptest_config(ProptestConfig { cases: 50, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_stand_however_batches_and_single_writers_take_turns(steps in vec(step(), 1..60)) {
        let scratch = Scratch::new();
        let mut members = Vec::from([open(&scratch, SLOTS), scratch.open()]);
        let mut expected = BTreeMap::new();
        for (member, step, values) in steps {
            let values: Vec<_> =
                values.into_iter().map(|(index, (length, byte))| (index, [byte].repeat(length))).collect();
            match step {
                Step::Batch => write(&members[member], &values),
                Step::Singly => {
                    for (index, value) in &values {
                        let slot = members[member].lock(*index, Duration::ZERO).unwrap().unwrap();
                        slot.write(&key(*index), value).unwrap();
                    }
                }
                Step::Reopen => {
                    let number = members.remove(member).member;
                    members.insert(member, scratch.open());
                    prop_assert_eq!(members[member].member, number);
                    continue;
                }
            }
            expected.extend(values);
            for (index, expected) in &expected {
                let found = read(&members[1 - member], *index);
                prop_assert_eq!(found.as_ref(), Some(expected), "slot {}", index);
            }
        }
    }
}

#[test]
fn batch_cut_off_at_any_write_leaves_each_value_as_it_was_or_as_it_is_to_be() {
    let scratch = Scratch::new();
    let file = open(&scratch, 100);
    let of = |round: u8| (0..100).map(|index| (index, [round; 300].to_vec())).collect::<Vec<_>>();
    write(&file, &of(1));
    write(&file, &of(2));
    let before = file.slots(100).unwrap();
    write(&file, &of(3));
    let after = file.slots(100).unwrap();
    // The values are there; a killed process ends within the table at the end of a page, if at all.
    for cut in [0, 64 * SLOT] {
        file.file.write_all_at(&after[..cut], slot_at(0)).unwrap();
        file.file.write_all_at(&before[cut..], slot_at(cut / SLOT)).unwrap();
        for index in 0..100 {
            let round = if index < cut / SLOT { 3 } else { 2 };
            assert_eq!(read(&file, index), Some([round; 300].to_vec()), "{cut} {index}");
        }
    }
}

#[test]
fn batch_that_finds_no_place_in_its_area_is_written_to_the_homes() {
    let scratch = Scratch::new();
    let file = open(&scratch, 40);
    for round in 0..5 {
        let values: Vec<_> = (0..40).map(|index| (index, [round; RESERVED].to_vec())).collect();
        write(&file, &values);
        assert!((0..40).all(|index| read(&file, index) == Some([round; RESERVED].to_vec())));
    }
}

#[test]
fn slots_of_which_one_is_locked_are_not_locked_together() {
    let scratch = Scratch::new();
    let file = open(&scratch, 10);
    let here = file.lock(5, Duration::ZERO).unwrap();
    assert!(here.is_some() && file.try_lock_all(2, 8).unwrap().is_none(), "by a thread of this process");
    drop(here);
    #[cfg(target_os = "linux")]
    {
        let other = scratch.open();
        let there = other.lock(5, Duration::ZERO).unwrap();
        assert!(there.is_some() && file.try_lock_all(2, 8).unwrap().is_none(), "by another process");
        assert!(file.try_lock_all(6, 8).unwrap().is_some());
        drop(there);
        let slots = file.try_lock_all(2, 8).unwrap();
        assert!(slots.is_some() && other.lock(5, Duration::ZERO).unwrap().is_none());
        assert!(other.lock(9, Duration::ZERO).unwrap().is_some());
        drop(slots);
        assert!(other.lock(5, Duration::ZERO).unwrap().is_some());
    }
}
