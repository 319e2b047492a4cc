//! What all instances of a fleet say of themselves and of their checks: is it this instance, or the dependency?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::instances::Description;
use crate::engine::Engine;
use crate::model::{CheckError, CheckScope, CollectOrdered};
use crate::policy::report::timestamp;
use crate::runtime::Process;
use crate::state::Fleet;
use crate::state::backend::fleet::instances::{InstanceState, SeenInstance, SeenInstances};
use crate::state::fleet_alerts::DOCUMENT;

/// Failing instances that are named; the others are counted.
const NAMED: usize = 10;

/// All that is known of the fleet. Times in seconds.
#[derive(Debug, Default, Serialize)]
pub struct FleetView {
    /// Whether its store could be read; where not, nothing is known of any instance.
    pub visible: bool,
    pub reason: Option<String>,
    pub server: String,
    /// The one that answers.
    pub instance: String,
    pub states: BTreeMap<&'static str, u64>,
    pub instances: Vec<InstanceView>,
    pub checks: BTreeMap<String, CheckView>,
    /// How many instances run each version, have each hash of settings, are in each zone.
    pub versions: BTreeMap<String, u64>,
    pub settings: BTreeMap<String, u64>,
    pub zones: BTreeMap<String, BTreeMap<&'static str, u64>>,
    pub leases: Vec<LeaseView>,
    /// The one that decides about incidents.
    pub incidents_holder: Option<HolderView>,
}

