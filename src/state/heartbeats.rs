//! Heartbeats: when something that has no other voice was last heard, in this process and in the stores it uses.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::model::clock;
use crate::runtime::{PerProcess, lock};

/// Different names that one process remembers.
const MAX_NAMES: usize = 1_000;

/// Nanoseconds since boot, by name.
static HEARD: PerProcess<Mutex<HashMap<String, u64>>> = PerProcess::new();

/// Notes that `name` is alive: for this process, and for all that share a store with one of its engines.
pub fn beat(name: &str) {
    let now = clock::now();
    {
        let heard = HEARD.get_or_init(Mutex::default);
        let mut heard = lock(&heard);
        if heard.len() < MAX_NAMES || heard.contains_key(name) {
            heard.insert(name.to_owned(), now);
        }
    }
    shared::beat(name, now);
}

/// How long ago `name` was last heard; `None` if never.
pub fn last_heard(name: &str) -> Option<Duration> {
    let here = HEARD.get().and_then(|heard| lock(&heard).get(name).copied());
    let heard = here.max(shared::heard(name))?;
    Some(Duration::from_nanos(clock::now().saturating_sub(heard)))
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
mod shared {
    use std::path::PathBuf;
    use std::time::Duration;

    use crate::state::backend::host::{HostStore, Seen};
    use crate::state::scope::{key, stores};

    /// A beat that is held up this long is left out: the next one will do.
    const PATIENCE: Duration = Duration::from_millis(5);

    fn moment(value: &[u8]) -> Option<u64> {
        value.try_into().ok().map(u64::from_le_bytes)
    }

    pub fn beat(name: &str, now: u64) {
        for path in stores().iter() {
            let store = HostStore::at(path);
            let entry = store.entry(key(&format!("beat {name}")));
            let _ = store.update(&entry, &mut Seen::default(), PATIENCE, &mut |before| {
                let newer = before.as_deref().and_then(moment).is_none_or(|before| before < now);
                newer.then(|| now.to_le_bytes().to_vec())
            });
        }
    }

    pub fn heard(name: &str) -> Option<u64> {
        let look = |path: &PathBuf| {
            let store = HostStore::at(path);
            let entry = store.entry(key(&format!("beat {name}")));
            store.read_if_changed(&entry, &mut Seen::default(), None).as_deref().and_then(moment)
        };
        stores().iter().filter_map(look).max()
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod shared {
    pub fn beat(_: &str, _: u64) {}

    pub fn heard(_: &str) -> Option<u64> {
        None
    }
}
