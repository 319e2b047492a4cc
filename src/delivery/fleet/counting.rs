//! What fails on this host, by its own counts: what it says to the holder of the incidents.

use std::time::Duration;

use crate::delivery::alerts::{Alerts, FleetStores, LOCK_TIMEOUT};
use crate::delivery::observe::{Target, targets};
use crate::model::clock::Moment;
use crate::policy::incident::alarm::{Alarm, InstanceAlarms};
use crate::policy::incident::{Rules, Subject, step};
use crate::state::incidents::IncidentTable;

impl Alerts {
    /// Counts what is new of all subjects here, and returns what fails; `None` if another process holds the store.
    pub(super) fn count_here(&self, name: &str) -> Option<InstanceAlarms> {
        let (engine, stores) = (self.engine()?, self.stores()?);
        let FleetStores { counted, .. } = stores.fleet.as_ref()?;
        let now = Moment::now();
        let mut targets = targets(&engine, &self.settings);
        let silences = self.control().silences;
        counted
            .read(0, None, |table| {
                let known = |name: &str, is: &dyn Fn(&Subject) -> bool| table.0.get(name).is_some_and(is);
                self.leave_to_roots(&mut targets, &known, &silences, now);
            })
            .unwrap_or_default();
        let mut alarms = Vec::new();
        let count = |table: &mut IncidentTable| {
            let before = table.0.clone();
            for Target { name, observed, rules, .. } in &targets {
                let mut subject = table.0.remove(&**name).unwrap_or_default();
                let rules = Rules { reminder: Duration::ZERO, ..rules.clone() };
                step(&mut subject, name, observed, &rules, now, &mut |_, _| {});
                subject.closed.clear();
                if !subject.is_void(now) {
                    table.0.insert(name.to_string(), subject);
                }
            }
            table.0.retain(|name, _| targets.iter().any(|target| *target.name == **name));
            let open = table.0.iter().filter_map(|(name, subject)| Some((name, subject.open.as_ref()?)));
            let roots = |name: &str| {
                let target = targets.iter().find(|target| *target.name == *name);
                target.map(|target| target.roots.iter().map(ToString::to_string).collect()).unwrap_or_default()
            };
            alarms = open.map(|(name, open)| Alarm::of(open, roots(name), now.wall)).collect();
            table.0 != before
        };
        counted.update(0, LOCK_TIMEOUT, count).ok()?;
        Some(InstanceAlarms { name: name.to_owned(), alarms })
    }
}
