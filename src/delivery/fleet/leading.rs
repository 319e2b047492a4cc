//! What the holder decides for all hosts, and how hosts take over what another one has decided.

use std::collections::BTreeSet;

use super::targets::fleet_targets;
use super::watch::InstanceWatch;
use crate::delivery::alerts::{Alerts, FleetStores, LOCK_TIMEOUT, StoreInUse, retry_while_busy};
use crate::delivery::observe::targets;
use crate::delivery::requests::AlertRequest;
use crate::delivery::sending::Claim;
use crate::model::CollectOrdered;
use crate::model::clock::Moment;
use crate::policy::incident::Incident;
use crate::state::alert_control::AlertControl;
use crate::state::backend::fleet::document::DocumentMark;
use crate::state::fleet_alerts::{FleetDesk, FleetIncidents};
use crate::state::incidents::{IncidentStore, IncidentTable};

impl Alerts {
    /// Applies what is requested, here and elsewhere, judges all subjects by what the instances say, and returns what is to
    /// be sent.
    pub(super) fn lead(&self, watch: &InstanceWatch, requests: &[(u64, Vec<u8>)]) -> Vec<Claim> {
        let (Some(engine), Some(stores)) = (self.engine(), self.stores()) else { return Vec::new() };
        self.apply_requests(requests);
        let now = Moment::now();
        let here = targets(&engine, &self.settings);
        let is_shared = |name: &str| engine.check(name).is_ok_and(|check| check.fleet().is_some());
        let mut open = BTreeSet::new();
        for group in stores.incidents.groups() {
            stores.incidents.read(group, None, |table| {
                let subjects = table.0.iter().filter(|(_, subject)| subject.open.is_some());
                open.extend(subjects.map(|(name, _)| name.clone()));
            });
        }
        let targets = fleet_targets(here, is_shared, watch, &open, &self.settings.rules, now);
        self.decide(&engine, &stores, targets, now);
        self.claims()
    }

    /// Applies each request that was not, those of this host first. What cannot be applied now is tried with the next step.
    fn apply_requests(&self, requests: &[(u64, Vec<u8>)]) {
        let (Some(engine), Some(stores)) = (self.engine(), self.stores()) else { return };
        let Some(FleetStores { desk, .. }) = &stores.fleet else { return };
        let (own, applied) = desk.read(|desk| (desk.pending.clone(), desk.applied.clone()));
        let now = Moment::now();
        for (id, request) in own.iter().chain(requests).filter(|(id, _)| !applied.contains(id)) {
            // What cannot be decoded is of another version, and is not for this one.
            let request = AlertRequest::decode(request, now);
            if let Ok(applied) = request.map_or(Ok(None), |request| self.apply(&stores, &request, now)) {
                // Noted afterwards: where this process dies in between it is applied twice, and never lost.
                self.note_on_desk(|desk| {
                    desk.apply(*id);
                });
                self.publish(&engine, applied.map(|applied| applied.changes).unwrap_or_default());
            }
        }
    }

    /// What this host has decided, for all hosts; `None` where it is too large.
    pub(super) fn encode_for_fleet(&self) -> Option<Vec<u8>> {
        let stores = self.stores()?;
        let FleetStores { desk, .. } = stores.fleet.as_ref()?;
        let mut table = IncidentTable::default();
        for group in stores.incidents.groups() {
            stores.incidents.read(group, None, |part| table.0.extend(part.0.clone()));
        }
        let control = stores.control.read(None, AlertControl::clone);
        FleetIncidents { table, control, applied: desk.read(|desk| desk.applied.clone()) }.encode()
    }

    /// Takes over what the holder has decided. What this host has opened alone meanwhile it requests to be continued.
    pub(super) fn adopt(&self, all: &FleetIncidents, mark: DocumentMark) -> Result<(), StoreInUse> {
        let Some(stores) = self.stores() else { return Ok(()) };
        let Some(FleetStores { desk, .. }) = &stores.fleet else { return Ok(()) };
        let handed_over = self.opened_alone(all);
        for group in stores.incidents.groups() {
            let own = all.table.0.iter().filter(|(name, _)| IncidentStore::group_of(name) == group);
            let part = own.map(|(name, subject)| (name.clone(), subject.clone())).collect_ordered();
            if stores.incidents.read(group, None, |table| table.0 == part).unwrap_or_default() {
                continue;
            }
            self.update(group, |subjects| {
                subjects.clone_from(&part);
                Some(())
            })?;
        }
        retry_while_busy(|| {
            stores.control.update(LOCK_TIMEOUT, |control| {
                let is_new = *control != all.control;
                control.clone_from(&all.control);
                is_new
            })
        })?;
        retry_while_busy(|| {
            desk.update(LOCK_TIMEOUT, |desk| {
                desk.has(mark);
                desk.applied.clone_from(&all.applied);
                desk.forget_applied();
                for (id, request) in &handed_over {
                    desk.add(*id, request.clone());
                }
                true
            })
        })
    }

    /// The requests to continue what is open here and was opened without the others, or before this host was part of them.
    fn opened_alone(&self, all: &FleetIncidents) -> Vec<(u64, Vec<u8>)> {
        let Some(stores) = self.stores() else { return Vec::new() };
        let Some(FleetStores { desk, .. }) = &stores.fleet else { return Vec::new() };
        let (is_first, alone_since) = desk.read(|desk| (desk.mark().fence == 0, desk.alone_since));
        let is_meant = |incident: &Incident| {
            let is_own = is_first || alone_since.is_some_and(|since| incident.fired_at >= since);
            is_own && (incident.resolved_at.is_none() || incident.has_pending())
        };
        let now = Moment::now();
        let mut found = Vec::new();
        for group in stores.incidents.groups() {
            stores.incidents.read(group, None, |table| {
                let own = table.incidents().filter(|incident| is_meant(incident));
                let new = own.filter(|own| !all.table.incidents().any(|known| known.id == own.id));
                let request = |incident: &Incident| {
                    let incident = Box::new(incident.clone());
                    (uuid::Uuid::new_v4().as_u64_pair().0, AlertRequest::Restore { incident, retry: false }.encode(now))
                };
                found.extend(new.map(request));
            });
        }
        found
    }

    /// Reads what is known beside the incidents.
    pub(super) fn desk<R>(&self, read: impl FnOnce(&FleetDesk) -> R) -> Option<R> {
        let stores = self.stores()?;
        Some(stores.fleet.as_ref()?.desk.read(read))
    }

    /// Changes it; left out where another process holds it for long.
    pub(super) fn note_on_desk(&self, mut change: impl FnMut(&mut FleetDesk)) {
        let Some(stores) = self.stores() else { return };
        let Some(FleetStores { desk, .. }) = &stores.fleet else { return };
        let _ = retry_while_busy(|| {
            desk.update(LOCK_TIMEOUT, |desk| {
                let before = desk.clone();
                change(desk);
                *desk != before
            })
        });
    }
}
