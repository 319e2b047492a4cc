//! The subjects of alerts as this process knows them: every check and its objective, readiness, and the workers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::settings::AlertSettings;
use crate::engine::Engine;
use crate::engine::registry::Registered;
use crate::model::{CircuitState, CollectOrdered, Instances, OBJECTIVE, Severity, Status};
use crate::monitor::{Requires, lags_anywhere, wedged};
use crate::policy::group::Group;
use crate::policy::incident::{Evidence, Observed, ObservedRuns, Rules, severity_of};
use crate::runtime::PerProcess;
use crate::state::TableSnapshot;
use crate::state::objectives::KnownObjective;

/// The subjects beside the checks.
pub const READINESS: &str = "readiness";
pub const WEDGED_WORKER: &str = "wedged_worker";
/// For how long the application is not ready before that is an incident, where the settings name no time: a check that
/// fails once has its own counts.
const NOT_READY_FOR: Duration = Duration::from_secs(30);
/// The shortest window of an objective's burn rates: what counts as one good result of it. With each bad stretch that
/// leaves the window the rate falls, and the next may raise it again.
const SHORTEST_WINDOW: Duration = Duration::from_secs(300);
/// How many of the checks that wait for another are named, and in how many bytes.
const MAX_BLOCKED: usize = 50;
const MAX_BLOCKED_BYTES: usize = 2_000;

/// One subject, and what it is judged by.
pub struct Target {
    pub name: Arc<str>,
    pub observed: Observed,
    pub rules: Rules,
    /// How urgent it is as it is now.
    pub severity: Severity,
    /// The groups that a check belongs to.
    pub groups: Vec<String>,
    /// Of readiness: the checks that it fails by, whose own incidents say so.
    pub roots: Vec<Arc<str>>,
    /// The silence or the maintenance in which each of these is, in words.
    pub suppressed_by_roots: Option<String>,
}

/// All subjects of an engine that alert, brought up to date.
pub fn targets(engine: &Engine, settings: &AlertSettings) -> Vec<Target> {
    let checks = engine.checks();
    let snapshot = checks.first().and_then(|check| check.state().snapshot());
    // Children before their parents: what is known of a parent is never older than what is known of its child.
    let mut views: Vec<_> = checks.iter().rev().map(|check| check.state().runs(snapshot.as_ref())).collect();
    views.reverse();
    let now = Instant::now();
    let blocking: Vec<_> = checks.iter().map(|check| blocking_parent(check, now, snapshot.as_ref())).collect();
    let roots = roots(&checks, &blocking);
    let readiness = readiness(engine, settings, &roots);
    let mut blocks = blocked_by_root(&roots);
    for root in readiness.iter().flat_map(|readiness| &readiness.roots) {
        blocks.entry(root.clone()).or_default().insert(0, READINESS.to_owned());
    }
    let groups: Vec<_> = engine.groups().iter().filter_map(|name| engine.group(name).ok()).collect();

    let each = checks.iter().zip(views).zip(blocking);
    let mut targets: Vec<Target> = each
        .map(|((check, view), parent)| {
            let critical = check.options.critical;
            let status = view.latest.as_ref().map_or(Status::Skipped, |latest| latest.status);
            let rules = settings.rules.of(&check.options.alert);
            let evidence = Evidence::Runs(ObservedRuns {
                history: view.runs,
                last: view.settled,
                stale_after: check.stale_after,
                holds: view.circuit.is_some_and(|circuit| circuit.state == CircuitState::Open),
                is_blocked: parent.is_some(),
                critical,
            });
            let observed = Observed {
                evidence,
                status,
                message: view.latest.map(|latest| latest.message.clone()).unwrap_or_default(),
                last_error: view.last_error.map(|error| error.message).unwrap_or_default(),
                blocks: blocks.get(&check.name).cloned().unwrap_or_default(),
                instances: instances(1, 1, vec![host()]),
                suppressed: None,
            };
            let severity = rules.severity.unwrap_or_else(|| severity_of(status, critical));
            let groups = groups_of(check, &groups);
            Target {
                name: check.name.clone(),
                observed,
                rules,
                severity,
                groups,
                roots: Vec::new(),
                suppressed_by_roots: None,
            }
        })
        .collect();
    let objectives = engine.known_objectives(snapshot.as_ref());
    targets.extend(checks.iter().filter_map(|check| {
        let objective = objective(check, objectives.get(&*check.name)?, &settings.rules);
        Some(Target { groups: groups_of(check, &groups), ..objective })
    }));
    targets.extend(readiness);
    targets.push(workers(engine, settings));
    // A check may have the name of one of them.
    let mut by_name = BTreeMap::new();
    for target in targets {
        by_name.entry(target.name.clone()).or_insert(target);
    }
    by_name.into_values().filter(|target| target.rules.enabled).collect()
}

/// The parent that blocks a check, unless there is nothing to check anyhow.
fn blocking_parent(check: &Registered, now: Instant, snapshot: Option<&TableSnapshot>) -> Option<Arc<str>> {
    let parent = check.blocking_parent(now, None)?;
    check.skipped(snapshot).is_none().then(|| parent.name.clone())
}

/// For each blocked check the one that it waits for, directly or through others, and that is not blocked itself.
fn roots(checks: &[Arc<Registered>], blocking: &[Option<Arc<str>>]) -> BTreeMap<Arc<str>, Arc<str>> {
    let parents: BTreeMap<&Arc<str>, &Arc<str>> = checks
        .iter()
        .zip(blocking)
        .filter_map(|(check, parent)| Some((&check.name, parent.as_ref()?)))
        .collect_ordered();
    let root_of = |parent| {
        let mut root: &Arc<str> = parent;
        // There is no circle: parents are registered before their children.
        while let Some(above) = parents.get(root) {
            root = above;
        }
        root.clone()
    };
    parents.iter().map(|(child, parent)| ((*child).clone(), root_of(*parent))).collect_ordered()
}

