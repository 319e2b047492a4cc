//! The actions of a fleet on one host: judged here while this host holds their lease, copied from the document else.
//!
//! One process of a host does so, the one that announces its instance:
//!
//! ```text
//!   hold ──► holder: apply requests ─► judge ─► store under the fence ──► stored: act, report, and copy it for this host
//!     │                                                               └─► late: nothing of it is done
//!     ├────► another's: copy what it has stored, hand over what is requested here
//!     └────► the fleet cannot be asked: nothing starts, and what is requested here waits
//! ```
//!
//! So an action starts only after the fleet knows that it has, and what another holder finds running that it does not run
//! itself is lost: a run that its host did not survive is not run again at once, and counts against the limits.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::control::Actions;
use super::fleet_table::FleetTable;
use super::kinds::ActionKind;
use super::running::ActionRun;
use super::scope::ActionScope;
use crate::engine::Engine;
use crate::model::CheckError;
use crate::model::clock;
use crate::runtime::{Process, process, random};
use crate::state::Fleet;
use crate::state::backend::fleet::document::{DOCUMENT_LEASE, DocumentStored};
use crate::state::backend::fleet::document_lease::DocumentLease;
use crate::state::fleet::TURN;
use crate::state::fleet_actions::{ActionRequest, DOCUMENT, REQUESTS};

/// How often a host that is not the holder asks for what has changed: what a person decides is known to all within 10 s.
const POLL: Duration = Duration::from_secs(6);
/// How often a request is handed over again that the document does not show.
const REPEAT: Duration = Duration::from_secs(15);
/// How often a process asks whether it speaks for its host.
const SPEAKS: Duration = Duration::from_secs(5);
/// For so long a new holder starts nothing: within that time each host hands over what was requested there, also one that
/// could not reach the store before.
const SETTLES: Duration = Duration::from_secs(8);
/// Why nothing starts while the store is lost.
const LOST: &str = "the fleet cannot be asked";

/// What one process does for the actions of its fleet.
pub(super) struct FleetHolder {
    actions: Arc<Actions>,
    process: Arc<Process>,
    lease: Option<DocumentLease>,
    table: FleetTable,
    speaks_until: Option<Instant>,
    next_poll: Option<Instant>,
    /// The fence with which this process leads, and since when.
    leads: Option<(u64, Instant)>,
    /// When each request of this host was handed over.
    sent: BTreeMap<u64, Instant>,
}

impl FleetHolder {
    pub fn new(actions: Arc<Actions>, process: Arc<Process>) -> Self {
        let (lease, speaks_until, next_poll, leads, sent) = Default::default();
        Self { table: FleetTable::new(actions.clone()), actions, process, lease, speaks_until, next_poll, leads, sent }
    }

    /// Takes part once, and returns what this process has to run for the fleet.
    pub async fn turn(&mut self) -> Option<ActionRun> {
        let engine = self.actions.engine()?;
        let fleet = engine.fleet()?.clone();
        if !self.speaks(&fleet) {
            self.resign(&fleet).await;
            return None;
        }
        if !fleet.is_usable() {
            self.leads = None;
            self.judge_alone(&engine).await;
            return None;
        }
        match self.exchange(&engine, &fleet).await {
            Ok(run) => {
                fleet.reached();
                run
            }
            Err(error) => {
                fleet.lost(&error);
                // What has become of the last command is not known: the next request for the lease says so.
                (self.lease, self.leads) = (None, None);
                None
            }
        }
    }

    /// Whether this process speaks for its host.
    fn speaks(&mut self, fleet: &Fleet) -> bool {
        if self.speaks_until.is_none_or(|until| until <= Instant::now()) {
            let speaks = fleet.takes_part() && fleet.announces(TURN);
            self.speaks_until = speaks.then(|| Instant::now() + SPEAKS);
        }
        self.speaks_until.is_some()
    }

    /// Gives the lease back: another process speaks for this host, or this one is about to end.
    async fn resign(&mut self, fleet: &Fleet) {
        let Some(lease) = self.lease.take() else { return };
        self.table.note_lead(Duration::ZERO);
        if lease.fence().is_some() {
            // It runs out by itself.
            let _ = fleet.store.release_document(&self.process, lease.key(), lease.token()).await;
        }
    }

