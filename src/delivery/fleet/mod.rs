//! Incidents of a fleet: one host decides about them for all, and sends what is due.
//!
//! ```text
//!   each host, one process of it:  counts what fails here ──► says so, and requests the lease of the incidents
//!        │
//!        ├─ holder ──► takes over what the one before has left, then once a second:
//!        │                applies requests, judges by what all instances say, stores, and sends what is stored
//!        │                  │ stored late: another host has a higher fence: it sends nothing, and follows
//!        │                  └ the server is lost: it continues alone, by what it knew and by what fails here
//!        └─ another host holds it ──► takes over a copy of what that one has stored, and hands over what is requested here
//!                           └ the server is lost: it sends nothing; its copy, its counts and requests wait
//! ```
//!
//! Guarantees: an incident, its key and its notices are the same whichever host holds the lease, since nothing is sent
//! before it is stored where the next holder finds it. A notice whose holder has died may be repeated, with the same id;
//! none is lost. After the server has lost its data the last holder stores what it has; other hosts leave it the time to.
//!
//! Not guaranteed: one alert where a holder is cut off from the server that others reach: it cannot tell that from a server
//! that is gone, and goes on. What it opens then continues as the incident of the others once it is back.

mod counting;
mod leading;
mod targets;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::alerts::Alerts;
use super::sending::Claim;
use crate::model::CheckError;
use crate::policy::incident::alarm::InstanceAlarms;
use crate::runtime::{Process, diagnostics};
use crate::state::Fleet;
use crate::state::backend::fleet::document::{DocumentMark, DocumentStored, DocumentTurn};
use crate::state::backend::fleet::document_lease::DocumentLease;
use crate::state::backend::fleet::instances::{ANNOUNCE_EVERY, MISSED_AFTER};
use crate::state::fleet::TURN;
use crate::state::fleet_alerts::{DOCUMENT, FleetIncidents, document};
use watch::InstanceWatch;

/// How long the lease of a holder that may come back is left to it: it tries again within 6 s.
const LEFT_FOR: Duration = Duration::from_secs(10);
/// How soon a host that has requested something looks for what came of it.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// A process that has not had its turn for so long knows nothing any more.
const FORGETS_AFTER: Duration = Duration::from_secs(5);
const LOGGER: &str = "lifesigns.incidents";

/// What a host does for its fleet now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Decides for all, with this fence.
    Holder(u64),
    /// Decides alone: it was the last holder when the server was lost.
    Alone,
    Follower,
}

/// The part of this process in the incidents of its fleet.
pub struct FleetMember {
    fleet: Arc<Fleet>,
    lease: DocumentLease,
    watch: InstanceWatch,
    requests: Vec<(u64, Vec<u8>)>,
    /// What this host has said, and when.
    said: Option<(InstanceAlarms, Instant)>,
    /// Since when the server was reached without a break.
    reached_since: Option<Instant>,
    /// Since when the lease is nobody's, and left to a holder that may come back.
    left_since: Option<Instant>,
    /// What was last stored as the holder.
    stored: Vec<u8>,
    /// Whether there was too much to store it.
    is_too_large: bool,
    last_turn: Option<Instant>,
}

impl FleetMember {
    pub fn new(fleet: Arc<Fleet>) -> Self {
        let lease = DocumentLease::new(&fleet.store, DOCUMENT, fleet.instance());
        let (watch, requests, said, stored) = Default::default();
        let (reached_since, left_since, last_turn) = Default::default();
        let is_too_large = false;
        Self { fleet, lease, watch, requests, said, reached_since, left_since, stored, is_too_large, last_turn }
    }

    /// Does what is to be done now, if this process speaks for its host; returns what it has to send, and whether this
    /// host decides about incidents.
    pub async fn tick(&mut self, alerts: &Arc<Alerts>, process: &Arc<Process>) -> (Vec<Claim>, bool) {
        let fleet = self.fleet.clone();
        let is_speaker = spawn_blocking(move || fleet.takes_part() && fleet.announces(TURN)).await.unwrap_or_default();
        if !is_speaker {
            return (Vec::new(), false);
        }
        if self.last_turn.is_some_and(|last| last.elapsed() > FORGETS_AFTER) {
            *self = Self::new(self.fleet.clone());
        }
        self.last_turn = Some(Instant::now());
        let (counting, name) = (alerts.clone(), self.fleet.name.clone());
        let counted = spawn_blocking(move || counting.count_here(&name)).await.unwrap_or_default();
        // Another process holds the store: what was said before stands.
        let Some(alarms) = counted.or_else(|| self.said.as_ref().map(|(said, _)| said.clone())) else {
            return (Vec::new(), false);
        };
        let role = self.role(alerts, &alarms, process).await;
        if role == Role::Follower {
            return (Vec::new(), false);
        }
        self.watch.take_own(&self.fleet.instance(), &alarms);
        let (watch, requests) = (std::mem::take(&mut self.watch), self.requests.clone());
        let leading = alerts.clone();
        let led = spawn_blocking(move || (leading.lead(&watch, &requests), watch)).await;
        let Ok((claims, watch)) = led else { return (Vec::new(), false) };
        self.watch = watch;
        if let Role::Holder(fence) = role
            && !self.store(alerts, fence, process).await
        {
            return (Vec::new(), false);
        }
        (claims, true)
    }

