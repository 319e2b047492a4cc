//! What a host exchanges with the server of its fleet about incidents, and what it is by that: their holder or not.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::{FleetMember, note, note_alone};
use crate::delivery::alerts::Alerts;
use crate::model::CheckError;
use crate::policy::incident::alarm::InstanceAlarms;
use crate::runtime::Process;
use crate::runtime::tasks::run_blocking;
use crate::state::backend::fleet::alarms::REQUESTS;
use crate::state::backend::fleet::document::{DocumentMark, DocumentTurn};
use crate::state::backend::fleet::instances::{ANNOUNCE_EVERY, MISSED_AFTER};
use crate::state::fleet_alerts::FleetIncidents;

/// How long the lease of a holder that may come back is left to it: it tries again within 6 s.
const LEFT_FOR: Duration = Duration::from_secs(10);
/// How soon a host that has requested something looks for its outcome.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// What a host does for its fleet now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Decides for all, with this fence.
    Holder(u64),
    /// Decides alone: it was the last holder when the server was lost.
    Alone,
    Follower,
}

impl FleetMember {
    /// What this host is now: after an exchange with the server, if one is due.
    pub(super) async fn role(&mut self, alerts: &Arc<Alerts>, alarms: &InstanceAlarms, process: &Arc<Process>) -> Role {
        if !self.is_due(alerts, alarms) {
            return self.lease.fence().map_or(Role::Follower, Role::Holder);
        }
        let exchanged = if self.fleet.is_usable() { Some(self.exchange(alerts, alarms, process).await) } else { None };
        match exchanged {
            Some(Ok(role)) => {
                self.fleet.reached();
                self.reached_since.get_or_insert_with(Instant::now);
                return role;
            }
            Some(Err(error)) => self.fleet.lost(&error),
            None => {}
        }
        self.reached_since = None;
        let was_holder = alerts.desk(|desk| desk.leads.is_some()).unwrap_or_default();
        if was_holder {
            note_alone(alerts, SystemTime::now()).await;
            Role::Alone
        } else {
            Role::Follower
        }
    }

    fn is_due(&self, alerts: &Alerts, alarms: &InstanceAlarms) -> bool {
        let Some((said, at)) = &self.said else { return true };
        let waits = || alerts.desk(|desk| !desk.pending.is_empty()).unwrap_or_default();
        self.reached_since.is_none()
            || self.lease.is_due()
            || !said.is_same(alarms)
            || at.elapsed() >= ANNOUNCE_EVERY
            || at.elapsed() >= LOOK_AGAIN && waits()
    }

    async fn exchange(
        &mut self,
        alerts: &Arc<Alerts>,
        alarms: &InstanceAlarms,
        process: &Arc<Process>,
    ) -> Result<Role, CheckError> {
        let fleet = self.fleet.clone();
        let encoded = alarms.encode();
        let (leads, known, was_alone) =
            alerts.desk(|desk| (desk.leads, desk.mark(), desk.alone_since.is_some())).unwrap_or_default();
        let said = (&*self.instance, &encoded[..]);
        let mut state = self.lease.hold_and_announce(&fleet.store, process, leads.is_some(), said).await?;
        self.said = Some((alarms.clone(), Instant::now()));
        if state.turn == DocumentTurn::Other(Duration::ZERO) && self.may_acquire(state.mark, known) {
            state = self.lease.hold(&fleet.store, process, true).await?;
        }
        match state.turn {
            DocumentTurn::Holder(fence) => {
                self.left_since = None;
                if leads != Some(fence) {
                    if has_changed(state.mark, known, leads) && !self.follow(alerts, process).await? {
                        // Not before it has what the holder before has left: with the next tick.
                        self.lease.forget();
                        return Ok(Role::Follower);
                    }
                    note(alerts, move |desk| desk.leads = Some(fence)).await;
                }
                if leads != Some(fence) || was_alone {
                    self.stored.clear();
                }
                let watched = fleet.store.watch(process).await?;
                let reached = self.reached_since.map(|since| since.elapsed()).unwrap_or_default();
                self.watch.take(&watched.instances, reached);
                self.requests = watched.requests;
                Ok(Role::Holder(fence))
            }
            DocumentTurn::Other(left) => {
                if left.is_zero() {
                    self.left_since.get_or_insert_with(Instant::now);
                } else {
                    self.left_since = None;
                }
                if leads.is_some() {
                    note(alerts, |desk| desk.leads = None).await;
                }
                (self.watch, self.requests) = Default::default();
                if has_changed(state.mark, known, None) {
                    self.follow(alerts, process).await?;
                }
                let pending = alerts.desk(|desk| desk.pending.clone()).unwrap_or_default();
                if !pending.is_empty() {
                    fleet.store.request(process, REQUESTS, &pending).await?;
                }
                Ok(Role::Follower)
            }
        }
    }

    /// Whether this host may acquire a lease that is free. Where the server was away, or has lost its data, the last
    /// holder knows more than all others: it gets the time to come back.
    fn may_acquire(&self, stored: Option<DocumentMark>, known: DocumentMark) -> bool {
        let counts = self.fleet.counts(MISSED_AFTER);
        let is_alone = known.fence == 0 && counts.is_some_and(|counts| counts.states.iter().sum::<u64>() <= 1);
        let is_long = |since: Option<Instant>| since.is_some_and(|since| since.elapsed() >= LEFT_FOR);
        let is_certain = stored.is_some_and(|stored| stored >= known) && is_long(self.reached_since);
        is_alone || is_certain || is_long(self.left_since)
    }

    /// Takes over what is stored; false where another process holds the store. What cannot be decoded is left, and replaced
    /// by the next that is stored.
    async fn follow(&self, alerts: &Arc<Alerts>, process: &Arc<Process>) -> Result<bool, CheckError> {
        let Some(found) = self.fleet.store.load(process, self.lease.key()).await? else { return Ok(true) };
        let Some(all) = FleetIncidents::decode(&found.value, found.age) else { return Ok(true) };
        let adopting = alerts.clone();
        Ok(run_blocking(move || adopting.adopt(&all, found.mark).is_ok()).await.unwrap_or_default())
    }
}

/// Whether what is stored is newer than what this host has. `leads`: the fence with which it was the last holder: what it
/// has stored with that, with or without an answer, is in its tables, with all that it has decided since.
fn has_changed(stored: Option<DocumentMark>, known: DocumentMark, leads: Option<u64>) -> bool {
    stored.is_some_and(|stored| stored > known && Some(stored.fence) != leads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_holder_takes_over_what_others_have_stored_and_nothing_of_its_own() {
        let mark = |fence, revision| DocumentMark { fence, revision };
        let known = mark(5, 2);
        let found = [None, Some(mark(5, 2)), Some(mark(5, 3)), Some(mark(6, 1))]
            .map(|stored| [has_changed(stored, known, None), has_changed(stored, known, Some(5))]);
        assert_eq!(found, [[false, false], [false, false], [true, false], [true, true]]);
    }
}
