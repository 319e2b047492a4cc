//! What the holder of the incidents knows of all instances: which of them fail, and by what.
//!
//! ```text
//!   says that it fails ──► failing ──says that it does not──► (forgotten)
//!                            └─ says nothing for 35 s, while the holder can hear it ──► (forgotten): it is gone
//! ```
//!
//! An instance of which nothing is found says nothing: the server may have lost it. So a holder that has not listened for
//! as long as each has to speak takes nothing for over. Nor does it open anything by what was said before it reached the
//! server: after an outage that is what was so before, or during it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::policy::incident::alarm::{Alarm, InstanceAlarms, SubjectAlarms};
use crate::state::backend::fleet::alarms::ReportedAlarms;
use crate::state::backend::fleet::instances::MISSED_AFTER;

/// All that say anything have said it within that time.
const SETTLED_AFTER: Duration = Duration::from_secs(15);

/// What is known of the instances that fail.
#[derive(Debug, Default)]
pub struct InstanceWatch {
    /// Since when this process listens as the holder without a break.
    since: Option<Instant>,
    /// Since when the server was reached without a break, as holder or not.
    reached_since: Option<Instant>,
    failing: BTreeMap<String, (Instant, InstanceAlarms)>,
    total: usize,
}

impl InstanceWatch {
    /// Takes in what the instances have said; `reached`: for how long the server was reached without a break.
    pub fn take(&mut self, said: &[ReportedAlarms], reached: Duration) {
        let now = Instant::now();
        let reached_since = now.checked_sub(reached).unwrap_or(now);
        self.since = Some(self.since.unwrap_or(now).max(reached_since));
        self.reached_since = Some(reached_since);
        let is_gone = |age: Duration| age > MISSED_AFTER && reached > MISSED_AFTER;
        self.total = 0;
        for ReportedAlarms { instance, age, alarms } in said {
            let known = self.failing.remove(instance);
            if is_gone(*age) {
                continue;
            }
            self.total += 1;
            let at = now.checked_sub(*age).unwrap_or(now);
            if let Ok(alarms) = serde_json::from_slice(alarms) {
                self.failing.insert(instance.clone(), (at, alarms));
            } else if !alarms.is_empty() {
                // Of another version: as it was understood last.
                self.failing.extend(known.map(|known| (instance.clone(), known)));
            }
        }
        self.failing.retain(|_, (at, _)| !is_gone(at.elapsed()));
    }

    /// What this host says itself, as it is now.
    pub fn take_own(&mut self, instance: &str, alarms: &InstanceAlarms) {
        if alarms.alarms.is_empty() {
            self.failing.remove(instance);
        } else {
            self.failing.insert(instance.to_owned(), (Instant::now(), alarms.clone()));
        }
    }

    /// Whether a subject of which no instance says anything fails nowhere.
    pub fn is_settled(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() >= SETTLED_AFTER)
    }

    /// How many instances there are.
    pub fn total(&self) -> u32 {
        u32::try_from(self.total.max(self.failing.len()).max(1)).unwrap_or(u32::MAX)
    }

    /// What is said, by subject; of one that is not among `open` only what was said since the server is reached.
    pub fn by_subject(&self, open: &BTreeSet<String>) -> BTreeMap<&str, SubjectAlarms<'_>> {
        let mut found: BTreeMap<&str, SubjectAlarms<'_>> = BTreeMap::new();
        for (at, InstanceAlarms { name, alarms }) in self.failing.values() {
            let is_current = self.reached_since.is_none_or(|since| *at >= since);
            for alarm in alarms.iter().filter(|alarm| is_current || open.contains(&alarm.subject)) {
                let alarm: &Alarm = alarm;
                found.entry(&alarm.subject).or_insert_with(|| SubjectAlarms(Vec::new())).0.push((name, alarm));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Severity, Status};

    const SECOND: Duration = Duration::from_secs(1);

    fn alarms(name: &str) -> InstanceAlarms {
        let (subject, status, severity) = ("database".to_owned(), Status::Error, Severity::Critical);
        let (blocked, roots, message) = Default::default();
        let alarm = Alarm { subject, status, severity, seconds: 1.0, message, flapping: false, blocked, roots };
        InstanceAlarms { name: name.to_owned(), alarms: vec![alarm] }
    }

    fn said(instance: &str, age: u64, fails: bool) -> ReportedAlarms {
        let alarms = if fails { alarms(instance).encode() } else { Vec::new() };
        ReportedAlarms { instance: instance.to_owned(), age: SECOND * age as u32, alarms }
    }

    fn failing(watch: &InstanceWatch) -> Vec<String> {
        let open = BTreeSet::from(["database".to_owned()]);
        watch.by_subject(&open).get("database").map(SubjectAlarms::names).unwrap_or_default()
    }

    #[tokio::test(start_paused = true)]
    async fn instance_fails_until_it_says_otherwise_or_is_gone() {
        tokio::time::advance(SECOND * 100).await;
        let (mut watch, long) = (InstanceWatch::default(), SECOND * 60);
        watch.take(&[said("a", 1, true), said("b", 2, true), said("c", 3, false)], long);
        assert_eq!((failing(&watch), watch.total()), (vec!["a".to_owned(), "b".to_owned()], 3));
        watch.take(&[said("a", 1, false), said("b", 36, true), said("c", 3, false)], long);
        assert_eq!((failing(&watch), watch.total()), (vec![], 2), "one has recovered, the other one is gone");
        watch.take(&[said("b", 36, true)], SECOND);
        assert_eq!(failing(&watch), ["b"], "no instance was seen for a while: it is not gone yet");
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_server_has_lost_is_not_over() {
        tokio::time::advance(SECOND * 100).await;
        let (mut watch, long) = (InstanceWatch::default(), SECOND * 60);
        watch.take(&[said("a", 1, true), said("b", 1, false)], long);
        watch.take(&[], long);
        assert_eq!((failing(&watch), watch.is_settled()), (vec!["a".to_owned()], false));
        tokio::time::advance(SECOND * 16).await;
        assert!(watch.is_settled());
        watch.take_own("a", &InstanceAlarms::default());
        assert_eq!(failing(&watch), [] as [&str; 0], "it is this one");
        watch.take_own("b", &alarms("b"));
        tokio::time::advance(SECOND * 36).await;
        watch.take(&[], long);
        assert_eq!(failing(&watch), [] as [&str; 0]);
    }
}