    /// Gives the lease back, for a host that ends.
    pub async fn release(&mut self, process: &Arc<Process>) {
        if self.lease.fence().is_some() {
            let _ = self.fleet.store.release_document(process, self.lease.key(), self.lease.token()).await;
            self.lease.forget();
        }
    }

    /// What this host is now: after an exchange with the server, if one is due.
    async fn role(&mut self, alerts: &Arc<Alerts>, alarms: &InstanceAlarms, process: &Arc<Process>) -> Role {
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
            alerts.note_alone();
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
        let (instance, encoded) = (fleet.instance(), alarms.encode());
        let (leads, known, was_alone) =
            alerts.desk(|desk| (desk.leads, desk.mark(), desk.alone_since.is_some())).unwrap_or_default();
        let said = (&*instance, &encoded[..]);
        let mut state = self.lease.hold_and_announce(&fleet.store, process, leads.is_some(), said).await?;
        self.said = Some((alarms.clone(), Instant::now()));
        if state.turn == DocumentTurn::Other(Duration::ZERO) && self.may_acquire(state.mark, known) {
            state = self.lease.hold(&fleet.store, process, true).await?;
        }
        match state.turn {
            DocumentTurn::Holder(fence) => {
                self.left_since = None;
                if leads != Some(fence) {
                    self.follow(alerts, state.mark, known, process).await?;
                    alerts.note_on_desk(|desk| desk.leads = Some(fence));
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
                alerts.note_on_desk(|desk| desk.leads = None);
                (self.watch, self.requests) = Default::default();
                self.follow(alerts, state.mark, known, process).await?;
                let pending = alerts.desk(|desk| desk.pending.clone()).unwrap_or_default();
                if !pending.is_empty() {
                    fleet.store.request(process, &pending).await?;
                }
                Ok(Role::Follower)
            }
        }
    }

    /// Whether this host may acquire a lease that is nobody's. Where the server was away, or has lost its data, the last
    /// holder knows more than all others: it gets the time to come back.
    fn may_acquire(&self, stored: Option<DocumentMark>, known: DocumentMark) -> bool {
        let counts = self.fleet.counts(MISSED_AFTER);
        let is_alone = known.fence == 0 && counts.is_some_and(|counts| counts.states.iter().sum::<u64>() <= 1);
        let is_long = |since: Option<Instant>| since.is_some_and(|since| since.elapsed() >= LEFT_FOR);
        let is_certain = stored.is_some_and(|stored| stored >= known) && is_long(self.reached_since);
        is_alone || is_certain || is_long(self.left_since)
    }

    /// Takes over what is stored, if it is newer than what this host has.
    async fn follow(
        &self,
        alerts: &Arc<Alerts>,
        stored: Option<DocumentMark>,
        known: DocumentMark,
        process: &Arc<Process>,
    ) -> Result<(), CheckError> {
        if stored.is_none_or(|stored| stored <= known) {
            return Ok(());
        }
        let Some(found) = self.fleet.store.load(process, self.lease.key()).await? else { return Ok(()) };
        let Some(all) = FleetIncidents::decode(&found.value, found.age) else { return Ok(()) };
        let adopting = alerts.clone();
        let _ = spawn_blocking(move || adopting.adopt(&all, found.mark)).await;
        Ok(())
    }

    /// Stores what was decided; false if another host is the holder by now, so that nothing may be sent.
    async fn store(&mut self, alerts: &Arc<Alerts>, fence: u64, process: &Arc<Process>) -> bool {
        let encoding = alerts.clone();
        let encoded = spawn_blocking(move || encoding.encode_for_fleet()).await.unwrap_or_default();
        let Some(encoded) = encoded else {
            if !std::mem::replace(&mut self.is_too_large, true) {
                let text = "incidents are too many for the fleet: no other host can continue them".to_owned();
                diagnostics::publish_to(LOGGER, true, text);
            }
            return true;
        };
        self.is_too_large = false;
        let ids: Vec<u64> = self.requests.drain(..).map(|(id, _)| id).collect();
        if encoded != self.stored {
            let stored = self.fleet.store.store_document(process, self.lease.key(), fence, &document(&encoded)).await;
            match stored {
                Ok(DocumentStored::Yes(mark)) => alerts.note_on_desk(|desk| {
                    desk.has(mark);
                    desk.forget_applied();
                }),
                Ok(DocumentStored::Late) => {
                    alerts.note_on_desk(|desk| desk.leads = None);
                    self.lease.forget();
                    return false;
                }
                Ok(DocumentStored::TooLarge) => {}
                Err(error) => {
                    // It is the last holder, which continues.
                    self.fleet.lost(&error);
                    return true;
                }
            }
            self.stored = encoded;
        }
        // What was not applied is found there again.
        let done = alerts.desk(|desk| ids.iter().copied().filter(|id| desk.applied.contains(id)).collect::<Vec<_>>());
        if let Some(done) = done.filter(|done| !done.is_empty()) {
            let _ = self.fleet.store.remove_requests(process, &done).await;
        }
        true
    }
}
