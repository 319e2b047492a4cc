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
//! that is gone, and continues. What it opens then continues as the incident of the others once it is back.

mod counting;
mod exchange;
mod leading;
mod targets;
mod watch;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::alerts::Alerts;
use super::sending::Claim;
use crate::model::clock;
use crate::policy::incident::alarm::InstanceAlarms;
use crate::runtime::tasks::run_blocking;
use crate::runtime::{Process, diagnostics};
use crate::state::Fleet;
use crate::state::backend::fleet::alarms::REQUESTS;
use crate::state::backend::fleet::document::DocumentStored;
use crate::state::backend::fleet::document_lease::DocumentLease;
use crate::state::fleet::TURN;
use crate::state::fleet_alerts::{DOCUMENT, FleetDesk};
use exchange::Role;
use watch::InstanceWatch;

/// A process that has not had its turn for so long knows nothing any more.
const FORGETS_AFTER: Duration = Duration::from_secs(30);
const LOGGER: &str = "lifesigns.incidents";

/// The part of this process in the incidents of its fleet.
pub struct FleetMember {
    fleet: Arc<Fleet>,
    /// The instance that this host is; empty until it is known.
    instance: String,
    lease: DocumentLease,
    watch: InstanceWatch,
    requests: Vec<(u64, Vec<u8>)>,
    /// What this host has said, and when.
    said: Option<(InstanceAlarms, Instant)>,
    /// Since when the server was reached without a break.
    reached_since: Option<Instant>,
    /// Since when the lease is free, and left to a holder that may come back.
    left_since: Option<Instant>,
    /// What was last stored as the holder.
    stored: Vec<u8>,
    /// Whether there was too much to store it.
    is_too_large: bool,
    last_turn: Option<Instant>,
}

impl FleetMember {
    pub fn new(fleet: Arc<Fleet>) -> Self {
        let (instance, lease) = (String::new(), DocumentLease::new(&fleet.store, DOCUMENT, String::new()));
        let (watch, requests, said, stored) = Default::default();
        let (reached_since, left_since, last_turn) = Default::default();
        let is_too_large = false;
        Self {
            fleet,
            instance,
            lease,
            watch,
            requests,
            said,
            reached_since,
            left_since,
            stored,
            is_too_large,
            last_turn,
        }
    }

    /// Does what is to be done now, if this process speaks for its host; returns what it has to send, and whether this
    /// host decides about incidents.
    pub async fn tick(&mut self, alerts: &Arc<Alerts>, process: &Arc<Process>) -> (Vec<Claim>, bool) {
        let fleet = self.fleet.clone();
        let speak = move || (fleet.takes_part() && fleet.announces(TURN)).then(|| fleet.instance());
        let Some(instance) = run_blocking(speak).await.unwrap_or_default() else {
            // Another process of the host may store something.
            self.stored.clear();
            return (Vec::new(), false);
        };
        if self.last_turn.is_some_and(|last| last.elapsed() > FORGETS_AFTER) {
            *self = Self::new(self.fleet.clone());
        }
        self.last_turn = Some(Instant::now());
        if self.instance != instance {
            self.lease = DocumentLease::new(&self.fleet.store, DOCUMENT, instance.clone());
            self.instance = instance;
        }
        let (counting, name) = (alerts.clone(), self.fleet.name.clone());
        let counted = run_blocking(move || counting.count_here(&name)).await.unwrap_or_default();
        // Another process holds the store: what was said before stands.
        let Some(alarms) = counted.or_else(|| self.said.as_ref().map(|(said, _)| said.clone())) else {
            return (Vec::new(), false);
        };
        let role = self.role(alerts, &alarms, process).await;
        if role == Role::Follower {
            return (Vec::new(), false);
        }
        self.watch.take_own(&self.instance, &alarms);
        let decided_at = SystemTime::now();
        let (watch, requests) = (std::mem::take(&mut self.watch), self.requests.clone());
        let leading = alerts.clone();
        let led = run_blocking(move || (leading.lead(&watch, &requests), watch)).await;
        let Some((claims, watch)) = led else { return (Vec::new(), false) };
        self.watch = watch;
        if let Role::Holder(fence) = role
            && !self.store(alerts, fence, decided_at, process).await
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

    /// Stores what was decided since `decided_at`; false if another host is the holder by now, so that nothing may be sent.
    async fn store(
        &mut self,
        alerts: &Arc<Alerts>,
        fence: u64,
        decided_at: SystemTime,
        process: &Arc<Process>,
    ) -> bool {
        let encoding = alerts.clone();
        let encoded = run_blocking(move || encoding.encode_for_fleet()).await.unwrap_or_default();
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
            let (last, value) = (alerts.desk(FleetDesk::mark).unwrap_or_default(), clock::for_host(&encoded));
            match self.fleet.store.store_document(process, self.lease.key(), fence, last, &value).await {
                Ok(DocumentStored::Yes(mark)) => {
                    let is_stored = move |desk: &mut FleetDesk| {
                        desk.has(mark);
                        desk.forget_applied();
                    };
                    note(alerts, is_stored).await;
                }
                Ok(DocumentStored::Late) => {
                    note(alerts, |desk| desk.leads = None).await;
                    self.lease.forget();
                    return false;
                }
                Ok(DocumentStored::TooLarge) => {}
                Err(error) => {
                    // It is the last holder, which continues.
                    self.fleet.lost(&error);
                    self.reached_since = None;
                    note_alone(alerts, decided_at).await;
                    return true;
                }
            }
            self.stored = encoded;
        }
        // What was not applied is found there again.
        let done = alerts.desk(|desk| ids.iter().copied().filter(|id| desk.applied.contains(id)).collect::<Vec<_>>());
        if let Some(done) = done.filter(|done| !done.is_empty()) {
            let _ = self.fleet.store.remove_requests(process, REQUESTS, &done).await;
        }
        true
    }
}

/// Notes that this host decides alone since then, unless it did before.
async fn note_alone(alerts: &Arc<Alerts>, since: SystemTime) {
    note(alerts, move |desk| desk.alone_since = desk.alone_since.or(Some(since))).await;
}

/// Changes what the host knows beside the incidents.
async fn note(alerts: &Arc<Alerts>, change: impl FnMut(&mut FleetDesk) + Send + 'static) {
    let alerts = alerts.clone();
    let _ = run_blocking(move || alerts.note_on_desk(change)).await;
}