#[derive(Debug, Serialize)]
pub struct InstanceView {
    pub id: String,
    pub name: String,
    pub zone: Option<String>,
    pub state: &'static str,
    pub version: String,
    pub settings: String,
    /// Since it was last seen.
    pub age_seconds: f64,
    pub uptime_seconds: f64,
    pub processes: usize,
    pub interpreter_lag: Option<f64>,
    pub failing: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct CheckView {
    pub scope: &'static str,
    pub healthy: u64,
    /// Instances that know its status, and do not skip it.
    pub total: u64,
    /// `instance`, `dependency` or `None`: where the fault is.
    pub fault: Option<&'static str>,
    pub summary: String,
    /// Longest first.
    pub failing: Vec<FailingView>,
}

#[derive(Debug, Serialize)]
pub struct FailingView {
    pub instance: String,
    pub name: String,
    pub status: &'static str,
    pub since: String,
    #[serde(skip)]
    seconds: f64,
}

#[derive(Debug, Serialize)]
pub struct LeaseView {
    pub check: String,
    pub instance: String,
    pub name: String,
    pub seconds_left: f64,
}

#[derive(Debug, Serialize)]
pub struct HolderView {
    pub instance: String,
    pub name: String,
    pub seconds_left: f64,
}

/// Reads what is known of the fleet: within a few exchanges with its store, and without where that is lost.
pub async fn fleet_view(engine: &Engine, fleet: &Fleet, process: &Arc<Process>) -> FleetView {
    let found = if fleet.is_usable() { read(engine, fleet, process).await } else { Err(lost()) };
    let mut view = match found {
        Ok(view) => {
            fleet.reached();
            FleetView { visible: true, ..view }
        }
        Err(error) => {
            if !fleet.is_lost() {
                fleet.lost(&error);
            }
            FleetView { reason: Some(error.to_string()), ..FleetView::default() }
        }
    };
    view.server = fleet.store.target();
    view.instance = fleet.instance();
    view
}

fn lost() -> CheckError {
    CheckError::Configuration("its store could not be reached a moment ago".to_owned())
}

async fn read(engine: &Engine, fleet: &Fleet, process: &Arc<Process>) -> Result<FleetView, CheckError> {
    let seen = fleet.store.instances(process).await?;
    let checks: Vec<_> = engine.checks().iter().filter(|check| check.fleet().is_some()).cloned().collect();
    let keys: Vec<_> = checks.iter().map(|check| fleet.key(&check.options)).collect();
    let holders = if keys.is_empty() { Vec::new() } else { fleet.store.holders(process, &keys).await? };
    let scopes =
        engine.checks().iter().map(|check| (check.options.name.clone(), check.options.scope)).collect_ordered();
    let mut view = view_of(&seen, &scopes);
    for (check, holder) in checks.iter().zip(holders) {
        let Some((token, left)) = holder else { continue };
        let id = token.split(':').next().unwrap_or_default();
        view.leases.push(LeaseView {
            check: check.options.name.clone(),
            instance: id.to_owned(),
            name: view.name_of(id),
            seconds_left: left.as_secs_f64(),
        });
    }
    let incidents = fleet.store.document_holder(process, &fleet.store.document(DOCUMENT)).await?;
    view.incidents_holder = incidents.map(|(instance, left)| {
        let name = view.name_of(&instance);
        HolderView { instance, name, seconds_left: left.as_secs_f64() }
    });
    Ok(view)
}

impl FleetView {
    /// The name of an instance; empty where it is not known.
    fn name_of(&self, instance: &str) -> String {
        let known = self.instances.iter().find(|known| known.id == instance);
        known.map(|known| known.name.clone()).unwrap_or_default()
    }
}

/// The view of instances as they were seen; `scopes` are those of the checks here.
fn view_of(seen: &SeenInstances, scopes: &BTreeMap<String, CheckScope>) -> FleetView {
    let mut view = FleetView::default();
    let names: BTreeMap<&str, Vec<String>> = seen
        .names
        .iter()
        .map(|(hash, names)| (hash.as_str(), serde_json::from_str(names).unwrap_or_default()))
        .collect_ordered();
    for state in InstanceState::ALL.map(InstanceState::as_str).into_iter().chain(["missed"]) {
        view.states.insert(state, 0);
    }
    for instance in &seen.instances {
        let Ok(described) = serde_json::from_slice::<Description>(&instance.description) else { continue };
        let state = if instance.is_missed { "missed" } else { instance.state.as_str() };
        *view.states.entry(state).or_default() += 1;
        let zone = described.zone.clone().unwrap_or_default();
        *view.zones.entry(zone).or_default().entry(state).or_default() += 1;
        let mut failing = Vec::new();
        if !instance.is_missed {
            *view.versions.entry(described.version.clone()).or_default() += 1;
            *view.settings.entry(described.settings.clone()).or_default() += 1;
            let names = names.get(described.settings.as_str()).map_or(&[][..], Vec::as_slice);
            failing = count(&mut view.checks, instance, &described, names, scopes);
        }
        view.instances.push(InstanceView {
            id: instance.id.clone(),
            name: described.name,
            zone: described.zone,
            state,
            version: described.version,
            settings: described.settings,
            age_seconds: instance.age.as_secs_f64(),
            uptime_seconds: described.uptime + instance.age.as_secs_f64(),
            processes: described.processes,
            interpreter_lag: described.lag,
            failing,
        });
    }
    view.instances.sort_unstable_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    view.checks.values_mut().for_each(CheckView::judge);
    view
}

/// Counts one instance in its checks; returns those that fail there.
fn count(
    checks: &mut BTreeMap<String, CheckView>,
    instance: &SeenInstance,
    described: &Description,
    names: &[String],
    scopes: &BTreeMap<String, CheckScope>,
) -> Vec<String> {
    let mut all_failing = Vec::new();
    for (place, (name, letter)) in names.iter().zip(described.statuses.chars()).enumerate() {
        let status = match letter {
            'h' => "healthy",
            'd' => "degraded",
            'e' => "error",
            _ => continue,
        };
        let check = checks.entry(name.clone()).or_insert_with(|| CheckView::new(scopes.get(name).copied()));
        check.total += 1;
        if letter == 'h' {
            check.healthy += 1;
            continue;
        }
        let seconds = described.since.get(&place).copied().unwrap_or_default() + instance.age.as_secs_f64();
        let since = Duration::try_from_secs_f64(seconds).ok().and_then(|ago| SystemTime::now().checked_sub(ago));
        let since = timestamp(since.unwrap_or(SystemTime::UNIX_EPOCH));
        check.failing.push(FailingView {
            instance: instance.id.clone(),
            name: described.name.clone(),
            status,
            since,
            seconds,
        });
        all_failing.push(name.clone());
    }
    all_failing
}

impl CheckView {
    fn new(scope: Option<CheckScope>) -> Self {
        let scope = match scope.unwrap_or_default() {
            CheckScope::Process => "process",
            CheckScope::Host => "host",
            CheckScope::Fleet => "fleet",
        };
        Self { scope, healthy: 0, total: 0, fault: None, summary: String::new(), failing: Vec::new() }
    }

