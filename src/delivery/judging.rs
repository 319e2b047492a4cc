//! Judges all subjects of an engine, in the table that the processes of a scope share.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::alerts::{Alerts, LOCK_TIMEOUT, Stores, publish};
use super::observe::{Target, targets};
use super::requests::Change;
use crate::engine::Engine;
use crate::model::clock::Moment;
use crate::model::{NoticeKind, Severity};
use crate::policy::incident::{Evidence, Incident, Subject, abandon, step};
use crate::policy::outbox::NO_SUCH_CHANNEL;
use crate::policy::suppression::{AlertMatcher, Silence};
use crate::state::incidents::{IncidentStore, IncidentTable};

/// For how many times as long as a subject fails before it fires it leaves that to a root whose incident is about to open.
const PENDING: u32 = 10;

/// Whether something is so of the subject of a name.
pub(super) type KnownSubjects<'a> = dyn Fn(&str, &dyn Fn(&Subject) -> bool) -> bool + 'a;

impl Alerts {
    /// Judges all subjects once, and publishes what has changed. What cannot be locked is left to the next step.
    pub fn step(&self) {
        let (Some(engine), Some(stores)) = (self.engine(), self.stores()) else { return };
        // Before anything is read: what was known then cannot have become old since.
        let now = Moment::now();
        let targets = targets(&engine, &self.settings);
        self.decide(&engine, &stores, targets, now);
    }

    /// Judges these subjects, and publishes what has changed.
    pub(super) fn decide(&self, engine: &Engine, stores: &Stores, mut targets: Vec<Target>, now: Moment) {
        // After what is judged: a silence that was added before a check failed is known.
        let snapshot = stores.incidents.snapshot();
        let silences = stores.control.read(snapshot.as_ref(), |control| control.silences.clone());
        let mut groups: Vec<Vec<Target>> = stores.incidents.groups().map(|_| Vec::new()).collect();
        let known = |name: &str, is: &dyn Fn(&Subject) -> bool| {
            let of = |table: &IncidentTable| table.0.get(name).is_some_and(is);
            stores.incidents.read(IncidentStore::group_of(name), snapshot.as_ref(), of).unwrap_or_default()
        };
        self.leave_to_roots(&mut targets, &known, &silences, now);
        for target in targets {
            if let Some(group) = groups.get_mut(IncidentStore::group_of(&target.name)) {
                group.push(target);
            }
        }
        for (group, mut targets) in groups.into_iter().enumerate() {
            let mut judge =
                |subjects: &mut BTreeMap<String, Subject>| self.judge(subjects, &mut targets, &silences, now);
            let is_due = |table: &IncidentTable| {
                let mut table = table.clone();
                judge(&mut table.0).is_some() | table.prune(now, &mut |_, _| {})
            };
            if !stores.incidents.read(group, snapshot.as_ref(), is_due).unwrap_or_default() {
                continue;
            }
            let (mut changes, mut orphaned) = (Vec::new(), Vec::new());
            let updated = stores.incidents.update(group, LOCK_TIMEOUT, |table| {
                let judged = judge(&mut table.0);
                orphaned.clear();
                let is_pruned = table.prune(now, &mut |incident, channel| {
                    orphaned.push((incident.clone(), channel.to_owned()));
                });
                let is_changed = judged.is_some();
                changes = judged.unwrap_or_default();
                is_changed || is_pruned
            });
            if updated.is_ok() {
                self.publish(engine, changes);
                for (incident, channel) in orphaned {
                    let answer = NO_SUCH_CHANNEL.to_owned();
                    publish(engine, "delivery_given_up", &incident, answer, Some(&channel));
                }
            }
        }
    }

