//! Heartbeats: when named workers and jobs last sent one, in this process and in the stores that its engines share.
//!
//! All heartbeats of a store are one of its values, of at most [`MAX_NAMES`] names: however many an application makes up,
//! they take no slot of a check, and push out no other name:
//!
//! * A name that a check has reserved is dropped only where there is nothing but such names.
//! * Of the others names of the largest family go first (of names that are one but for their numbers and ids, such as
//!   `job-1` and `job-2`), so that the names of a flood push out each other.
//! * Within a family those that were sent once go first, then those sent longest ago. An eighth of it goes at a time, so
//!   that a flood does not look at all names for each of its own.

#![cfg_attr(not(any(target_os = "linux", target_os = "macos")), allow(dead_code, reason = "nothing is shared there"))]

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::scope::stores;
use crate::model::{CollectOrdered, clock};
use crate::runtime::{PerProcess, diagnostics, lock};

/// Different names in one process, and in one store. With names of 100 bytes they take half of what a value can hold.
const MAX_NAMES: usize = 500;

/// Of one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Heartbeat {
    /// Nanoseconds since boot; `None` if a check has reserved the name before the first.
    at: Option<u64>,
    /// Whether there was one of that name before.
    repeated: bool,
    /// Whether a check reads it.
    reserved: bool,
}

/// The latest heartbeat of each name.
#[derive(Debug, Default, Serialize, Deserialize)]
struct HeartbeatTable(BTreeMap<String, Heartbeat>);

impl HeartbeatTable {
    /// Records one, unless a later one is there; returns whether anything has changed.
    fn record(&mut self, name: &str, at: u64) -> bool {
        let known = self.entry(name);
        let is_later = known.at < Some(at);
        known.repeated = known.at.is_some();
        known.at = known.at.max(Some(at));
        is_later
    }

    /// Keeps the place of a name that a check reads; returns whether anything has changed.
    fn reserve(&mut self, name: &str) -> bool {
        !std::mem::replace(&mut self.entry(name).reserved, true)
    }

    fn entry(&mut self, name: &str) -> &mut Heartbeat {
        if self.is_full() && !self.is_known(name) {
            self.make_room();
        }
        self.0.entry(name.to_owned()).or_default()
    }

    /// Drops an eighth of the names of the largest family that no check reads, or the oldest name where a check reads each.
    fn make_room(&mut self) {
        let families: Vec<u64> = self.0.keys().map(|name| family(name)).collect();
        let mut sizes: HashMap<u64, usize> = HashMap::new();
        for family in &families {
            *sizes.entry(*family).or_default() += 1;
        }
        let size = |family: &u64| Reverse(sizes.get(family).copied().unwrap_or_default());
        let ranked = self.0.iter().zip(&families);
        let rank = |known: &Heartbeat, family: &u64| ((known.reserved, size(family)), (known.repeated, known.at));
        let mut ranked: Vec<_> = ranked.map(|((name, known), family)| (rank(known, family), name)).collect();
        ranked.sort_unstable();
        let Some(&((least, _), _)) = ranked.first() else { return };
        let (are_reserved, _) = least;
        let equals = ranked.iter().take_while(|((worth, _), _)| *worth == least);
        let count = if are_reserved { 1 } else { equals.clone().count().div_ceil(8) };
        let dropped: Vec<String> = equals.take(count).map(|(_, name)| (*name).clone()).collect();
        for name in dropped {
            self.0.remove(&name);
        }
    }

    fn is_full(&self) -> bool {
        self.0.len() >= MAX_NAMES
    }

    fn is_known(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn is_reserved(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|known| known.reserved)
    }

    fn latest(&self, name: &str) -> Option<u64> {
        self.0.get(name).and_then(|known| known.at)
    }

    fn starting_with(&self, prefix: &str) -> BTreeMap<String, u64> {
        let matching = self.0.iter().filter(|(name, _)| name.starts_with(prefix));
        matching.filter_map(|(name, known)| Some((name.clone(), known.at?))).collect_ordered()
    }
}

/// Identifies what a name has in common with those that differ from it in numbers and ids alone: its parts that hold a
/// digit, or are hexadecimal, are such.
fn family(name: &str) -> u64 {
    let is_id = |part: &str| {
        let bytes = part.as_bytes();
        bytes.iter().any(u8::is_ascii_digit) || (bytes.len() >= 4 && bytes.iter().all(u8::is_ascii_hexdigit))
    };
    let mut hasher = DefaultHasher::new();
    for part in name.split(['-', '_', '.']) {
        (if is_id(part) { "#" } else { part }).hash(&mut hasher);
    }
    hasher.finish()
}