    /// Says where the fault is, once all instances are counted.
    fn judge(&mut self) {
        self.failing.sort_by(|a, b| b.seconds.total_cmp(&a.seconds).then_with(|| a.name.cmp(&b.name)));
        let failing = self.failing.len() as u64;
        self.fault = match failing {
            0 => None,
            _ if self.scope == "fleet" || (self.total > 1 && failing * 2 >= self.total) => Some("dependency"),
            _ if self.total > 1 => Some("instance"),
            _ => None,
        };
        self.summary = format!("{} of {} healthy", self.healthy, self.total);
        if let Some(longest) = self.failing.first() {
            let time = longest.since.get(11..16).unwrap_or_default();
            self.summary += &format!("; {} since {time} UTC", longest.name);
        }
        if failing > 1 {
            self.summary += &format!(" and {} more", failing - 1);
        }
        self.failing.truncate(NAMED);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An instance of two checks, by letters; the second has failed for `seconds`.
    fn seen(id: usize, statuses: &str, seconds: f64, is_missed: bool) -> SeenInstance {
        let described = Description {
            name: format!("web-{id:02}"),
            zone: Some(format!("eu-{}", id % 2)),
            version: "1".to_owned(),
            settings: "abc".to_owned(),
            statuses: statuses.to_owned(),
            since: [(1, seconds)].into(),
            ..Description::default()
        };
        SeenInstance {
            id: id.to_string(),
            state: InstanceState::Ready,
            age: Duration::from_secs(5),
            is_missed,
            description: serde_json::to_vec(&described).unwrap_or_default(),
        }
    }

    fn view(instances: Vec<SeenInstance>) -> FleetView {
        let names = [("abc".to_owned(), r#"["a", "b"]"#.to_owned())].into();
        view_of(&SeenInstances { instances, names }, &BTreeMap::from([("a".to_owned(), CheckScope::Fleet)]))
    }

    #[test]
    fn one_failing_instance_of_twelve_is_its_own_fault() {
        let of = |id| seen(id, if id == 3 { "he" } else { "hh" }, 60.0, false);
        let view = view((0..12).map(of).collect());
        let check = view.checks.get("b");
        assert_eq!(check.map(|check| (check.healthy, check.total, check.fault)), Some((11, 12, Some("instance"))));
        let summary = check.map(|check| check.summary.as_str()).unwrap_or_default();
        assert!(summary.starts_with("11 of 12 healthy; web-03 since ") && summary.ends_with(" UTC"), "{summary}");
        assert_eq!(view.zones.get("eu-1").and_then(|states| states.get("ready")), Some(&6));
    }

    #[test]
    fn half_of_the_instances_failing_is_the_dependency() {
        let of = |id| seen(id, if id % 2 == 0 { "he" } else { "hh" }, id as f64, false);
        let view = view((0..12).map(of).collect());
        let check = view.checks.get("b");
        assert_eq!(check.and_then(|check| check.fault), Some("dependency"));
        assert!(check.is_some_and(|check| check.summary.ends_with("and 5 more")));
        assert_eq!(check.and_then(|check| check.failing.first()).map(|first| first.name.as_str()), Some("web-10"));
    }

    #[test]
    fn fleet_check_that_fails_is_the_dependency_and_missed_or_unknown_count_nowhere() {
        let view = view(vec![seen(1, "eh", 0.0, false), seen(2, "us", 0.0, false), seen(3, "hh", 0.0, true)]);
        let fault = |name: &str| view.checks.get(name).map(|check| (check.healthy, check.total, check.fault));
        assert_eq!(fault("a"), Some((0, 1, Some("dependency"))));
        assert_eq!(fault("b"), Some((1, 1, None)));
        assert_eq!(view.states.get("missed"), Some(&1));
        assert_eq!(view.versions.get("1"), Some(&2));
    }
}
