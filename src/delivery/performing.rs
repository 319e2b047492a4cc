//! Applies requests: at once in the store of the host, or by the holder of the incidents of the fleet.

use std::collections::BTreeMap;

use super::alerts::{Alerts, FleetStores, LOCK_TIMEOUT, StoreInUse, Stores, retry_while_busy};
use super::requests::{AlertRequest, Applied};
use crate::model::clock::Moment;
use crate::policy::incident::Subject;
use crate::state::alert_control::AlertControl;

impl Alerts {
    /// Applies a request, or has the holder of the fleet's incidents do so; `None`: there is nothing that it means.
    pub(super) fn perform(&self, request: &AlertRequest) -> Result<Option<Applied>, StoreInUse> {
        let Some(stores) = self.stores() else { return Ok(None) };
        let now = Moment::now();
        let Some(FleetStores { desk, .. }) = &stores.fleet else {
            let mut applied = self.apply(&stores, request, now)?;
            if let (Some(applied), Some(engine)) = (&mut applied, self.engine()) {
                self.publish(&engine, std::mem::take(&mut applied.changes));
                self.wake();
            }
            return Ok(applied);
        };
        let (mut subjects, mut control) = self.known();
        let Some(applied) = request.apply(&mut subjects, &mut control, now) else { return Ok(None) };
        let (id, encoded) = (uuid::Uuid::new_v4().as_u64_pair().0, request.encode(now));
        let mut has_room = false;
        retry_while_busy(|| {
            desk.update(LOCK_TIMEOUT, |desk| {
                has_room = desk.add(id, encoded.clone());
                has_room
            })
        })?;
        self.wake();
        if has_room { Ok(Some(applied)) } else { Err(StoreInUse) }
    }

    /// Notes what an action has done in the open incident of a check, if there is one.
    pub fn note(&self, check: &str, text: String) -> Result<(), StoreInUse> {
        self.perform(&AlertRequest::Note { check: check.to_owned(), text }).map(drop)
    }

    /// Applies a request in the store of this host.
    pub(super) fn apply(
        &self,
        stores: &Stores,
        request: &AlertRequest,
        now: Moment,
    ) -> Result<Option<Applied>, StoreInUse> {
        let groups = request.group().map_or_else(|| stores.incidents.groups(), |group| group..group + 1);
        let mut applied = None;
        for group in groups {
            applied = self.update(group, |subjects| request.apply_to_subjects(subjects, now))?;
            if applied.is_some() {
                break;
            }
        }
        let mut is_controlled = false;
        retry_while_busy(|| {
            stores.control.update(LOCK_TIMEOUT, |control| {
                is_controlled = request.apply_to_control(control, applied.as_ref(), now);
                is_controlled
            })
        })?;
        Ok(applied.or_else(|| is_controlled.then(Applied::default)))
    }

    /// All subjects and silences as they are known here, with what was requested here.
    pub(super) fn known(&self) -> (BTreeMap<String, Subject>, AlertControl) {
        let Some(stores) = self.stores() else { return Default::default() };
        let mut subjects = BTreeMap::new();
        for group in stores.incidents.groups() {
            stores.incidents.read(group, None, |table| subjects.extend(table.0.clone()));
        }
        let mut control = stores.control.read(None, AlertControl::clone);
        let now = Moment::now();
        for request in self.pending(now) {
            request.apply(&mut subjects, &mut control, now);
        }
        (subjects, control)
    }

    /// What was requested here and is not known to be applied.
    pub(super) fn pending(&self, now: Moment) -> Vec<AlertRequest> {
        let Some(stores) = self.stores() else { return Vec::new() };
        let Some(FleetStores { desk, .. }) = &stores.fleet else { return Vec::new() };
        desk.read(|desk| {
            let pending = desk.pending.iter().filter(|(id, _)| !desk.applied.contains(id));
            pending.filter_map(|(_, request)| AlertRequest::decode(request, now)).collect()
        })
    }

    /// Whether this host decides about incidents: without a fleet, or as the holder of those of its fleet.
    pub fn is_holder(&self) -> bool {
        let Some(stores) = self.stores() else { return false };
        stores.fleet.as_ref().is_none_or(|fleet| fleet.desk.read(|desk| desk.leads.is_some()))
    }
}