static OWN: PerProcess<Mutex<HeartbeatTable>> = PerProcess::new();

/// Records a heartbeat of `name`: in this process, and for all that share a store with one of its engines.
pub fn beat(name: &str) {
    let now = clock::now();
    {
        let own = OWN.get_or_init(Mutex::default);
        let mut own = lock(&own);
        if own.is_full() && !own.is_known(name) {
            report_too_many();
        }
        own.record(name, now);
    }
    for path in stores().iter() {
        shared::record(path, name, now);
    }
}

/// Keeps a place for `name` in this process, whatever other names send heartbeats.
pub fn reserve(name: &str) {
    lock(&OWN.get_or_init(Mutex::default)).reserve(name);
}

/// How long ago `name`, which a check reads, last sent a heartbeat; `None` if it never did, or was dropped.
pub fn age(name: &str) -> Option<Duration> {
    reserve(name); // again, since a fork forgets it
    let own = OWN.get().and_then(|own| lock(&own).latest(name));
    let latest = stores().iter().filter_map(|path| shared::reserve(path, name)).max().max(own)?;
    Some(Duration::from_nanos(clock::now().saturating_sub(latest)))
}

/// How long ago each name that starts with `prefix` last sent a heartbeat, here or in a store of this process's engines.
pub fn ages(prefix: &str) -> BTreeMap<String, Duration> {
    let mut latest = OWN.get().map(|own| lock(&own).starting_with(prefix)).unwrap_or_default();
    for path in stores().iter() {
        for (name, at) in shared::starting_with(path, prefix) {
            let known = latest.entry(name).or_insert(at);
            *known = at.max(*known);
        }
    }
    let now = clock::now();
    latest.into_iter().map(|(name, at)| (name, Duration::from_nanos(now.saturating_sub(at)))).collect_ordered()
}

fn report_too_many() {
    static REPORTED: PerProcess<AtomicBool> = PerProcess::new();
    if !REPORTED.get_or_init(AtomicBool::default).swap(true, Ordering::Relaxed) {
        diagnostics::publish(
            true,
            format!(
                "heartbeats with more than {MAX_NAMES} different names: of those that differ in an id alone the ones \
                 sent longest ago are dropped"
            ),
        );
    }
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
mod shared {
    use std::collections::HashMap;
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::{BTreeMap, Duration, HeartbeatTable, Mutex, Path, PerProcess, lock};
    use crate::state::backend::host::SharedValue;
    use crate::state::scope::key;

    /// A heartbeat that cannot be stored for so long is left out: the next one will do.
    const LOCK_TIMEOUT: Duration = Duration::from_millis(5);

    fn table(path: &Path) -> Arc<SharedValue<HeartbeatTable>> {
        static TABLES: PerProcess<Mutex<HashMap<PathBuf, Arc<SharedValue<HeartbeatTable>>>>> = PerProcess::new();
        let tables = TABLES.get_or_init(Mutex::default);
        let new = || Arc::new(SharedValue::new(path, key("heartbeats 2")));
        lock(&tables).entry(path.to_owned()).or_insert_with(new).clone()
    }

    pub fn record(path: &Path, name: &str, at: u64) {
        let _ = table(path).update(LOCK_TIMEOUT, |table| table.record(name, at));
    }

    /// The latest of `name`, whose place is kept from now on. Waits for no other process: the next one will do.
    pub fn reserve(path: &Path, name: &str) -> Option<u64> {
        let table = table(path);
        let (latest, is_reserved) = table.read(|table| (table.latest(name), table.is_reserved(name)));
        if !is_reserved {
            let _ = table.update(Duration::ZERO, |table| table.reserve(name));
        }
        latest
    }

    pub fn starting_with(path: &Path, prefix: &str) -> BTreeMap<String, u64> {
        table(path).read(|table| table.starting_with(prefix))
    }
}

/// No host scope there.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod shared {
    use super::{BTreeMap, Path};

    pub fn record(_: &Path, _: &str, _: u64) {}

    pub fn reserve(_: &Path, _: &str) -> Option<u64> {
        None
    }

    pub fn starting_with(_: &Path, _: &str) -> BTreeMap<String, u64> {
        BTreeMap::new()
    }
}

#[cfg(test)]
mod tests;
