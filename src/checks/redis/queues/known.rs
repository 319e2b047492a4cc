//! What is known of a server's queues: found in rounds, each of which comes by all of them once.
//!
//! A queue that was there throughout a round was found in it; one that was not is forgotten at its end. So what is kept
//! follows what is there, and a name that has gone takes no other's place.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::batch::NOT_UTF8;
use super::{LONGEST_NAME, QUEUES};
use crate::model::{CollectOrdered, largest_first};

/// How many names are remembered, of some 200 bytes at most.
pub const REMEMBERED: usize = 10_000;

pub struct Known {
    names: BTreeMap<String, Found>,
    /// The hashes of names that are too long or not UTF-8, and the round in which each was last found.
    unmeasurable: BTreeMap<u64, u64>,
    /// Sets whose members name queues and that are still to be read in this round, each from its cursor on.
    pub sets: BTreeMap<String, String>,
    /// Where the next step of the scan starts; `None` once it is through in this round.
    pub cursor: Option<String>,
    round: u64,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            names: BTreeMap::new(),
            unmeasurable: BTreeMap::new(),
            sets: BTreeMap::new(),
            cursor: Some(String::new()),
            round: 0,
        }
    }
}

struct Found {
    /// The last one in which it was found.
    round: u64,
    /// As last measured.
    depth: Option<u64>,
}

impl Known {
    /// The queues to be measured: those that are configured, then all that were found. Where these are too many, the
    /// deepest ones have half of the places, and the others take turns, in the order of their names, `after` the last.
    pub fn select(&self, configured: &[String], after: &mut String) -> Vec<String> {
        let mut selected = configured.to_vec();
        let room = QUEUES.saturating_sub(selected.len());
        let own: BTreeSet<&String> = configured.iter().collect_ordered();
        let others: Vec<(&String, u64)> = self
            .names
            .iter()
            .filter(|(name, _)| !own.contains(name))
            .map(|(name, found)| (name, found.depth.unwrap_or(0)))
            .collect();
        if others.len() <= room {
            selected.extend(others.into_iter().map(|(name, _)| name.clone()));
            return selected;
        }
        let mut deepest: Vec<_> = others.iter().filter(|(_, depth)| *depth > 0).collect();
        largest_first(&mut deepest, |(_, depth)| *depth);
        let kept: BTreeSet<&String> = deepest.into_iter().take(room / 2).map(|(name, _)| *name).collect_ordered();
        let rest: Vec<&String> = others.iter().map(|(name, _)| *name).filter(|name| !kept.contains(name)).collect();
        let start = rest.partition_point(|name| *name <= after);
        let turn = rest.iter().skip(start).chain(rest.iter().take(start)).take(room - kept.len());
        let turn: Vec<String> = turn.map(|name| (*name).clone()).collect();
        if let Some(last) = turn.last() {
            after.clone_from(last);
        }
        selected.extend(kept.into_iter().cloned());
        selected.extend(turn);
        selected
    }

