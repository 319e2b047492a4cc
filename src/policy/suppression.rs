//! Which alerts a route, a silence or a maintenance window means, and whether one is in force.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::model::Severity;
use crate::policy::cron::Cron;
use crate::policy::group::any_matches;

/// Which alerts are meant: each list that is not empty must have the alert's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertMatcher {
    /// Names of checks, or patterns with `*` and `?`.
    pub checks: Vec<String>,
    pub severities: Vec<Severity>,
    /// Groups to one of which the check belongs.
    pub groups: Vec<String>,
}

impl AlertMatcher {
    /// Whether an alert of that check and severity is meant; `groups` are those that the check belongs to.
    pub fn matches(&self, check: &str, severity: Severity, groups: &[String]) -> bool {
        (self.checks.is_empty() || any_matches(&self.checks, check))
            && (self.severities.is_empty() || self.severities.contains(&severity))
            && (self.groups.is_empty() || self.groups.iter().any(|group| groups.contains(group)))
    }
}

/// A time in which what matches is not alerted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    pub id: String,
    pub matcher: AlertMatcher,
    pub start: SystemTime,
    pub end: SystemTime,
    pub author: String,
    pub comment: String,
}

impl Silence {
    pub fn is_active(&self, now: SystemTime) -> bool {
        self.start <= now && now < self.end
    }

    /// As it stands in the timeline of an incident.
    pub fn in_words(&self) -> String {
        let comment = if self.comment.is_empty() { String::new() } else { format!(": {}", self.comment) };
        format!("Silenced by {}{comment}", self.author)
    }
}

/// When a maintenance window is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MaintenanceTime {
    Once { start: SystemTime, end: SystemTime },
    Repeated { cron: Cron, minutes: u32 },
}

/// A planned time in which what matches is not alerted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintenance {
    pub time: MaintenanceTime,
    pub matcher: AlertMatcher,
}

impl Maintenance {
    pub fn is_active(&self, now: SystemTime) -> bool {
        match &self.time {
            MaintenanceTime::Once { start, end } => *start <= now && now < *end,
            MaintenanceTime::Repeated { cron, minutes } => {
                let Ok(now) = Timestamp::try_from(now) else { return false };
                let Ok(earliest) = now.checked_sub(Duration::from_secs(u64::from(*minutes) * 60)) else { return false };
                let civil = |at: Timestamp| TimeZone::UTC.to_datetime(at);
                // One that has lasted for all of its minutes is over.
                cron.latest(civil(earliest), civil(now)).is_some_and(|start| start > civil(earliest))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(text: &str) -> SystemTime {
        text.parse::<Timestamp>().unwrap().try_into().unwrap()
    }

    #[test]
    fn matcher_needs_each_list_that_is_not_empty() {
        let strings = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let all = AlertMatcher::default();
        let some = AlertMatcher { checks: strings(&["database_*"]), ..AlertMatcher::default() };
        let critical = AlertMatcher { severities: vec![Severity::Critical], ..some.clone() };
        let group = AlertMatcher { groups: strings(&["worker", "web"]), ..AlertMatcher::default() };
        for (matcher, check, severity, groups, expected) in [
            (&all, "x", Severity::Warning, &[][..], true),
            (&some, "database_1", Severity::Warning, &[], true),
            (&some, "cache", Severity::Warning, &[], false),
            (&critical, "database_1", Severity::Error, &[], false),
            (&critical, "database_1", Severity::Critical, &[], true),
            (&group, "x", Severity::Critical, &["other"], false),
            (&group, "x", Severity::Critical, &["other", "web"], true),
        ] {
            assert_eq!(matcher.matches(check, severity, &strings(groups)), expected, "{matcher:?} {check}");
        }
    }

    #[test]
    fn maintenance_lasts_from_its_start_to_its_end() {
        let of = |time| Maintenance { time, matcher: AlertMatcher::default() };
        let once = of(MaintenanceTime::Once { start: at("2026-12-01T22:00Z"), end: at("2026-12-02T01:00Z") });
        let weekly = of(MaintenanceTime::Repeated { cron: Cron::parse("0 3 * * SUN").unwrap(), minutes: 60 });
        let nightly = of(MaintenanceTime::Repeated { cron: Cron::parse("30 23 * * *").unwrap(), minutes: 90 });
        for (window, now, expected) in [
            (&once, "2026-12-01T21:59:59Z", false),
            (&once, "2026-12-01T22:00Z", true),
            (&once, "2026-12-02T01:00Z", false),
            (&weekly, "2026-11-29T02:59:59Z", false),
            (&weekly, "2026-11-29T03:00Z", true),
            (&weekly, "2026-11-29T03:59:59Z", true),
            (&weekly, "2026-11-29T04:00Z", false),
            (&weekly, "2026-11-30T03:30Z", false),
            (&nightly, "2026-11-30T00:59:59Z", true),
            (&nightly, "2026-11-30T01:00Z", false),
        ] {
            assert_eq!(window.is_active(at(now)), expected, "{window:?} at {now}");
        }
    }

    #[test]
    fn silence_in_words_names_author_and_comment() {
        let matcher = AlertMatcher::default();
        let (start, end) = (at("2026-12-01T22:00Z"), at("2026-12-01T23:00Z"));
        let text = |comment: &str| {
            let (id, author, comment) = ("1".to_owned(), "anna".to_owned(), comment.to_owned());
            let silence = Silence { id, matcher: matcher.clone(), start, end, author, comment };
            assert!(silence.is_active(start) && !silence.is_active(end));
            silence.in_words()
        };
        assert_eq!((text("deploy").as_str(), text("").as_str()), ("Silenced by anna: deploy", "Silenced by anna"));
    }
}
