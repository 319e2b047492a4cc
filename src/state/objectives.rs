//! What is known of objectives, for the metrics: worked out by one process, shown by all that share with it.
//!
//! The history, which knows them, is in a database; a scrape must not wait for that. So the process that records hands
//! them over about once a minute, and what was not renewed for [`MAX_AGE`] is not shown any more.

use std::collections::BTreeMap;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use super::Scope;
use crate::model::clock;

/// After which nothing is shown any more.
const MAX_AGE: Duration = Duration::from_secs(300);

/// What is known of the objective of one check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// The share of time that is to be good.
    pub ratio: f64,
    /// The share of the error budget that is left; negative once it is overspent, `None` where nothing is known.
    pub budget_remaining: Option<f64>,
    /// How fast the budget is spent, by window (`5m`): 1 spends all of it within the period.
    pub burn_rates: BTreeMap<String, f64>,
}

/// Objectives by check, and when they were worked out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct ObjectiveTable {
    /// Nanoseconds since boot.
    at: u64,
    objectives: BTreeMap<String, Objective>,
}

impl ObjectiveTable {
    fn is_recent(&self, now: u64) -> bool {
        // A time in the future is one of another boot.
        now.checked_sub(self.at).is_some_and(|age| Duration::from_nanos(age) < MAX_AGE)
    }
}

/// The objectives of the checks of one engine.
pub struct Objectives {
    own: ArcSwap<ObjectiveTable>,
    shared: shared::Tables,
}

impl Default for Objectives {
    fn default() -> Self {
        Self { own: ArcSwap::default(), shared: shared::Tables::new() }
    }
}

impl Objectives {
    /// Replaces them, for all that share.
    pub fn set(&self, scope: &Scope, objectives: BTreeMap<String, Objective>) {
        let table = ObjectiveTable { at: clock::now(), objectives };
        if let Scope::Host(path) = scope {
            self.shared.set(path, &table);
        }
        self.own.store(table.into());
    }

    /// Those that are recent enough, by check.
    pub fn recent(&self, scope: &Scope) -> BTreeMap<String, Objective> {
        let now = clock::now();
        let shared = match scope {
            Scope::Host(path) => self.shared.recent(path, now),
            Scope::Process => BTreeMap::new(),
        };
        if !shared.is_empty() {
            return shared;
        }
        let own = self.own.load();
        if own.is_recent(now) { own.objectives.clone() } else { BTreeMap::new() }
    }
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
mod shared {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use super::{Objective, ObjectiveTable};
    use crate::runtime::PerProcess;
    use crate::state::backend::host::SharedValue;
    use crate::state::scope::key;

    const LOCK_TIMEOUT: Duration = Duration::from_millis(5);
    /// Values that hold the objectives, by the names' hashes.
    pub(super) const GROUPS: u8 = 16;
    /// Objectives in one of them: with names of 100 bytes and windows as there are they stay below its capacity.
    pub(super) const MAX_IN_GROUP: usize = 350;

    pub struct Tables(PerProcess<Vec<Arc<SharedValue<ObjectiveTable>>>>);

    impl Tables {
        pub const fn new() -> Self {
            Self(PerProcess::new())
        }

        fn of(&self, path: &Path) -> Vec<Arc<SharedValue<ObjectiveTable>>> {
            let table = |group| Arc::new(SharedValue::new(path, key(&format!("objectives 1 {group}"))));
            self.0.get_or_init(|| (0..GROUPS).map(table).collect()).to_vec()
        }

        pub fn set(&self, path: &Path, table: &ObjectiveTable) {
            for (group, value) in (0..GROUPS).zip(self.of(path)) {
                let is_in = |name: &str| group_of(name) == group;
                let objectives = table.objectives.iter().filter(|(name, _)| is_in(name)).take(MAX_IN_GROUP);
                let objectives: BTreeMap<_, _> =
                    objectives.map(|(name, objective)| (name.clone(), objective.clone())).collect();
                // What cannot be stored now is stored a minute later.
                let _ = value.update(LOCK_TIMEOUT, |stored| {
                    let is_empty = stored.objectives.is_empty() && objectives.is_empty();
                    *stored = ObjectiveTable { at: table.at, objectives: objectives.clone() };
                    !is_empty
                });
            }
        }

        pub fn recent(&self, path: &Path, now: u64) -> BTreeMap<String, Objective> {
            let mut found = BTreeMap::new();
            for value in self.of(path) {
                value.read(|table| {
                    if table.is_recent(now) {
                        found.extend(table.objectives.clone());
                    }
                });
            }
            found
        }
    }

    fn group_of(name: &str) -> u8 {
        key(name).first().map_or(0, |byte| byte % GROUPS)
    }
}

/// No host scope there.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod shared {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::{Objective, ObjectiveTable};

    pub struct Tables;

    impl Tables {
        pub const fn new() -> Self {
            Self
        }

        pub fn set(&self, _: &Path, _: &ObjectiveTable) {}

        pub fn recent(&self, _: &Path, _: u64) -> BTreeMap<String, Objective> {
            BTreeMap::new()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::state::backend::CAPACITY;

    fn objective() -> Objective {
        let windows = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"];
        let burn_rates = windows.map(|window| (window.to_owned(), 1.5)).into();
        Objective { ratio: 0.999, budget_remaining: Some(0.5), burn_rates }
    }

    #[test]
    fn objectives_are_replaced_and_shown_in_process_scope() {
        let objectives = Objectives::default();
        assert!(objectives.recent(&Scope::Process).is_empty());
        objectives.set(&Scope::Process, [("a".to_owned(), objective())].into());
        objectives.set(&Scope::Process, [("b".to_owned(), objective())].into());
        assert_eq!(objectives.recent(&Scope::Process), [("b".to_owned(), objective())].into());
    }

    #[test]
    fn table_is_recent_for_five_minutes_of_this_boot() {
        let table = ObjectiveTable { at: 1_000, ..ObjectiveTable::default() };
        let minutes = |minutes: u64| 1_000 + minutes * 60_000_000_000;
        for (now, expected) in [(1_000, true), (minutes(4), true), (minutes(5), false), (999, false)] {
            assert_eq!(table.is_recent(now), expected, "{now}");
        }
    }

    #[cfg(any(target_os = "linux", target_os = "macos"))]
    #[test]
    fn full_group_fits_into_a_value() {
        let names = (0..shared::MAX_IN_GROUP).map(|index| (format!("{index:0>100}"), objective()));
        let table = ObjectiveTable { at: u64::MAX, objectives: names.collect() };
        assert!(postcard::to_allocvec(&table).unwrap().len() < CAPACITY);
    }
}
