//! Names of heartbeats: the latest of each, and which are dropped by a flood.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::state::backend::CAPACITY;

#[test]
fn record_keeps_the_latest_of_each_name() {
    let mut table = HeartbeatTable::default();
    assert!(table.record("a", 5));
    assert!(!table.record("a", 5));
    assert!(!table.record("a", 4));
    assert!(table.record("a", 6));
    assert_eq!((table.latest("a"), table.latest("b")), (Some(6), None));
    table.record("ab", 7);
    table.record("b", 8);
    assert_eq!(table.starting_with("a"), [("a".to_owned(), 6), ("ab".to_owned(), 7)].into());
}

/// As many names as an application may make up.
const FLOOD: u64 = 5_000;

fn flooded(mut table: HeartbeatTable, name: impl Fn(u64) -> String) -> HeartbeatTable {
    for index in 0..FLOOD {
        assert!(table.record(&name(index), u64::MAX - FLOOD + index));
    }
    assert!((MAX_NAMES * 3 / 4..=MAX_NAMES).contains(&table.0.len()));
    table
}

/// The number in letters, so that no part of the name differs from a word.
fn in_letters(index: u64) -> String {
    index.to_string().bytes().map(|digit| char::from(digit - b'0' + b'q')).collect()
}

fn uuid(index: u64) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, &index.to_be_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32])
}

#[test]
fn flood_of_names_drops_its_own_alone_and_fits_into_a_value() {
    let names: [fn(u64) -> String; 4] = [
        |index| format!("{index:0>100}"),
        |index| format!("job-{index}.done"),
        |index| format!("{}.done", uuid(index)),
        |index| format!("worker_{}", uuid(index)),
    ];
    for name in names {
        let mut table = HeartbeatTable::default();
        table.record("nightly", 1);
        table.record("job.2", 1);
        let table = flooded(table, name);
        assert_eq!((table.latest("nightly"), table.latest("job.2")), (Some(1), Some(1)));
        assert!(table.is_known(&name(FLOOD - 1)) && !table.is_known(&name(FLOOD / 2)));
        assert!(postcard::to_allocvec(&table).unwrap().len() < CAPACITY / 2);
    }
}

#[test]
fn flood_of_words_drops_neither_reserved_nor_repeated_names() {
    let mut table = HeartbeatTable::default();
    assert!(table.reserve("read") && table.reserve("not-sent-yet") && !table.reserve("read"));
    table.record("read", 1);
    table.record("once", 1);
    for at in [1, 2] {
        table.record("hourly", at);
    }
    let table = flooded(table, in_letters);
    assert_eq!((table.latest("read"), table.latest("hourly"), table.latest("once")), (Some(1), Some(2), None));
    assert!(table.is_reserved("not-sent-yet") && table.latest("not-sent-yet").is_none());
    assert!(!table.starting_with("not").contains_key("not-sent-yet"));
}

#[test]
fn names_in_turn_beside_repeated_ones_rarely_make_room() {
    let mut table = HeartbeatTable::default();
    for at in [1, 2] {
        for index in 0..400 {
            table.record(&format!("old-{index}"), at);
        }
    }
    let mut rooms_made = 0;
    for at in 3..3 + FLOOD {
        let before = table.0.len();
        table.record(&format!("old-{}", 1_000 + at % 450), at);
        rooms_made += u64::from(table.0.len() < before);
    }
    // An eighth of about 500 names at a time.
    assert!(rooms_made <= FLOOD / 50, "{rooms_made}");
}

#[test]
fn more_reserved_names_than_there_is_place_for_drop_the_oldest() {
    let mut table = HeartbeatTable::default();
    for index in 0..=MAX_NAMES {
        assert!(table.reserve(&in_letters(index as u64)));
    }
    assert_eq!(table.0.len(), MAX_NAMES);
}
