//! Which action starts, and what keeps one that is due from starting.

use std::collections::BTreeMap;
use std::time::Duration;

use super::entry::{ActionCause, ActionEntry, EntryState};
use super::plan::{ActionPlan, Trigger};
use super::stop::{FleetPermission, Situation, Stop};
use super::table::{ActionLease, ActionState, ActionTable, IncidentKey, Request};
use super::watch::CheckEvidence;
use crate::model::Owner;
use crate::model::clock::Moment;

/// How much longer than a run its lease lasts: time to store its outcome.
const MARGIN: Duration = Duration::from_secs(5);

/// What is known of one check: by what it is judged, and its last message.
pub type Facts = BTreeMap<String, (CheckEvidence, String)>;

/// An action that this process has to run now, unless it is a dry run.
#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    pub action: String,
    pub entry: String,
    /// The number of its lease.
    pub fence: u64,
}

/// Why an action is to run.
enum Due {
    Person { author: String },
    Check { incident: IncidentKey },
    Rung { incident: IncidentKey, from: String },
}

impl Due {
    fn incident(&self) -> Option<&IncidentKey> {
        match self {
            Self::Person { .. } => None,
            Self::Check { incident } | Self::Rung { incident, .. } => Some(incident),
        }
    }
}

impl ActionTable {
    /// Starts an action if it is due and nothing keeps it from starting. The caller holds the lease then, and runs it,
    /// or `None`: another process runs one, it is not due, is stopped, or is a dry run.
    pub fn start(
        &mut self,
        plan: &ActionPlan,
        facts: &Facts,
        situation: &Situation,
        owner: Owner,
        now: Moment,
    ) -> Option<Started> {
        let due = self.due(plan, facts, now)?;
        let is_person = matches!(due, Due::Person { .. });
        if !situation.can_act || situation.is_draining || !(situation.has_started || is_person) {
            return None;
        }
        // What a person wants another process may still do, where only this one is switched off.
        let is_left = is_person && situation.off.is_some();
        if is_left || self.lease.is_some() || self.is_verifying(plan, &due) {
            return None;
        }
        if let Some(stop) = self.stop(plan, &due, situation, now) {
            self.note_stop(plan, &due, stop, now);
            return None;
        }
        let action = self.actions.entry(plan.name.clone()).or_default();
        let is_paused = now.since(action.last_ended) < plan.pause(action.recent(now));
        if action.recent(now) > 0 && is_paused && !is_person {
            return None;
        }
        match (situation.fleet, is_person) {
            (FleetPermission::Unknown, _) => return None,
            (FleetPermission::Full { acting, total }, _) => {
                self.note_stop(plan, &due, Stop::Quarter { acting, total }, now);
                return None;
            }
            (FleetPermission::Lost, false) if self.has_acted(now) => {
                self.note_stop(plan, &due, Stop::Alone, now);
                return None;
            }
            (FleetPermission::Granted | FleetPermission::Lost, _) => {}
        }
        self.record_start(plan, due, facts, owner, now)
    }

    /// How an action would start now if the fleet allowed it: as a run, or as a dry one; `None`: it would not.
    pub fn would_start(
        &self,
        plan: &ActionPlan,
        facts: &Facts,
        situation: &Situation,
        now: Moment,
    ) -> Option<EntryState> {
        let is_requested = self.actions.get(&plan.name).is_some_and(|action| action.request.is_some());
        let open = |trigger: &Trigger| self.open_incident(&trigger.check, trigger.status);
        if !is_requested && plan.trigger.as_ref().and_then(open).is_none() {
            return None;
        }
        let mut next = Self { entries: Vec::new(), ..self.clone() };
        let situation = Situation { fleet: FleetPermission::Granted, ..situation.clone() };
        next.start(plan, facts, &situation, Owner { member: 0, process: 0, lease: 0 }, now);
        let state = next.entries.pop()?.state;
        matches!(state, EntryState::Running | EntryState::WouldAct).then_some(state)
    }

    fn due(&mut self, plan: &ActionPlan, facts: &Facts, now: Moment) -> Option<Due> {
        if let Some(action) = self.actions.get_mut(&plan.name) {
            action.request.take_if(|request| matches!(request, Request::Person { until, .. } if now.boot >= *until));
            match &action.request {
                Some(Request::Person { author, .. }) => return Some(Due::Person { author: author.clone() }),
                Some(Request::Rung { incident, from }) => {
                    let watch = self.watches.get(&incident.watch)?;
                    let (evidence, _) = facts.get(&incident.watch.0)?;
                    let fails = watch.failures > 0 && watch.is_current(evidence, now);
                    return fails.then(|| Due::Rung { incident: incident.clone(), from: from.clone() });
                }
                None => {}
            }
        }
        let trigger = plan.trigger.as_ref()?;
        let incident = self.open_incident(&trigger.check, trigger.status)?;
        let (evidence, _) = facts.get(&trigger.check)?;
        let watch = self.watches.get(&incident.watch)?;
        let has_done_its_part = self.actions.get(&plan.name).is_some_and(|action| {
            // Nothing has failed since it ran last, or the next rung has taken over.
            let is_handed_on = action.effort(&incident).is_some_and(|effort| effort.is_handed_on);
            watch.last_bad <= action.last_ended || is_handed_on
        });
        (watch.is_due(trigger, evidence, now) && !has_done_its_part).then_some(Due::Check { incident })
    }

    /// Whether this action, or another one about the same check, has still to be verified.
    fn is_verifying(&self, plan: &ActionPlan, due: &Due) -> bool {
        let check = due.incident().map(|incident| &incident.watch.0);
        self.actions.iter().any(|(name, action)| {
            action
                .verification
                .as_ref()
                .is_some_and(|verification| *name == plan.name || Some(&verification.incident.watch.0) == check)
        })
    }

