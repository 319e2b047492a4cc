//! Which results a history has already: of all processes that share a store, one keeps each result.

use std::time::Duration;

use super::Scope;

/// Sweeps with results of one check that are on their way to the history at once, at most.
const REMEMBERED: usize = 16;

/// Notes that the result of `name` found at `at` is kept, and says whether no other process had noted that, nor any
/// within `gap` of it. Times since 1970. True where nothing is shared, and where the store cannot be had in time: rather
/// twice than never.
pub fn note(share: &Scope, name: &str, at: Duration, gap: Duration) -> bool {
    match share {
        Scope::Process => true,
        Scope::Host(path) => shared::note(path, name, at, gap),
    }
}

/// Adds a time, unless it is there, too old to tell, or too close to the latest.
fn add(noted: &mut Vec<Duration>, at: Duration, gap: Duration, now: Duration) -> bool {
    // The clock may have been put back since: what was noted in its future says nothing.
    noted.retain(|noted| *noted <= now.max(at));
    let forgotten = noted.len() >= REMEMBERED && noted.first().is_some_and(|oldest| at < *oldest);
    let too_close = !gap.is_zero() && noted.last().is_some_and(|latest| at < *latest + gap);
    if noted.contains(&at) || forgotten || too_close {
        return false;
    }
    noted.push(at);
    noted.sort_unstable();
    if noted.len() > REMEMBERED {
        noted.remove(0);
    }
    true
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
mod shared {
    use std::path::Path;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use super::add;
    use crate::state::backend::host::{HostStore, Seen};
    use crate::state::scope::key;

    const PATIENCE: Duration = Duration::from_millis(5);

    pub fn note(path: &Path, name: &str, at: Duration, gap: Duration) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let store = HostStore::at(path);
        let entry = store.entry(key(&format!("noted {name}")));
        let mut new = true;
        let _ = store.update(&entry, &mut Seen::default(), PATIENCE, &mut |told| {
            let mut noted = told.and_then(|told| serde_json::from_slice(&told).ok()).unwrap_or_default();
            new = add(&mut noted, at, gap, now);
            if new { serde_json::to_vec(&noted).ok() } else { None }
        });
        new
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod shared {
    use std::path::Path;
    use std::time::Duration;

    pub fn note(_: &Path, _: &str, _: Duration, _: Duration) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_result_is_new_once() {
        let seconds = Duration::from_secs;
        let table = [
            // noted before, found at, gap, now, is it new
            (vec![], 5, 0, 5, true),
            (vec![5], 5, 0, 5, false),
            (vec![5], 6, 0, 6, true),
            // Overtaken by a later one.
            (vec![5, 7], 6, 0, 7, true),
            (vec![5], 6, 30, 6, false),
            (vec![5], 35, 30, 35, true),
            // Noted before the clock was put back.
            (vec![9_000], 6, 0, 6, true),
            ((10..26).collect(), 9, 0, 26, false),
            ((10..26).collect(), 26, 0, 26, true),
        ];
        for (before, at, gap, now, expected) in table {
            let mut noted: Vec<_> = before.iter().map(|at| seconds(*at)).collect();
            assert_eq!(add(&mut noted, seconds(at), seconds(gap), seconds(now)), expected, "{before:?} {at} {gap}");
            assert!(noted.len() <= REMEMBERED && noted.is_sorted(), "{noted:?}");
        }
    }
}
