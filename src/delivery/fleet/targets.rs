//! The subjects of alerts as the fleet knows them: those of this host, by what all instances say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::watch::InstanceWatch;
use crate::delivery::observe::Target;
use crate::model::clock::Moment;
use crate::model::{CollectOrdered, Instances, Severity, Status};
use crate::policy::incident::alarm::SubjectAlarms;
use crate::policy::incident::{Evidence, Observed, ObservedFleet, Rules};

/// Instances that are named in an incident.
const MAX_NAMES: usize = 20;
const MAX_BLOCKED: usize = 50;
const OVER: &str = "It fails on no instance any more";

/// All subjects of the fleet.
///
/// `here` are those of this host; `is_shared` says of which the result is the fleet's, so that it is judged by that. `open`
/// are the names of those with an open incident. Subjects that this host does not have are judged by `rules`.
pub fn fleet_targets(
    here: Vec<Target>,
    is_shared: impl Fn(&str) -> bool,
    watch: &InstanceWatch,
    open: &BTreeSet<String>,
    rules: &Rules,
    now: Moment,
) -> Vec<Target> {
    let mut said = watch.by_subject(open);
    let mut targets: BTreeMap<Arc<str>, Target> = BTreeMap::new();
    for target in here {
        let alarms = said.remove(&*target.name);
        let target = if is_shared(&target.name) { target } else { judged(target, alarms, watch, open, now) };
        targets.insert(target.name.clone(), target);
    }
    let elsewhere: BTreeSet<&str> = said.keys().copied().chain(open.iter().map(String::as_str)).collect_ordered();
    for name in elsewhere {
        if !targets.contains_key(name) {
            let target = judged(unknown(name, rules), said.remove(name), watch, open, now);
            targets.insert(target.name.clone(), target);
        }
    }
    targets.into_values().collect()
}

/// A subject that this host does not have.
fn unknown(name: &str, rules: &Rules) -> Target {
    let observed = Observed {
        evidence: Evidence::Unknown,
        status: Status::Skipped,
        message: String::new(),
        last_error: String::new(),
        blocks: Vec::new(),
        instances: Instances::default(),
        suppressed: None,
    };
    let (groups, roots, suppressed_by_roots) = Default::default();
    let (name, rules) = (name.into(), rules.clone());
    Target { name, observed, rules, severity: Severity::Warning, groups, roots, suppressed_by_roots }
}

