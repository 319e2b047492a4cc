//! The alerts of one engine: its incidents and silences, for callers in any process of the scope.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use super::observe::{READINESS, WEDGED_WORKER};
use super::requests::{AlertRequest, Change};
use super::senders::Senders;
use super::settings::AlertSettings;
use crate::engine::{Engine, UnknownCheck};
use crate::model::clock::Moment;
use crate::model::{Event, EventKind, IncidentEvent, SpecError, check_of};
use crate::monitor::acquire_to_notice;
use crate::policy::incident::{Incident, Subject, truncated};
use crate::policy::suppression::Silence;
use crate::runtime::PerProcess;
use crate::state::alert_control::{AlertControl, ControlStore};
use crate::state::backend::Busy;
use crate::state::delivery_counts::DeliveryCountStore;
use crate::state::fleet_alerts::{DeskStore, FleetDesk};
use crate::state::incidents::IncidentStore;

/// How long a thread may wait for another process to unlock a value.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_millis(5);
/// How long a caller waits for a change that must not be lost.
const GIVE_UP_AFTER: Duration = Duration::from_secs(1);

/// Bytes of what a person writes.
const MAX_AUTHOR: usize = 100;
const MAX_COMMENT: usize = 500;

/// The alerts of one engine, in every process that uses it.
pub struct Alerts {
    engine: Weak<Engine>,
    pub settings: AlertSettings,
    stores: PerProcess<Stores>,
    pub(super) senders: PerProcess<Senders>,
}

/// Where one process finds what all of its scope know.
pub struct Stores {
    pub incidents: IncidentStore,
    pub control: ControlStore,
    pub counts: DeliveryCountStore,
    /// Of a host of a fleet.
    pub fleet: Option<FleetStores>,
}

/// What a host of a fleet has beside the incidents of all.
pub struct FleetStores {
    /// What it counts of its own.
    pub counted: IncidentStore,
    pub desk: DeskStore,
}

/// Another process holds what is to be changed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("The store is in use by another process; try again")]
pub struct StoreInUse;

impl Alerts {
    pub fn new(engine: &Arc<Engine>, settings: AlertSettings) -> Self {
        acquire_to_notice(settings.wedged_after);
        let (stores, senders) = (PerProcess::new(), PerProcess::new());
        Self { engine: Arc::downgrade(engine), settings, stores, senders }
    }

    /// The engine, unless it is gone.
    pub fn engine(&self) -> Option<Arc<Engine>> {
        self.engine.upgrade()
    }

    pub fn stores(&self) -> Option<Arc<Stores>> {
        let engine = self.engine()?;
        Some(self.stores.get_or_init(|| {
            let (scope, application) = (engine.scope(), self.settings.application.as_str());
            Stores {
                incidents: IncidentStore::new(scope, application),
                control: ControlStore::new(scope, application),
                counts: DeliveryCountStore::new(scope, application),
                fleet: engine.fleet().map(|_| FleetStores {
                    counted: IncidentStore::of_instance(scope, application),
                    desk: DeskStore::new(scope, application),
                }),
            }
        }))
    }

    /// Allocates what the store needs for incidents: it may be full when there is one.
    pub(super) fn reserve(&self) {
        let Some(stores) = self.stores() else { return };
        for group in stores.incidents.groups() {
            // Busy: another process does so.
            let _ = stores.incidents.update(group, LOCK_TIMEOUT, |table| table.0.is_empty());
        }
        let _ = stores.control.update(LOCK_TIMEOUT, |control| *control == AlertControl::default());
        let _ = stores.counts.reserve(LOCK_TIMEOUT);
        if let Some(FleetStores { counted, desk }) = &stores.fleet {
            let _ = counted.update(0, LOCK_TIMEOUT, |table| table.0.is_empty());
            let _ = desk.update(LOCK_TIMEOUT, |desk| *desk == FleetDesk::default());
        }
    }

    /// Publishes what happened to incidents.
    pub(super) fn publish(&self, engine: &Engine, changes: Vec<Change>) {
        for (change, incident) in changes {
            let message = if incident.resolved_at.is_some() { &incident.ended } else { &incident.message };
            publish(engine, change, &incident, message.clone(), None);
        }
    }

    /// Changes the incidents of one value, and waits for that if another process holds them.
    pub fn update<R>(
        &self,
        group: usize,
        mut change: impl FnMut(&mut BTreeMap<String, Subject>) -> Option<R>,
    ) -> Result<Option<R>, StoreInUse> {
        let Some(stores) = self.stores() else { return Ok(None) };
        retry_while_busy(|| {
            let mut changed = None;
            stores.incidents.update(group, LOCK_TIMEOUT, |table| {
                changed = change(&mut table.0);
                changed.is_some()
            })?;
            Ok(changed)
        })
    }

    /// All incidents, the oldest first.
    pub fn incidents(&self, open_only: bool) -> Vec<Incident> {
        let Some(stores) = self.stores() else { return Vec::new() };
        let mut incidents: Vec<Incident> = Vec::new();
        if self.pending(Moment::now()).is_empty() {
            for group in stores.incidents.groups() {
                stores.incidents.read(group, None, |table| incidents.extend(table.incidents().cloned()));
            }
        } else {
            incidents.extend(self.known().0.values().flat_map(Subject::incidents).cloned());
        }
        incidents.retain(|incident| !open_only || incident.resolved_at.is_none());
        incidents.sort_by_cached_key(|incident| incident.fired_at);
        incidents
    }

