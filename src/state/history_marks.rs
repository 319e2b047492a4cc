//! Which results a history has already: of all processes that share a store, one keeps each result.
//!
//! The marks of a store are [`GROUPS`] of its values, each of some names at most: they take no slot of a check, however
//! many names there are.

#![cfg_attr(not(any(target_os = "linux", target_os = "macos")), allow(dead_code, reason = "nothing is shared there"))]

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Scope;

/// Sweeps with results of one check that are on their way to the history at once, at most.
const MAX_TIMES: usize = 16;
/// Values that hold the marks, by the names' hashes.
const GROUPS: u8 = 16;
/// Names in one of them.
const MAX_NAMES: usize = 200;

/// Marks the result of `name` found at `at` as kept, and returns whether no other process had marked it, nor any within
/// `gap` of it. Times since 1970. True where nothing is shared, and where the store cannot be locked in time: a result kept
/// twice is better than one lost.
pub fn note(share: &Scope, name: &str, at: Duration, gap: Duration) -> bool {
    note_all(share, &[(name, at)], gap).first().copied().flatten().unwrap_or(true)
}

/// The same of several results, in their order; `None` where it is not known.
pub fn note_all(share: &Scope, results: &[(&str, Duration)], gap: Duration) -> Vec<Option<bool>> {
    match share {
        Scope::Process => vec![None; results.len()],
        Scope::Host(path) => shared::note_all(path, results, gap),
    }
}

/// The latest time for which `name` was marked; `None` where nothing is shared, or known.
pub fn latest(share: &Scope, name: &str) -> Option<Duration> {
    match share {
        Scope::Process => None,
        Scope::Host(path) => shared::latest(path, name),
    }
}

/// The times of the results that are kept, by name.
#[derive(Debug, Default, Serialize, Deserialize)]
struct MarkTable(BTreeMap<String, Vec<Duration>>);

impl MarkTable {
    /// Adds a time; returns whether it is new.
    fn add(&mut self, name: &str, at: Duration, gap: Duration, now: Duration) -> bool {
        if !self.0.contains_key(name) {
            while self.0.len() >= MAX_NAMES {
                let oldest = self.0.iter().min_by_key(|(_, marks)| marks.last()).map(|(name, _)| name.clone());
                let Some(oldest) = oldest else { break };
                self.0.remove(&oldest);
            }
        }
        add(self.0.entry(name.to_owned()).or_default(), at, gap, now)
    }
}

/// Adds a time, unless it is there, too close to the latest, or older than all that are kept.
fn add(noted: &mut Vec<Duration>, at: Duration, gap: Duration, now: Duration) -> bool {
    // The clock may have been put back since: marks in its future say nothing.
    noted.retain(|noted| *noted <= now.max(at));
    let is_dropped = noted.len() >= MAX_TIMES && noted.first().is_some_and(|oldest| at < *oldest);
    let too_close = !gap.is_zero() && noted.last().is_some_and(|latest| at < latest.saturating_add(gap));
    if noted.contains(&at) || is_dropped || too_close {
        return false;
    }
    noted.insert(noted.partition_point(|noted| *noted < at), at);
    if noted.len() > MAX_TIMES {
        noted.remove(0);
    }
    true
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
mod shared {
    use std::collections::{BTreeMap, HashMap};
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::{GROUPS, MarkTable};
    use crate::runtime::{PerProcess, lock};
    use crate::state::backend::host::SharedValue;
    use crate::state::scope::key;

    const LOCK_TIMEOUT: Duration = Duration::from_millis(5);

    fn group_of(name: &str) -> u8 {
        key(name).first().map_or(0, |byte| byte % GROUPS)
    }

    fn table(path: &Path, group: u8) -> Arc<SharedValue<MarkTable>> {
        type Tables = HashMap<(PathBuf, u8), Arc<SharedValue<MarkTable>>>;
        static TABLES: PerProcess<Mutex<Tables>> = PerProcess::new();
        let tables = TABLES.get_or_init(Mutex::default);
        let new = || Arc::new(SharedValue::new(path, key(&format!("history marks 1 {group}"))));
        lock(&tables).entry((path.to_owned(), group)).or_insert_with(new).clone()
    }

    /// Those of one group share one lock.
    pub fn note_all(path: &Path, results: &[(&str, Duration)], gap: Duration) -> Vec<Option<bool>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut groups: BTreeMap<u8, Vec<_>> = BTreeMap::new();
        let mut noted = vec![None; results.len()];
        for (result, noted) in results.iter().zip(&mut noted) {
            groups.entry(group_of(result.0)).or_default().push((result, noted));
        }
        for (group, results) in &mut groups {
            let _ = table(path, *group).update(LOCK_TIMEOUT, |table| {
                let mut is_changed = false;
                for ((name, at), noted) in &mut *results {
                    let is_new = table.add(name, *at, gap, now);
                    **noted = Some(is_new);
                    is_changed |= is_new;
                }
                is_changed
            });
        }
        noted
    }

    pub fn latest(path: &Path, name: &str) -> Option<Duration> {
        table(path, group_of(name)).read(|table| table.0.get(name)?.last().copied())
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod shared {
    use std::path::Path;
    use std::time::Duration;

    pub fn note_all(_: &Path, results: &[(&str, Duration)], _: Duration) -> Vec<Option<bool>> {
        vec![None; results.len()]
    }

    pub fn latest(_: &Path, _: &str) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::state::backend::CAPACITY;

    #[test]
    fn add_is_new_once_for_each_result() {
        let seconds = Duration::from_secs;
        let table = [
            // marked before, found at, gap, now, is it new
            (vec![], 5, 0, 5, true),
            (vec![5], 5, 0, 5, false),
            (vec![5], 6, 0, 6, true),
            // Overtaken by a later one.
            (vec![5, 7], 6, 0, 7, true),
            (vec![5], 6, 30, 6, false),
            (vec![5], 35, 30, 35, true),
            // Marked before the clock was put back.
            (vec![9_000], 6, 0, 6, true),
            ((10..26).collect(), 9, 0, 26, false),
            ((10..26).collect(), 26, 0, 26, true),
            // A gap beyond all times.
            (vec![5], 35, u64::MAX, 35, false),
        ];
        for (before, at, gap, now, expected) in table {
            let mut noted: Vec<_> = before.iter().map(|at| seconds(*at)).collect();
            assert_eq!(add(&mut noted, seconds(at), seconds(gap), seconds(now)), expected, "{before:?} {at} {gap}");
            assert!(noted.len() <= MAX_TIMES && noted.is_sorted(), "{noted:?}");
        }
    }
    #[test]
    fn many_names_drop_the_oldest_and_fit_into_a_value() {
        let mut table = MarkTable::default();
        let now = Duration::from_secs(1_800_000_000) + Duration::from_nanos(999_999_999);
        for round in 0..MAX_TIMES {
            for index in 0..=MAX_NAMES {
                assert!(table.add(&format!("{index:0>100}"), now * (round as u32 + 1), Duration::ZERO, Duration::MAX));
            }
        }
        assert_eq!(table.0.len(), MAX_NAMES);
        assert!(postcard::to_allocvec(&table).unwrap().len() < CAPACITY);
    }
}