    fn stop(&self, plan: &ActionPlan, due: &Due, situation: &Situation, now: Moment) -> Option<Stop> {
        let switched_off = self.off.as_ref().map(|switch| Stop::SwitchedOff { by: switch.by.clone() });
        let disabled = self.disabled(&plan.name).map(|switch| Stop::Disabled { by: switch.by.clone() });
        let known = situation.stop();
        let Some(incident) = due.incident() else {
            // A person who runs it has seen how many instances fail, and how often it has run.
            let known = known.filter(|stop| !matches!(stop, Stop::Everywhere { .. }));
            return switched_off.or(disabled).or(known);
        };
        let action = self.actions.get(&plan.name);
        let runs = action.and_then(|action| action.effort(incident)).map_or(0, |effort| effort.runs);
        let per_incident = (runs >= plan.per_incident).then_some(Stop::PerIncident { limit: plan.per_incident });
        let recent = action.map_or(0, |action| action.recent(now));
        let per_hour = (recent >= plan.per_hour as usize).then_some(Stop::PerHour { limit: plan.per_hour });
        let runs = if per_incident.is_some() { runs } else { plan.per_hour };
        let limit = per_incident.or(per_hour);
        let everywhere = limit.as_ref().and_then(|_| self.watches.get(&incident.watch)?.fails_in_each());
        let everywhere = everywhere.map(|processes| Stop::InEachProcess { processes, runs });
        switched_off.or(disabled).or(known).or(everywhere).or(limit)
    }

    /// Notes what keeps an action from starting: each kind once in an incident.
    fn note_stop(&mut self, plan: &ActionPlan, due: &Due, stop: Stop, now: Moment) {
        let action = self.actions.entry(plan.name.clone()).or_default();
        match due.incident() {
            None => action.request = None,
            Some(incident) => {
                let Some(effort) = action.effort_mut(incident) else { return };
                if effort.stops.iter().any(|known| known.is_like(&stop)) {
                    return;
                }
                effort.stops.push(stop.clone());
            }
        }
        let mut entry = self.new_entry(plan, due, now);
        entry.become_state(EntryState::Stopped, &stop.in_words(), now.wall);
        self.push(entry);
    }

    fn record_start(
        &mut self,
        plan: &ActionPlan,
        due: Due,
        facts: &Facts,
        owner: Owner,
        now: Moment,
    ) -> Option<Started> {
        let reason = self.reason(&due, facts, now);
        let mut entry = self.new_entry(plan, &due, now).because(&reason);
        let is_dry = plan.dry_run && due.incident().is_some();
        let action = self.actions.entry(plan.name.clone()).or_default();
        note_run(action, &due, now);
        if is_dry {
            entry.become_state(EntryState::WouldAct, "", now.wall);
            self.push(entry);
            return None;
        }
        self.fence += 1;
        entry.fence = self.fence;
        let started = Started { action: plan.name.clone(), entry: entry.id.clone(), fence: self.fence };
        // What a person runs is verified by its check, too, while that fails.
        let own = |trigger: &Trigger| self.open_incident(&trigger.check, trigger.status);
        let incident = due.incident().cloned().or_else(|| plan.trigger.as_ref().and_then(own));
        self.lease = Some(ActionLease {
            owner,
            fence: self.fence,
            action: plan.name.clone(),
            entry: entry.id.clone(),
            incident,
            until: now.after(plan.timeout + MARGIN),
        });
        self.push(entry);
        Some(started)
    }

    fn new_entry(&self, plan: &ActionPlan, due: &Due, now: Moment) -> ActionEntry {
        let cause = match due {
            Due::Person { .. } => ActionCause::Person,
            Due::Check { .. } => ActionCause::Check,
            Due::Rung { .. } => ActionCause::Ladder,
        };
        let trigger = plan.trigger.as_ref().map(|trigger| trigger.check.as_str());
        let check = due.incident().map(|incident| incident.watch.0.as_str()).or(trigger);
        let mut entry = ActionEntry::new(&plan.name, &plan.kind, check, cause, now.wall);
        if let Due::Person { author } = due {
            entry.author.clone_from(author);
        }
        entry
    }

    fn reason(&self, due: &Due, facts: &Facts, now: Moment) -> String {
        let (incident, from) = match due {
            Due::Person { author } => return format!("{author} has run it"),
            Due::Check { incident } => (incident, None),
            Due::Rung { incident, from } => (incident, Some(from)),
        };
        let check = &incident.watch.0;
        let (failures, since) =
            self.watches.get(&incident.watch).map_or((0, None), |watch| (watch.failures, watch.failing_since));
        let seconds = since.map_or(0, |since| now.since(since).as_secs());
        let first = from.map(|from| format!("{from} did not help; ")).unwrap_or_default();
        let how = match failures {
            ..=1 => "fails".to_owned(),
            _ => format!("failed {failures} times in a row, for {seconds} s"),
        };
        let message = facts.get(check).map(|(_, message)| message.as_str()).unwrap_or_default();
        let joint = if message.is_empty() { "" } else { ": " };
        format!("{first}{check} {how}{joint}{message}")
    }
}

/// Counts a start, and takes the request for it away.
fn note_run(action: &mut ActionState, due: &Due, now: Moment) {
    action.request = None;
    action.note_start(now);
    if let Some(effort) = due.incident().and_then(|incident| action.effort_mut(incident)) {
        effort.runs += 1;
    }
}
