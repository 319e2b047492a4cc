//! Says what was done: in the log, and in the incident that it was done about.

use std::time::Duration;

use super::control::Actions;
use super::scope::ActionScope;
use crate::delivery::Alerts;
use crate::model::clock::Moment;
use crate::policy::action::{ActionEntry, ActionTable, EntryState};
use crate::runtime::diagnostics;
use crate::state::incidents::IncidentStore;

/// The logger of actions.
const LOGGER: &str = "lifesigns.actions";
/// How long after it an incident may open that an action was about.
const NOTED_WITHIN: Duration = Duration::from_secs(3_600);

/// What is to be said of the fleet's actions: each with whether nothing of it was said before.
#[derive(Debug, Default)]
pub struct UnsaidEntries {
    logged: Vec<(ActionEntry, bool)>,
    noted: Vec<(ActionEntry, bool)>,
}

/// What of an entry is worth a line: each of its states, but that it is still to be verified only as the first of them.
fn is_reported(entry: &ActionEntry, seen: u64) -> bool {
    entry.state != EntryState::Verifying || seen == 0
}

impl Actions {
    /// Says what has changed since it was last said: once in the scope.
    pub(super) fn report(&self, now: Moment) {
        for scope in ActionScope::ON_HOST {
            for (entry, _) in self.take_new(scope, |entry| &mut entry.logged, |_| true) {
                log(&entry);
            }
            let Some(alerts) = &self.alerts else { continue };
            let is_due = |entry: &ActionEntry| is_to_be_noted(alerts, entry, now);
            for (entry, is_first) in self.take_new(scope, |entry| &mut entry.noted, is_due) {
                note(alerts, &entry, is_first);
            }
        }
    }

    /// Takes from the fleet's table what has changed since it was last said: to be said once the fleet has that table.
    pub(super) fn take_report(&self, table: &mut ActionTable, now: Moment) -> UnsaidEntries {
        let logged = take_changed(&mut table.entries, |entry| &mut entry.logged, is_reported);
        let noted = self.alerts.as_ref().map(|alerts| {
            let is_due = |entry: &ActionEntry, seen| is_reported(entry, seen) && is_to_be_noted(alerts, entry, now);
            take_changed(&mut table.entries, |entry| &mut entry.noted, is_due)
        });
        UnsaidEntries { logged, noted: noted.unwrap_or_default() }
    }

    /// Says it.
    pub(super) fn say(&self, report: &UnsaidEntries) {
        report.logged.iter().for_each(|(entry, _)| log(entry));
        let Some(alerts) = &self.alerts else { return };
        for (entry, is_first) in &report.noted {
            note(alerts, entry, *is_first);
        }
    }

    /// The entries that have changed since the revision that `seen` names, which is the present one from now on; each
    /// with whether it was never seen before.
    fn take_new(
        &self,
        scope: ActionScope,
        seen: impl Fn(&mut ActionEntry) -> &mut u64,
        is_due: impl Fn(&ActionEntry) -> bool,
    ) -> Vec<(ActionEntry, bool)> {
        let Some(stores) = self.stores() else { return Vec::new() };
        let is_new = |entry: &ActionEntry| {
            let known = *seen(&mut entry.clone());
            known < entry.revision && is_reported(entry, known) && is_due(entry)
        };
        let ids = |entries: &[ActionEntry]| -> Vec<String> {
            entries.iter().filter(|entry| is_new(entry)).map(|entry| entry.id.clone()).collect()
        };
        let due = stores.of(scope).read(|table| ids(&table.entries));
        if due.is_empty() {
            return Vec::new();
        }
        let taken = self.change(scope, |table| {
            // Another process may have been quicker.
            take_changed(&mut table.entries, &seen, |entry, _| due.contains(&entry.id))
        });
        taken.unwrap_or_default()
    }
}

/// Marks the entries as seen that have changed since, and are due: returns them, each with whether it was never seen.
fn take_changed(
    entries: &mut [ActionEntry],
    seen: impl Fn(&mut ActionEntry) -> &mut u64,
    is_due: impl Fn(&ActionEntry, u64) -> bool,
) -> Vec<(ActionEntry, bool)> {
    let mut changed = Vec::new();
    for entry in entries {
        let (revision, known) = (entry.revision, *seen(entry));
        if known < revision && is_due(entry, known) {
            *seen(entry) = revision;
            changed.push((entry.clone(), known == 0));
        }
    }
    changed
}

fn log(entry: &ActionEntry) {
    let is_good = matches!(entry.state, EntryState::Healed | EntryState::Done);
    diagnostics::publish_to(LOGGER, !is_good, entry.in_words());
}

/// Whether its incident is open by now, which takes more failures than the action.
fn is_to_be_noted(alerts: &Alerts, entry: &ActionEntry, now: Moment) -> bool {
    // Where the clock was set back, it was just now.
    let is_recent = now.wall.duration_since(entry.at).unwrap_or_default() < NOTED_WITHIN;
    is_recent && entry.check.as_deref().is_some_and(|check| has_open(alerts, check))
}

fn has_open(alerts: &Alerts, check: &str) -> bool {
    let Some(stores) = alerts.stores() else { return false };
    let is_open = stores.incidents.read(IncidentStore::group_of(check), None, |table| {
        table.0.get(check).is_some_and(|subject| subject.open.is_some())
    });
    is_open.unwrap_or_default()
}

/// Notes it in the open incident of its check. A store that is in use for a second keeps one line out of one incident.
fn note(alerts: &Alerts, entry: &ActionEntry, is_first: bool) {
    let Some(check) = &entry.check else { return };
    let text = match entry.state {
        EntryState::Running | EntryState::WouldAct | EntryState::Stopped => entry.in_words(),
        // It was started before the incident was opened.
        _ if is_first => format!("{}; started since {}", entry.in_words(), entry.reason),
        _ => entry.in_words(),
    };
    let _ = alerts.note(check, text);
}