    /// Has a subject open nothing while the incident of each of its roots is open or about to open, is suppressed, or is
    /// not wanted. What it has open stays until it is well, and is suppressed while each of its roots is. `known` says
    /// whether that is so of the subject of that name.
    pub(super) fn leave_to_roots(
        &self,
        targets: &mut [Target],
        known: &KnownSubjects<'_>,
        silences: &[Silence],
        now: Moment,
    ) {
        let is_left = |target: &Target| {
            let mut roots = target.roots.iter().filter_map(|root| targets.iter().find(|one| one.name == *root));
            let within = target.rules.seconds.saturating_mul(PENDING);
            !target.roots.is_empty()
                && !known(&target.name, &|subject| subject.open.is_some())
                && roots.all(|root| {
                    let within = within.max(root.rules.seconds);
                    self.suppression(root, root.severity, silences, now.wall).is_some()
                        || known(&root.name, &|subject| subject.has_incident_within(within, now))
                })
        };
        let suppression = |target: &Target| {
            let roots = target.roots.iter().map(|root| targets.iter().find(|one| one.name == *root));
            let each = roots.map(|root| self.suppression(root?, root?.severity, silences, now.wall));
            each.collect::<Option<Vec<_>>>()?.into_iter().next()
        };
        let left: Vec<_> = targets.iter().map(|target| (is_left(target), suppression(target))).collect();
        for (target, (is_left, suppression)) in targets.iter_mut().zip(left) {
            target.suppressed_by_roots = suppression;
            match &mut target.observed.evidence {
                Evidence::Level { is_bad, .. } if is_left => *is_bad = false,
                _ => {}
            }
        }
    }

    /// Judges the subjects of one value; `None` if nothing has changed.
    fn judge(
        &self,
        subjects: &mut BTreeMap<String, Subject>,
        targets: &mut [Target],
        silences: &[Silence],
        now: Moment,
    ) -> Option<Vec<Change>> {
        let mut changes = Vec::new();
        let mut is_changed = false;
        for target in targets.iter_mut() {
            let known = subjects.get(&*target.name);
            let mut subject = known.cloned().unwrap_or_default();
            let severity = subject.open.as_ref().map_or(target.severity, |open| open.severity.max(target.severity));
            let suppressed = self.suppression(target, severity, silences, now.wall);
            target.observed.suppressed = suppressed.or_else(|| target.suppressed_by_roots.clone());
            let mut notify = |incident: &mut Incident, kind: NoticeKind| {
                let routed = self.settings.routed(&incident.check, incident.severity, &target.groups);
                if kind == NoticeKind::Resolved {
                    incident.replace_channels(&routed, |channel| self.settings.channel(channel).is_some());
                }
                incident.send(kind, &routed, now.wall);
                if kind != NoticeKind::Reminded {
                    changes.push((kind.as_str(), incident.clone()));
                }
            };
            let before = changes_of(known);
            step(&mut subject, &target.name, &target.observed, &target.rules, now, &mut notify);
            if known.unwrap_or(&Subject::default()) == &subject {
                continue;
            }
            if changes_of(Some(&subject)) != before {
                subject.hurry(now, self.first_pause());
            }
            is_changed = true;
            subjects.insert(target.name.to_string(), subject);
        }
        for (name, subject) in subjects {
            if targets.iter().any(|target| *target.name == **name) {
                continue;
            }
            let mut notify = |incident: &mut Incident, kind: NoticeKind| {
                incident.send(kind, &Default::default(), now.wall);
                changes.push((kind.as_str(), incident.clone()));
            };
            is_changed |= abandon(subject, now, &mut notify);
        }
        is_changed.then_some(changes)
    }

    /// The silence or the maintenance that an alert of a subject is in, in words.
    fn suppression(
        &self,
        target: &Target,
        severity: Severity,
        silences: &[Silence],
        now: SystemTime,
    ) -> Option<String> {
        let is_meant = |matcher: &AlertMatcher| matcher.matches(&target.name, severity, &target.groups);
        let silence = silences.iter().find(|silence| silence.is_active(now) && is_meant(&silence.matcher));
        let maintenance = || {
            let mut windows = self.settings.maintenance.iter();
            windows.any(|window| is_meant(&window.matcher) && window.is_active(now)).then(|| "Maintenance".to_owned())
        };
        silence.map(Silence::in_words).or_else(maintenance)
    }

    fn first_pause(&self) -> Duration {
        self.settings.retries.first().copied().unwrap_or_default()
    }
}

/// How many notices there have been, by incident: what shows that there is a new one.
fn changes_of(subject: Option<&Subject>) -> Vec<u32> {
    subject.map(|subject| subject.incidents().map(Incident::notice_count).collect()).unwrap_or_default()
}