    async fn exchange(&mut self, engine: &Arc<Engine>, fleet: &Fleet) -> Result<Option<ActionRun>, CheckError> {
        let holds = self.lease.as_ref().is_some_and(|lease| lease.fence().is_some());
        // What runs here is lost once another host holds the lease.
        let can_hold = self.can_hold() || holds && self.actions.fleet_runs.get_or_init(Default::default).are_any();
        if holds && !can_hold {
            self.resign(fleet).await;
        }
        let token = || format!("{}:{:016x}", fleet.instance(), self.table.owner.process);
        let lease = self.lease.get_or_insert_with(|| DocumentLease::new(&fleet.store, DOCUMENT, token()));
        let now = Instant::now();
        // One that must not acquire it does not learn when it may.
        let is_due = can_hold && lease.is_due() || self.next_poll.is_none_or(|at| at <= now);
        if is_due {
            let state = lease.hold(&fleet.store, &self.process, can_hold).await?;
            self.next_poll = Some(now + POLL.mul_f64(0.9 + 0.2 * random()));
            self.table.catch_up();
            if state.mark.is_some_and(|mark| mark > self.table.known.mark()) {
                self.table.load(fleet, &self.process).await?;
            }
        }
        match self.lease.as_ref().and_then(DocumentLease::fence) {
            Some(fence) => self.lead(engine, fleet, fence).await,
            None => {
                self.table.note_lead(Duration::ZERO);
                self.hand_over(fleet).await?;
                Ok(None)
            }
        }
    }

    /// Whether this process can do what the fleet's actions may have to.
    fn can_hold(&self) -> bool {
        let configs = || self.actions.settings.iter().filter(|config| config.scope == ActionScope::Fleet);
        let needs_python = configs().any(|config| matches!(config.kind, ActionKind::Callable { .. }));
        let is_able = !needs_python || self.process.callables.is_available();
        is_able && !process::draining() && self.actions.off().is_none()
    }

    /// Judges the fleet's table as the holder of its lease.
    async fn lead(&mut self, engine: &Arc<Engine>, fleet: &Fleet, fence: u64) -> Result<Option<ActionRun>, CheckError> {
        self.table.note_lead(DOCUMENT_LEASE);
        let requested = fleet.store.requested(&self.process, REQUESTS).await?;
        let ids: Vec<u64> = requested.iter().map(|(id, _)| *id).collect();
        let decoded = |(id, bytes): (u64, Vec<u8>)| Some((id, clock::decode_from_host(&bytes, Duration::ZERO)?));
        let mut requests: Vec<(u64, ActionRequest)> = requested.into_iter().filter_map(decoded).collect();
        requests.extend(self.table.pending());
        if self.leads.is_none_or(|(known, _)| known != fence) {
            self.leads = Some((fence, Instant::now()));
        }
        let is_settled = self.leads.is_some_and(|(_, since)| since.elapsed() >= SETTLES);
        let mut judged = self.table.judge(engine, requests, None, is_settled).await;
        if judged.next != self.table.known {
            let Some(value) = clock::encode_for_host(&judged.next) else { return Ok(None) };
            let key = fleet.store.document(DOCUMENT);
            let known = self.table.known.mark();
            match fleet.store.store_document(&self.process, &key, fence, known, &value).await? {
                DocumentStored::Yes(mark) => self.table.keep(std::mem::take(&mut judged.next).marked(mark)).await,
                DocumentStored::Late | DocumentStored::TooLarge => {
                    self.lease = None;
                    return Ok(None);
                }
            }
        }
        if !ids.is_empty() {
            // What stays there is applied by now, and is ignored.
            let _ = fleet.store.remove_requests(&self.process, REQUESTS, &ids).await;
        }
        Ok(self.table.conclude(engine, judged, true).await)
    }

    /// While the fleet cannot be asked: notes on this host that what is due does not start.
    async fn judge_alone(&mut self, engine: &Arc<Engine>) {
        self.table.note_lead(Duration::ZERO);
        self.table.catch_up();
        if self.actions.settings.plans(ActionScope::Fleet).is_empty() {
            return;
        }
        let mut judged = self.table.judge(engine, Vec::new(), Some(LOST), true).await;
        if judged.next != self.table.known {
            self.table.keep(std::mem::take(&mut judged.next)).await;
            self.table.conclude(engine, judged, false).await;
        }
    }

    /// Hands what is requested on this host to the holder.
    async fn hand_over(&mut self, fleet: &Fleet) -> Result<(), CheckError> {
        let pending = self.table.pending();
        let now = Instant::now();
        self.sent.retain(|id, at| at.elapsed() < REPEAT && pending.iter().any(|(known, _)| known == id));
        let new = pending.iter().filter(|(id, _)| !self.sent.contains_key(id));
        let new: Vec<(u64, Vec<u8>)> =
            new.filter_map(|(id, request)| Some((*id, clock::encode_for_host(request)?))).collect();
        if !new.is_empty() {
            fleet.store.request(&self.process, REQUESTS, &new).await?;
            self.sent.extend(new.iter().map(|(id, _)| (*id, now)));
        }
        Ok(())
    }
}