    /// Notes names that were found, and returns those that can be measured. Where there is no room for new ones, those
    /// that were measured and are the shallowest make it.
    pub fn add(&mut self, found: impl IntoIterator<Item = String>) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for name in found {
            if name.len() > LONGEST_NAME || name.contains(NOT_UTF8) {
                self.add_unmeasurable(&name);
            } else if !name.is_empty() {
                names.insert(name);
            }
        }
        let new = names.iter().filter(|name| !self.names.contains_key(*name)).count();
        self.forget_shallowest((self.names.len() + new).saturating_sub(REMEMBERED));
        for name in &names {
            if let Some(known) = self.names.get_mut(name) {
                known.round = self.round;
            } else if self.names.len() < REMEMBERED {
                self.names.insert(name.clone(), Found { round: self.round, depth: None });
            }
        }
        names
    }

    /// Notes a queue that is there and cannot be measured.
    pub fn add_unmeasurable(&mut self, name: &str) {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        if self.unmeasurable.len() < REMEMBERED {
            self.unmeasurable.insert(hasher.finish(), self.round);
        }
    }

    fn forget_shallowest(&mut self, number: usize) {
        if number == 0 {
            return;
        }
        let mut measured: Vec<(u64, String)> =
            self.names.iter().filter_map(|(name, found)| Some((found.depth?, name.clone()))).collect();
        measured.sort_unstable();
        for (_, name) in measured.into_iter().take(number) {
            self.names.remove(&name);
        }
    }

    /// Notes how deep queues are.
    pub fn note(&mut self, depths: &[(String, u64)]) {
        for (name, depth) in depths {
            if let Some(found) = self.names.get_mut(name) {
                found.depth = Some(*depth);
            }
        }
    }

    /// How many of the queues that are known are not `measured`.
    pub fn not_measured(&self, measured: &[String]) -> u64 {
        let measured: BTreeSet<&String> = measured.iter().collect_ordered();
        let left = self.names.keys().filter(|name| !measured.contains(name)).count();
        (left + self.unmeasurable.len()) as u64
    }

    /// Ends the round if nothing is left of it, and forgets what was not found in it.
    pub fn end_step(&mut self) {
        if self.cursor.is_some() || !self.sets.is_empty() {
            return;
        }
        let round = self.round;
        self.names.retain(|_, found| found.round >= round);
        self.unmeasurable.retain(|_, found| *found >= round);
        self.round += 1;
        self.cursor = Some(String::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(numbers: std::ops::Range<usize>) -> Vec<String> {
        numbers.map(|number| format!("q{number:05}")).collect()
    }

    #[test]
    fn queue_that_has_gone_is_forgotten_after_a_whole_round_without_it() {
        let mut known = Known::default();
        known.add(["gone".to_owned(), "mail".to_owned(), "x".repeat(201), format!("{NOT_UTF8}ff")]);
        assert_eq!(known.not_measured(&[]), 4);
        known.cursor = None;
        known.end_step();
        assert_eq!(known.select(&[], &mut String::new()), ["gone", "mail"]);
        known.add(["mail".to_owned()]);
        known.end_step();
        assert_eq!(known.not_measured(&[]), 4, "a scan is under way");
        known.cursor = None;
        known.sets.insert("bindings".to_owned(), "17".to_owned());
        known.end_step();
        assert_eq!(known.not_measured(&[]), 4, "a set is to be read");
        known.sets.clear();
        known.end_step();
        assert_eq!((known.select(&[], &mut String::new()), known.not_measured(&[])), (vec!["mail".to_owned()], 1));
    }

    #[test]
    fn more_queues_than_are_measured_take_turns_but_the_deepest() {
        let mut known = Known::default();
        let all = names(0..1_200);
        known.add(all.clone());
        known.note(&[("q01111".to_owned(), 7), ("q00300".to_owned(), 0)]);
        let mut after = String::new();
        let mut seen = BTreeSet::new();
        for _ in 0..3 {
            let selected = known.select(&["own".to_owned()], &mut after);
            assert_eq!(selected.len(), QUEUES);
            assert!(selected.starts_with(&["own".to_owned(), "q01111".to_owned()]), "{selected:?}");
            assert_eq!(known.not_measured(&selected), 1_200 - 499);
            seen.extend(selected);
        }
        assert!(all.iter().all(|name| seen.contains(name)));
    }

    #[test]
    fn deepest_queues_have_at_most_half_of_the_places() {
        let mut known = Known::default();
        let depths: Vec<_> = names(0..2_000).into_iter().map(|name| (name, 5)).collect();
        known.add(names(0..2_000));
        known.note(&depths);
        let (mut after, mut seen) = (String::new(), BTreeSet::new());
        for _ in 0..8 {
            seen.extend(known.select(&[], &mut after));
        }
        assert_eq!(seen.len(), 2_000);
    }

    #[test]
    fn measured_shallow_queues_make_room_for_new_ones() {
        let mut known = Known::default();
        known.add(names(0..REMEMBERED));
        known.add(["late".to_owned()]);
        assert_eq!(known.not_measured(&["late".to_owned()]), REMEMBERED as u64, "none was measured yet");
        known.note(&[("q00001".to_owned(), 9), ("q00002".to_owned(), 0)]);
        known.add(["late".to_owned()]);
        assert_eq!(known.not_measured(&["late".to_owned(), "q00001".to_owned()]), REMEMBERED as u64 - 2);
    }
}
