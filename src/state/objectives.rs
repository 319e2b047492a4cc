//! What is known of objectives, for metrics and alerts: worked out by one process, known to all that share with it.
//!
//! The history, which knows them, is in a database; neither a scrape nor an alert may wait for that. So the process that
//! records hands them over about once a minute. What was not renewed for [`MAX_AGE`] is not known any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::TableSnapshot;
use super::scope::{Scope, key};
use super::stored::{Fits, Stored};
use crate::model::{CollectOrdered, Severity, clock};
use crate::policy::incident::truncated;
use crate::runtime::PerProcess;

/// What they are kept as: with another number for each layout, see [`super::layout`].
pub(super) const KEY: &str = "objectives 2";
/// After which nothing is known any more.
const MAX_AGE: Duration = Duration::from_secs(300);
const LOCK_TIMEOUT: Duration = Duration::from_millis(5);
/// Values that hold the objectives, by the names' hashes.
const GROUPS: u8 = 16;
/// Bytes of a message, and where there is no room.
const MAX_MESSAGE: usize = 500;
const SHORT_MESSAGE: usize = 100;
/// Objectives in one value: with names of 100 bytes, short messages and windows as there are they fit.
const MAX_IN_GROUP: usize = 350;

/// What is known of the objective of one check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// The share of time that is to be good.
    pub ratio: f64,
    /// The share of the error budget that is left; negative once it is overspent, `None` where nothing is known.
    pub budget_remaining: Option<f64>,
    /// How fast the budget is spent, by window (`5m`): 1 spends all of it within the period.
    pub burn_rates: BTreeMap<String, f64>,
    /// Why somebody has to know of it now.
    pub alarm: Option<BudgetAlarm>,
}

/// The budget is spent too fast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetAlarm {
    pub severity: Severity,
    pub message: String,
}

/// What was known of an objective, and whether it still is.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownObjective {
    pub objective: Objective,
    pub is_recent: bool,
}

/// Objectives by check, and when they were worked out.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ObjectiveTable {
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

impl Fits for ObjectiveTable {
    fn shrink(&mut self, round: usize) -> bool {
        let alarms = self.objectives.values_mut().filter_map(|objective| objective.alarm.as_mut());
        alarms.for_each(|alarm| alarm.message = truncated(&alarm.message, SHORT_MESSAGE));
        round == 0
    }
}

/// The objectives of the checks of one engine.
#[derive(Default)]
pub struct Objectives(PerProcess<Vec<Stored<ObjectiveTable>>>);

impl Objectives {
    /// Replaces them, for all that share, by what was worked out `age` ago.
    pub fn set(&self, scope: &Scope, objectives: BTreeMap<String, Objective>, age: Duration) {
        let mut groups: Vec<BTreeMap<String, Objective>> = (0..GROUPS).map(|_| BTreeMap::new()).collect();
        for (name, mut objective) in objectives {
            if let Some(alarm) = objective.alarm.as_mut() {
                alarm.message = truncated(&alarm.message, MAX_MESSAGE);
            }
            if let Some(group) = groups.get_mut(group_of(&name)).filter(|group| group.len() < MAX_IN_GROUP) {
                group.insert(name, objective);
            }
        }
        let at = clock::now().saturating_sub(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX));
        for (stored, objectives) in self.stored(scope).iter().zip(groups) {
            // What cannot be stored now is stored a minute later.
            let _ = stored.update(LOCK_TIMEOUT, |table| {
                let is_empty = table.objectives.is_empty() && objectives.is_empty();
                *table = ObjectiveTable { at, objectives: objectives.clone() };
                !is_empty
            });
        }
    }

    /// Those that are recent enough, by check.
    pub fn recent(&self, scope: &Scope) -> BTreeMap<String, Objective> {
        let known = self.known(scope, None).into_iter().filter(|(_, known)| known.is_recent);
        known.map(|(name, known)| (name, known.objective)).collect_ordered()
    }

    /// All that were known when they were last worked out, by check.
    pub fn known(&self, scope: &Scope, snapshot: Option<&TableSnapshot>) -> BTreeMap<String, KnownObjective> {
        let now = clock::now();
        let mut found = BTreeMap::new();
        for stored in self.stored(scope).iter() {
            stored.read(snapshot, |table| {
                let is_recent = table.is_recent(now);
                let known = |objective: &Objective| KnownObjective { objective: objective.clone(), is_recent };
                found.extend(table.objectives.iter().map(|(name, objective)| (name.clone(), known(objective))));
            });
        }
        found
    }

    fn stored(&self, scope: &Scope) -> Arc<Vec<Stored<ObjectiveTable>>> {
        self.0.get_or_init(|| (0..GROUPS).map(|group| Stored::new(scope, &format!("{KEY} {group}"))).collect())
    }
}

/// Which value holds the objective of a check.
fn group_of(name: &str) -> usize {
    key(name).first().map_or(0, |byte| usize::from(byte % GROUPS))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::state::backend::CAPACITY;

    fn objective() -> Objective {
        let windows = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"];
        let burn_rates = windows.map(|window| (window.to_owned(), 1.5)).into();
        let alarm = Some(BudgetAlarm { severity: Severity::Critical, message: "m".repeat(MAX_MESSAGE) });
        Objective { ratio: 0.999, budget_remaining: Some(0.5), burn_rates, alarm }
    }

    #[test]
    fn objectives_are_replaced_and_shown_in_process_scope() {
        let objectives = Objectives::default();
        assert!(objectives.recent(&Scope::Process).is_empty());
        objectives.set(&Scope::Process, [("a".to_owned(), objective())].into(), Duration::ZERO);
        objectives.set(&Scope::Process, [("b".to_owned(), objective())].into(), Duration::ZERO);
        assert_eq!(objectives.recent(&Scope::Process), [("b".to_owned(), objective())].into());
        objectives.set(&Scope::Process, [("b".to_owned(), objective())].into(), MAX_AGE);
        assert!(objectives.recent(&Scope::Process).is_empty(), "another host has worked them out too long ago");
    }

    #[test]
    fn table_is_recent_for_five_minutes_of_this_boot() {
        let table = ObjectiveTable { at: 1_000, ..ObjectiveTable::default() };
        let minutes = |minutes: u64| 1_000 + minutes * 60_000_000_000;
        for (now, expected) in [(1_000, true), (minutes(4), true), (minutes(5), false), (999, false)] {
            assert_eq!(table.is_recent(now), expected, "{now}");
        }
    }

    #[test]
    fn full_group_fits_into_a_value_with_short_messages() {
        let names = (0..MAX_IN_GROUP).map(|index| (format!("{index:0>100}"), objective()));
        let mut table = ObjectiveTable { at: u64::MAX, objectives: names.collect() };
        assert!(postcard::to_allocvec(&table).unwrap().len() > CAPACITY);
        assert!(table.shrink(0));
        assert!(postcard::to_allocvec(&table).unwrap().len() < CAPACITY);
        assert!(!table.shrink(1));
    }
}
