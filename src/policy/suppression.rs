//! Which alerts a route, a silence or a maintenance window means, and whether one is in force.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::model::{Severity, check_of};
use crate::policy::cron::Cron;
use crate::policy::group::any_matches;

/// Which alerts are meant: each list that is not empty must have the alert's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertMatcher {
    /// Names of checks, or patterns with `*` and `?`. An alert about the objective of a check is meant by the check's
    /// name, too.
    pub checks: Vec<String>,
    pub severities: Vec<Severity>,
    /// Groups to one of which the check belongs.
    pub groups: Vec<String>,
}

impl AlertMatcher {
    /// Whether an alert of that check and severity is meant; `groups` are those that the check belongs to.
    pub fn matches(&self, check: &str, severity: Severity, groups: &[String]) -> bool {
        let is_named = any_matches(&self.checks, check) || any_matches(&self.checks, check_of(check));
        (self.checks.is_empty() || is_named)
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

/// From its start up to its end.
pub type Window = (SystemTime, SystemTime);

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

    /// The windows that are open at any time between `since` and `until`: whole ones, in order and without overlaps.
    pub fn windows(&self, since: SystemTime, until: SystemTime) -> Vec<Window> {
        let windows = match &self.time {
            MaintenanceTime::Once { start, end } => vec![(*start, *end)],
            MaintenanceTime::Repeated { cron, minutes } => repeated(cron, *minutes, since, until).unwrap_or_default(),
        };
        merged(windows.into_iter().filter(|(start, end)| *start < until && *end > since))
    }
}

/// The windows of a cron expression that start before `until` and do not end before `since`; `None` beyond the calendar.
fn repeated(cron: &Cron, minutes: u32, since: SystemTime, until: SystemTime) -> Option<Vec<Window>> {
    let lasts = Duration::from_secs(u64::from(minutes) * 60);
    let civil = |at: SystemTime| Timestamp::try_from(at).ok().map(|at| TimeZone::UTC.to_datetime(at));
    let (earliest, latest) = (civil(since.checked_sub(lasts)?)?, civil(until)?);
    let window = |start| {
        let start = SystemTime::try_from(TimeZone::UTC.to_timestamp(start).ok()?).ok()?;
        Some((start, start.checked_add(lasts)?))
    };
    Some(cron.between(earliest, latest).filter_map(window).collect())
}

/// The same time in the fewest windows, in order.
pub fn merged(windows: impl IntoIterator<Item = Window>) -> Vec<Window> {
    let mut sorted: Vec<Window> = windows.into_iter().collect();
    sorted.sort_unstable();
    let mut merged: Vec<Window> = Vec::new();
    for (start, end) in sorted {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
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
        let objectives = AlertMatcher { checks: strings(&["objective:*"]), ..AlertMatcher::default() };
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
            (&some, "objective:database_1", Severity::Warning, &[], true),
            (&objectives, "objective:database_1", Severity::Warning, &[], true),
            (&objectives, "database_1", Severity::Warning, &[], false),
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

    /// A time is in a window of those between two times if and only if it is in maintenance then.
    #[test]
    fn windows_between_two_times_are_when_maintenance_is_active() {
        let (since, until) = (at("2026-11-27T03:17Z"), at("2026-12-06T14:41Z"));
        let once = |start, end| MaintenanceTime::Once { start: at(start), end: at(end) };
        let cron = |text, minutes| MaintenanceTime::Repeated { cron: Cron::parse(text).unwrap(), minutes };
        for (time, count) in [
            (once("2026-11-20T00:00Z", "2026-11-27T03:17Z"), 0),
            (once("2026-11-20T00:00Z", "2026-11-27T03:18Z"), 1),
            (once("2026-12-06T14:41Z", "2026-12-07T00:00Z"), 0),
            (cron("0 3 * * *", 30), 10),
            (cron("0 3 * * SUN", 60), 2),
            (cron("30 23 * * *", 90), 9),
            (cron("*/15 9-17 * * MON-FRI", 10), 6 * 36),
            (cron("*/15 * * * *", 15), 1),
            (cron("0 0 30 NOV *", 10_080), 1),
        ] {
            let maintenance = Maintenance { time, matcher: AlertMatcher::default() };
            let windows = maintenance.windows(since, until);
            assert_eq!(windows.len(), count, "{maintenance:?} {windows:?}");
            let mut now = since;
            while now < until {
                let is_inside = windows.iter().any(|(start, end)| *start <= now && now < *end);
                assert_eq!(is_inside, maintenance.is_active(now), "{maintenance:?} at {now:?}");
                now += Duration::from_secs(60);
            }
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
