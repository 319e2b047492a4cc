//! Heartbeats: when named workers and jobs last sent one, in this process and in the stores that its engines share.
//!
//! All heartbeats of a store are one of its values, of at most [`MAX_NAMES`] names: however many an application makes up,
//! they take no slot of a check. What is dropped then are names that were sent only once, then those sent longest ago, so
//! that names which are sent again and again stay.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::scope::stores;
use crate::model::clock;
use crate::runtime::{PerProcess, diagnostics, lock};

/// Different names in one process, and in one store. With names of 100 bytes they take half of what a value can hold.
const MAX_NAMES: usize = 500;

/// Of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Heartbeat {
    /// Nanoseconds since boot.
    at: u64,
    /// Whether there was one of that name before.
    repeated: bool,
}

/// The latest heartbeat of each name.
#[derive(Debug, Default, Serialize, Deserialize)]
struct HeartbeatTable(BTreeMap<String, Heartbeat>);

impl HeartbeatTable {
    /// Records one, unless a later one is there; returns whether anything has changed.
    fn record(&mut self, name: &str, at: u64) -> bool {
        if let Some(known) = self.0.get_mut(name) {
            let is_later = known.at < at;
            known.at = known.at.max(at);
            known.repeated = true;
            return is_later;
        }
        while self.0.len() >= MAX_NAMES {
            let oldest =
                self.0.iter().min_by_key(|(_, known)| (known.repeated, known.at)).map(|(name, _)| name.clone());
            let Some(oldest) = oldest else { break };
            self.0.remove(&oldest);
        }
        self.0.insert(name.to_owned(), Heartbeat { at, repeated: false });
        true
    }

    fn is_full(&self) -> bool {
        self.0.len() >= MAX_NAMES
    }

    fn latest(&self, name: &str) -> Option<u64> {
        self.0.get(name).map(|known| known.at)
    }

    fn starting_with(&self, prefix: &str) -> BTreeMap<String, u64> {
        let matching = self.0.iter().filter(|(name, _)| name.starts_with(prefix));
        matching.map(|(name, known)| (name.clone(), known.at)).collect()
    }
}

static OWN: PerProcess<Mutex<HeartbeatTable>> = PerProcess::new();

/// Records a heartbeat of `name`: in this process, and for all that share a store with one of its engines.
pub fn beat(name: &str) {
    let now = clock::now();
    {
        let own = OWN.get_or_init(Mutex::default);
        let mut own = lock(&own);
        if own.is_full() && own.latest(name).is_none() {
            report_too_many();
        }
        own.record(name, now);
    }
    for path in stores().iter() {
        shared::record(path, name, now);
    }
}

/// How long ago `name` last sent a heartbeat; `None` if it never did, or was dropped.
pub fn age(name: &str) -> Option<Duration> {
    let own = OWN.get().and_then(|own| lock(&own).latest(name));
    let latest = stores().iter().filter_map(|path| shared::latest(path, name)).max().max(own)?;
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
    latest.into_iter().map(|(name, at)| (name, Duration::from_nanos(now.saturating_sub(at)))).collect()
}

fn report_too_many() {
    static REPORTED: PerProcess<AtomicBool> = PerProcess::new();
    if !REPORTED.get_or_init(AtomicBool::default).swap(true, Ordering::Relaxed) {
        diagnostics::publish(
            true,
            format!(
                "heartbeats with more than {MAX_NAMES} different names: those sent once, longest ago, are dropped \
                 (is there an id in the name?)"
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
        let new = || Arc::new(SharedValue::new(path, key("heartbeats 1")));
        lock(&tables).entry(path.to_owned()).or_insert_with(new).clone()
    }

    pub fn record(path: &Path, name: &str, at: u64) {
        let _ = table(path).update(LOCK_TIMEOUT, |table| table.record(name, at));
    }

    pub fn latest(path: &Path, name: &str) -> Option<u64> {
        table(path).read(|table| table.latest(name))
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

    pub fn latest(_: &Path, _: &str) -> Option<u64> {
        None
    }

    pub fn starting_with(_: &Path, _: &str) -> BTreeMap<String, u64> {
        BTreeMap::new()
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn flood_of_names_drops_those_sent_once_and_fits_into_a_value() {
        let mut table = HeartbeatTable::default();
        for name in ["hourly", "daily"] {
            table.record(name, 1);
            table.record(name, 2);
        }
        let name = |index: u64| format!("{index:0>100}");
        for index in 0..10_000 {
            assert!(table.record(&name(index), u64::MAX - 10_000 + index));
        }
        assert_eq!(table.0.len(), MAX_NAMES);
        assert_eq!((table.latest("hourly"), table.latest("daily")), (Some(2), Some(2)));
        assert!(table.latest(&name(9_999)).is_some() && table.latest(&name(9_000)).is_none());
        assert!(postcard::to_allocvec(&table).unwrap().len() < CAPACITY / 2);
    }
}