    /// Acknowledges the open incident of a subject, which another version of the application may have; false if there is
    /// none.
    pub fn acknowledge(&self, check: &str, author: &str, comment: &str) -> Result<bool, AlertError> {
        let engine = self.engine().ok_or(StoreInUse)?;
        let (author, comment) = (truncated(author, MAX_AUTHOR), truncated(comment, MAX_COMMENT));
        let acknowledged = self.perform(&AlertRequest::Acknowledge { check: check.to_owned(), author, comment })?;
        if acknowledged.is_none() && ![READINESS, WEDGED_WORKER].contains(&check) {
            engine.check(check_of(check))?;
        }
        Ok(acknowledged.is_some())
    }

    /// Notes which revisions the tables have.
    pub fn confirm(&self, revisions: &BTreeMap<String, u64>) -> Result<(), StoreInUse> {
        let Some(stores) = self.stores() else { return Ok(()) };
        for group in stores.incidents.groups() {
            let is_new = |incident: &Incident| {
                revisions.get(&incident.id).is_some_and(|revision| *revision > incident.confirmed)
            };
            let is_due = stores.incidents.read(group, None, |table| table.incidents().any(is_new));
            if is_due.unwrap_or_default() {
                self.update(group, |subjects| {
                    for incident in subjects.values_mut().flat_map(Subject::incidents_mut).filter(|one| is_new(one)) {
                        incident.confirmed = revisions.get(&incident.id).copied().unwrap_or_default();
                    }
                    Some(())
                })?;
            }
        }
        Ok(())
    }

    /// Has everything of an incident tried again that was given up, at once; returns how many notices are pending then, and
    /// `None` if there is no such incident.
    pub fn retry(&self, id: &str) -> Result<Option<usize>, StoreInUse> {
        let retried = self.perform(&AlertRequest::Retry { incident: id.to_owned() })?;
        Ok(retried.map(|retried| retried.pending))
    }

    /// Has another trigger sent of an open incident, if it still fails; false if there is none. `after`: the number of the
    /// last notice of it that another scope has sent.
    pub fn trigger_again(&self, id: &str, after: u32) -> Result<bool, StoreInUse> {
        Ok(self.perform(&AlertRequest::TriggerAgain { incident: id.to_owned(), after })?.is_some())
    }

    /// Adds a silence, in place of one of the same id.
    pub fn silence(&self, silence: Silence) -> Result<(), AlertError> {
        let author = truncated(&silence.author, MAX_AUTHOR);
        let comment = truncated(&silence.comment, MAX_COMMENT);
        let is_added = self.perform(&AlertRequest::Silence(Silence { author, comment, ..silence }))?.is_some();
        let full = || SpecError("there is no room for another silence: expire one".to_owned());
        if is_added { Ok(()) } else { Err(full().into()) }
    }

    /// Ends a silence; false if there is none of that id, or it is over.
    pub fn expire_silence(&self, id: &str) -> Result<bool, StoreInUse> {
        Ok(self.perform(&AlertRequest::ExpireSilence { id: id.to_owned(), at: SystemTime::now() })?.is_some())
    }

    /// What receivers demand, and the silences, as they are now.
    pub fn control(&self) -> AlertControl {
        let Some(stores) = self.stores() else { return AlertControl::default() };
        if self.pending(Moment::now()).is_empty() {
            return stores.control.read(None, AlertControl::clone);
        }
        self.known().1
    }

    pub fn silences(&self) -> Vec<Silence> {
        self.control().silences
    }

    /// Has the service send at once what is due.
    pub(super) fn wake(&self) {
        if let Some(senders) = self.senders.get() {
            senders.wake.notify_one();
        }
    }
}

/// Why a change of alerts was not made.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    #[error(transparent)]
    Busy(#[from] StoreInUse),
    #[error(transparent)]
    Unknown(#[from] UnknownCheck),
    #[error(transparent)]
    Wrong(#[from] SpecError),
}

/// Publishes what happened to an incident.
pub(super) fn publish(
    engine: &Engine,
    change: &'static str,
    incident: &Incident,
    message: String,
    channel: Option<&str>,
) {
    let event = IncidentEvent {
        check: incident.check.clone(),
        incident: incident.id.clone(),
        change,
        state: incident.state().as_str(),
        severity: incident.severity,
        message,
        since: incident.since,
        channel: channel.map(str::to_owned),
    };
    engine.events().push(Event {
        sequence: incident.revision,
        at: SystemTime::now(),
        kind: EventKind::Incident(event),
    });
}

/// Repeats a change that could not be locked, for [`GIVE_UP_AFTER`].
pub(super) fn retry_while_busy<R>(mut change: impl FnMut() -> Result<R, Busy>) -> Result<R, StoreInUse> {
    let started = Instant::now();
    loop {
        match change() {
            Ok(changed) => return Ok(changed),
            Err(Busy) if started.elapsed() < GIVE_UP_AFTER => {}
            Err(Busy) => return Err(StoreInUse),
        }
    }
}