/// The checks that wait for each root.
fn blocked_by_root(roots: &BTreeMap<Arc<str>, Arc<str>>) -> BTreeMap<Arc<str>, Vec<String>> {
    let mut blocked: BTreeMap<Arc<str>, Vec<String>> = BTreeMap::new();
    for (child, root) in roots {
        let names = blocked.entry(root.clone()).or_default();
        let bytes: usize = names.iter().map(String::len).sum();
        if names.len() < MAX_BLOCKED && bytes + child.len() <= MAX_BLOCKED_BYTES {
            names.push(child.to_string());
        }
    }
    blocked
}

/// The names of the groups that a check belongs to.
fn groups_of(check: &Registered, groups: &[Arc<Group>]) -> Vec<String> {
    groups.iter().filter(|group| group.includes(&check.name)).map(|group| group.name.clone()).collect()
}

/// The objective of a check.
fn objective(check: &Registered, known: &KnownObjective, rules: &Rules) -> Target {
    let KnownObjective { objective, is_recent } = known;
    let severity = objective.alarm.as_ref().map_or(Severity::Warning, |alarm| alarm.severity);
    let (status, message) = match &objective.alarm {
        Some(alarm) if alarm.severity == Severity::Warning => (Status::Degraded, alarm.message.clone()),
        Some(alarm) => (Status::Error, alarm.message.clone()),
        None => {
            let left = objective.budget_remaining.unwrap_or_default().max(0.0) * 100.0;
            (Status::Healthy, format!("The error budget is not spent too fast any more; {left:.0}% of it is left"))
        }
    };
    // Its windows are time enough, and say how urgent it is.
    let rules = Rules { seconds: Duration::ZERO, severity: None, ..rules.of(&check.options.alert) };
    let evidence = if *is_recent {
        let calm = SHORTEST_WINDOW.saturating_mul(rules.successes.saturating_sub(1));
        Evidence::Level { is_bad: objective.alarm.is_some(), severity, calm }
    } else {
        Evidence::Unknown
    };
    let (last_error, blocks, suppressed, groups) = Default::default();
    let instances = instances(1, 1, vec![host()]);
    let observed = Observed { evidence, status, message, last_error, blocks, instances, suppressed };
    let name = format!("{OBJECTIVE}{}", check.name).into();
    Target { name, observed, rules, severity, groups, roots: Vec::new(), suppressed_by_roots: None }
}

fn readiness(engine: &Engine, settings: &AlertSettings, roots: &BTreeMap<Arc<str>, Arc<str>>) -> Option<Target> {
    if engine.check(READINESS).is_ok() {
        // The check of that name is meant.
        return None;
    }
    let failing = engine.known_failing()?;
    let failing_roots: BTreeSet<_> =
        failing.iter().map(|check| roots.get(check).unwrap_or(check).clone()).collect_ordered();
    let is_bad = !failing.is_empty();
    let message = if is_bad { format!("Not ready: {}", failing.join(", ")) } else { "Ready".to_owned() };
    let seconds = if settings.rules.seconds.is_zero() { NOT_READY_FOR } else { settings.rules.seconds };
    let rules = Rules { seconds, ..settings.rules.clone() };
    let readiness = level(READINESS, is_bad, message, Severity::Critical, rules, instances(1, 1, vec![host()]));
    Some(Target { roots: failing_roots.into_iter().collect(), ..readiness })
}

fn workers(engine: &Engine, settings: &AlertSettings) -> Target {
    let lags = lags_anywhere(engine.scope());
    let mut wedged = wedged(&lags, settings.wedged_after, Requires::All).unwrap_or_default();
    wedged.sort_unstable();
    let names: Vec<String> = wedged.iter().map(|(pid, _)| format!("{}:{pid}", host())).collect();
    let after = settings.wedged_after.as_secs_f64();
    let message = match wedged.as_slice() {
        [] => "Every worker runs".to_owned(),
        [(pid, _)] => format!("The interpreter of process {pid} has not run for {after} s"),
        several => {
            let pids: Vec<_> = several.iter().map(|(pid, _)| pid.to_string()).collect();
            format!("The interpreters of processes {} have not run for {after} s", pids.join(", "))
        }
    };
    // Its own time has passed already.
    let rules = Rules { seconds: Duration::ZERO, ..settings.rules.clone() };
    let severity = if wedged.len() >= lags.len() { Severity::Critical } else { Severity::Error };
    level(WEDGED_WORKER, !wedged.is_empty(), message, severity, rules, instances(wedged.len(), lags.len(), names))
}

fn level(name: &str, is_bad: bool, message: String, severity: Severity, rules: Rules, instances: Instances) -> Target {
    let status = if is_bad { Status::Error } else { Status::Healthy };
    let evidence = Evidence::Level { is_bad, severity, calm: Duration::ZERO };
    let (last_error, blocks, suppressed, groups, roots) = Default::default();
    let observed = Observed { evidence, status, message, last_error, blocks, instances, suppressed };
    Target { name: name.into(), observed, rules, severity, groups, roots, suppressed_by_roots: None }
}

fn instances(failing: usize, total: usize, names: Vec<String>) -> Instances {
    let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
    Instances { failing: number(failing), total: number(total), names }
}

/// The name of this host.
fn host() -> String {
    static HOST: PerProcess<String> = PerProcess::new();
    let name = HOST.get_or_init(|| whoami::hostname().unwrap_or_else(|_| "localhost".to_owned()));
    name.as_str().to_owned()
}