/// The same, by what the instances say of it.
fn judged(
    mut target: Target,
    alarms: Option<SubjectAlarms<'_>>,
    watch: &InstanceWatch,
    open: &BTreeSet<String>,
    now: Moment,
) -> Target {
    let observed = &mut target.observed;
    let Some(alarms) = alarms else {
        let is_over = watch.is_settled() || !open.contains(&*target.name);
        let none = ObservedFleet { failing: None, since: None, is_flapping: false };
        observed.evidence = if is_over { Evidence::Fleet(none) } else { Evidence::Unknown };
        if observed.status != Status::Healthy {
            (observed.status, observed.message) = (Status::Healthy, OVER.to_owned());
        }
        return target;
    };
    let total = watch.total();
    let fleet = alarms.observed(now);
    target.severity = fleet.failing.unwrap_or(target.severity);
    observed.evidence = Evidence::Fleet(fleet);
    observed.status = alarms.worst().map_or(Status::Error, |worst| worst.status);
    observed.message = alarms.message(total);
    let failing = u32::try_from(alarms.0.len()).unwrap_or(u32::MAX);
    let mut names = alarms.names();
    names.truncate(MAX_NAMES);
    observed.instances = Instances { failing, total, names };
    for name in alarms.0.iter().flat_map(|(_, alarm)| &alarm.blocked) {
        if observed.blocks.len() < MAX_BLOCKED && !observed.blocks.contains(name) {
            observed.blocks.push(name.clone());
        }
    }
    let roots = alarms.0.iter().flat_map(|(_, alarm)| &alarm.roots);
    let roots: BTreeSet<Arc<str>> = roots.map(|root| Arc::from(&**root)).collect_ordered();
    target.roots = roots.into_iter().collect();
    target
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::policy::incident::alarm::{Alarm, InstanceAlarms};
    use crate::state::backend::fleet::alarms::ReportedAlarms;

    fn alarms(name: &str, subjects: &[&str]) -> InstanceAlarms {
        let alarm = |subject: &&str| Alarm {
            subject: (*subject).to_owned(),
            status: Status::Error,
            severity: Severity::Critical,
            seconds: 5.0,
            message: "refused".to_owned(),
            flapping: false,
            blocked: vec!["child".to_owned()],
            roots: vec!["database".to_owned()],
        };
        InstanceAlarms { name: name.to_owned(), alarms: subjects.iter().map(alarm).collect() }
    }

    fn said(name: &str, subjects: &[&str]) -> ReportedAlarms {
        let alarms = alarms(name, subjects).encode();
        ReportedAlarms { instance: name.to_owned(), age: Duration::from_secs(1), alarms }
    }

    fn found(watch: &InstanceWatch, open: &[&str]) -> BTreeMap<String, Target> {
        let now = Moment { boot: 9_000_000_000, wall: SystemTime::UNIX_EPOCH + Duration::from_secs(9) };
        let here = ["database", "mail"].map(|name| unknown(name, &Rules::default()));
        let open = open.iter().map(|name| (*name).to_owned()).collect();
        let targets = fleet_targets(here.into(), |name| name == "mail", watch, &open, &Rules::default(), now);
        targets.into_iter().map(|target| (target.name.to_string(), target)).collect()
    }

    fn failing(target: Option<&Target>) -> Option<Option<Severity>> {
        match &target?.observed.evidence {
            Evidence::Fleet(fleet) => Some(fleet.failing),
            _ => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn subjects_are_judged_by_what_the_instances_say() {
        tokio::time::advance(Duration::from_secs(100)).await;
        let mut watch = InstanceWatch::default();
        let long = Duration::from_secs(60);
        watch.take(&[said("b", &["database", "mail", "queue"]), said("a", &["database"]), said("c", &[])], long);
        let targets = found(&watch, &["cache"]);
        let database = targets.get("database").unwrap_or_else(|| unreachable!("it is here"));
        let Observed { message, instances, blocks, .. } = &database.observed;
        assert_eq!(message, "2 of 3 instances: a, b: refused");
        assert_eq!((instances.failing, instances.total, instances.names.len()), (2, 3, 2));
        assert_eq!((blocks.as_slice(), &*database.roots), (&["child".to_owned()][..], &[Arc::from("database")][..]));
        assert_eq!(failing(targets.get("queue")), Some(Some(Severity::Critical)), "this host does not have it");
        assert!(matches!(targets.get("mail").map(|mail| &mail.observed.evidence), Some(Evidence::Unknown)), "shared");
        assert_eq!(failing(targets.get("cache")), None, "not all have said whether it fails");
        tokio::time::advance(Duration::from_secs(20)).await;
        watch.take(&[said("b", &[]), said("a", &[]), said("c", &[])], long);
        let targets = found(&watch, &["cache", "database"]);
        assert_eq!([failing(targets.get("cache")), failing(targets.get("database"))], [Some(None); 2]);
        assert_eq!(targets.get("database").map(|database| &*database.observed.message), Some(OVER));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_said_before_an_outage_keeps_an_incident_open_and_opens_none() {
        tokio::time::advance(Duration::from_secs(100)).await;
        let mut watch = InstanceWatch::default();
        watch.take(&[], Duration::from_secs(60));
        tokio::time::advance(Duration::from_secs(20)).await;
        // The server is reached again since just now: `b` and `c` are not yet heard again.
        let before = [said("a", &[]), said("b", &["database"]), said("c", &["queue"])];
        watch.take(&before, Duration::ZERO);
        let fails = |watch: &InstanceWatch, open: &[&str]| {
            let targets = found(watch, open);
            ["database", "queue"].map(|name| failing(targets.get(name)).flatten().is_some())
        };
        assert_eq!(fails(&watch, &[]), [false, false], "they may have recovered");
        assert_eq!(fails(&watch, &["database", "queue"]), [true, true], "nothing is known to be over");
        tokio::time::advance(Duration::from_secs(2)).await;
        watch.take(&[said("b", &["database"]), said("c", &[])], Duration::from_secs(2));
        assert_eq!(fails(&watch, &[]), [true, false], "both are heard again");
        let queue = |watch: &InstanceWatch| failing(found(watch, &["queue"]).get("queue"));
        assert_eq!(queue(&watch), None, "not all are heard again");
        tokio::time::advance(Duration::from_secs(13)).await;
        assert_eq!(queue(&watch), Some(None));
    }
}
