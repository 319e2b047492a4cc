//! What an instance of a fleet says of the subjects that have failed there for as long as their rules want.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::rules::ObservedFleet;
use super::since::Since;
use super::subject::{Incident, truncated};
use crate::model::clock::Moment;
use crate::model::{CollectOrdered, Severity, Status};

/// Bytes of a message, and of one where many fail.
const MAX_MESSAGE: usize = 160;
const SHORT_MESSAGE: usize = 40;
/// What all that an instance says should not exceed, in bytes.
const ENOUGH: usize = 2_000;
const MAX_BLOCKED: usize = 10;

/// One subject that fails on an instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    pub subject: String,
    pub status: Status,
    pub severity: Severity,
    /// For how many seconds it has failed.
    pub seconds: f64,
    pub message: String,
    #[serde(default)]
    pub flapping: bool,
    #[serde(default)]
    pub blocked: Vec<String>,
    /// Of readiness: the checks that it fails by.
    #[serde(default)]
    pub roots: Vec<String>,
}

/// All that fails on an instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InstanceAlarms {
    /// Of the instance.
    pub name: String,
    pub alarms: Vec<Alarm>,
}

impl Alarm {
    /// Of what is open on this instance.
    pub fn of(open: &Incident, roots: Vec<String>, now: SystemTime) -> Self {
        Self {
            subject: open.check.clone(),
            status: open.status,
            severity: open.severity,
            seconds: now.duration_since(open.since).unwrap_or_default().as_secs_f64().round(),
            message: truncated(&open.message, MAX_MESSAGE),
            flapping: open.is_flapping,
            blocked: open.blocked.iter().take(MAX_BLOCKED).cloned().collect(),
            roots,
        }
    }
}

impl InstanceAlarms {
    /// In a few hundred bytes, or as few as the names of all that fails need; empty where nothing does.
    pub fn encode(&self) -> Vec<u8> {
        if self.alarms.is_empty() {
            return Vec::new();
        }
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        if bytes.len() <= ENOUGH {
            return bytes;
        }
        let mut less = self.clone();
        for alarm in &mut less.alarms {
            alarm.message = truncated(&alarm.message, SHORT_MESSAGE);
            alarm.blocked.clear();
        }
        serde_json::to_vec(&less).unwrap_or_default()
    }

    /// Whether it says the same, but for how long.
    pub fn is_same(&self, other: &Self) -> bool {
        let timeless = |alarm: &Alarm| Alarm { seconds: 0.0, ..alarm.clone() };
        self.alarms.iter().map(timeless).eq(other.alarms.iter().map(timeless))
    }
}

/// What instances, by name, say of one subject.
pub struct SubjectAlarms<'a>(pub Vec<(&'a str, &'a Alarm)>);

impl<'a> SubjectAlarms<'a> {
    /// The worst, and of several the one that has failed for longest.
    pub fn worst(&self) -> Option<&'a Alarm> {
        let worse = |a: &Alarm, b: &Alarm| a.severity.cmp(&b.severity).then(a.seconds.total_cmp(&b.seconds));
        self.0.iter().map(|(_, alarm)| *alarm).max_by(|a, b| worse(a, b))
    }

    pub fn observed(&self, now: Moment) -> ObservedFleet {
        let longest = self.0.iter().map(|(_, alarm)| alarm.seconds).reduce(f64::max);
        let since = longest.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).map(|ago| {
            let boot = now.boot.saturating_sub(u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX));
            Since { boot, wall: now.wall.checked_sub(ago).unwrap_or(now.wall) }
        });
        ObservedFleet {
            failing: self.worst().map(|worst| worst.severity),
            since,
            is_flapping: self.0.iter().any(|(_, alarm)| alarm.flapping),
        }
    }

    /// The names of the instances, in order.
    pub fn names(&self) -> Vec<String> {
        let names: BTreeSet<&str> = self.0.iter().map(|(name, _)| *name).collect_ordered();
        names.into_iter().map(str::to_owned).collect()
    }

    /// What is said of it for people: "1 of 12 instances: web-3: Timed out after 5 s".
    pub fn message(&self, total: u32) -> String {
        /// Instances that are named.
        const NAMED: usize = 5;
        let message = self.worst().map(|worst| worst.message.as_str()).unwrap_or_default();
        let failing = self.0.len();
        if total <= 1 {
            return message.to_owned();
        }
        let mut names = self.names();
        let more = names.len().saturating_sub(NAMED);
        names.truncate(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{failing} of {total} instances: {}{more}: {message}", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm(severity: Severity, seconds: f64, message: &str) -> Alarm {
        let (subject, status) = ("database".to_owned(), Status::Error);
        let (blocked, roots) = Default::default();
        Alarm { subject, status, severity, seconds, message: message.to_owned(), flapping: false, blocked, roots }
    }

    #[test]
    fn message_names_how_many_fail_and_the_worst_of_them() {
        let (first, second) = (alarm(Severity::Error, 90.0, "slow"), alarm(Severity::Critical, 30.0, "gone"));
        let both = SubjectAlarms(vec![("web-3", &first), ("web-1", &second)]);
        assert_eq!(both.message(12), "2 of 12 instances: web-1, web-3: gone");
        let now = Moment { boot: 100_000_000_000, wall: SystemTime::UNIX_EPOCH + Duration::from_secs(100) };
        let observed = both.observed(now);
        let since = observed.since.map(|since| (since.boot, since.wall));
        assert_eq!(observed.failing, Some(Severity::Critical));
        assert_eq!(since, Some((10_000_000_000, SystemTime::UNIX_EPOCH + Duration::from_secs(10))));
        assert_eq!(SubjectAlarms(vec![("web-3", &first)]).message(1), "slow");
        let many: Vec<String> = (0..20).map(|number| format!("web-{number:02}")).collect();
        let many = SubjectAlarms(many.iter().map(|name| (name.as_str(), &first)).collect());
        assert!(
            many.message(20).starts_with("20 of 20 instances: web-00, web-01, web-02, web-03, web-04 and 15 more: ")
        );
        assert!(SubjectAlarms(Vec::new()).observed(now).failing.is_none());
    }

    #[test]
    fn announcement_stays_short_and_says_when_it_differs() {
        let long = |count| InstanceAlarms {
            name: "web-3".to_owned(),
            alarms: vec![alarm(Severity::Error, 1.0, &"m".repeat(160)); count],
        };
        assert!(long(0).encode().is_empty());
        assert!((200..500).contains(&long(1).encode().len()));
        assert!(long(20).encode().len() < 4_000);
        let later = InstanceAlarms { alarms: vec![alarm(Severity::Error, 9.0, &"m".repeat(160))], ..long(0) };
        assert!(later.is_same(&long(1)) && !later.is_same(&long(2)));
    }
}
