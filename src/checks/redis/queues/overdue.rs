//! Tasks that were to run at a time which is past: nothing moves them into their queue.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::now;
use crate::checks::fields::{counted, printable};
use crate::model::{Finding, Status};
use crate::runtime::Context;
use crate::runtime::blocking::single_flight;

/// How many seconds a task may be due before it is overdue: longer than a deploy takes.
pub const OVERDUE_AFTER: f64 = 300.0;

/// What was found of tasks whose time is past.
#[derive(Default)]
pub struct Overdue {
    pub count: u64,
    /// The queues with such tasks for which no scheduler runs.
    pub without_scheduler: Vec<String>,
}

/// The score of a task that has just become overdue, where clients write UTC as if it were the local time of a zone;
/// `None` for a zone that is not known here.
pub async fn due_before(context: &Context, zone: &str) -> Option<f64> {
    let name = zone.to_owned();
    let read = move || named(&name);
    let zone = single_flight(&context.process, &format!("time zone {zone}"), read).await.ok().flatten()?;
    score(now() - OVERDUE_AFTER, &zone)
}

/// The zone of that name, which is a file but for UTC: not every image has such files.
fn named(zone: &str) -> Option<TimeZone> {
    if zone == "UTC" { Some(TimeZone::UTC) } else { TimeZone::get(zone).ok() }
}

/// What `time.mktime` makes of a time in UTC in a process with this zone.
fn score(seconds: f64, zone: &TimeZone) -> Option<f64> {
    let utc = TimeZone::UTC.to_datetime(Timestamp::from_microsecond((seconds * 1e6) as i64).ok()?);
    Some(zone.to_timestamp(utc).ok()?.as_microsecond() as f64 / 1e6)
}

/// The finding, degraded at least if tasks are overdue.
pub fn with_overdue(finding: Finding, overdue: &Overdue) -> Finding {
    let finding = finding.with("overdue_schedules", overdue.count);
    if overdue.count == 0 {
        return finding;
    }
    let verb = if overdue.count == 1 { "is" } else { "are" };
    let mut message = format!("{}; {} {verb} overdue", finding.message, counted("schedule", overdue.count));
    if let Some(name) = overdue.without_scheduler.first() {
        let others = if overdue.without_scheduler.len() > 1 { " and others" } else { "" };
        message = format!("{message}: no scheduler runs for {:?}{others}", printable(name));
    }
    let status = if finding.status == Status::Error { Status::Error } else { Status::Degraded };
    Finding { status, message, ..finding }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn score_is_utc_as_local_time() {
        let (winter, summer) = (1_767_225_600.5, 1_782_864_000.0); // 2026-01-01 and 2026-07-01
        for (zone, expected) in [
            ("UTC", (winter, summer)),
            ("Europe/Berlin", (winter - 3600.0, summer - 7200.0)),
            ("America/New_York", (winter + 5.0 * 3600.0, summer + 4.0 * 3600.0)),
        ] {
            let zone = named(zone).unwrap();
            assert_eq!((score(winter, &zone).unwrap(), score(summer, &zone).unwrap()), expected);
        }
        assert!(score(f64::INFINITY, &TimeZone::UTC).is_none());
    }

    #[test]
    fn overdue_tasks_are_degraded_and_no_better_than_the_depth() {
        let queues = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        for (count, without, status, said) in [
            (0, &[][..], Status::Healthy, "m"),
            (1, &[], Status::Degraded, "m; 1 schedule is overdue"),
            (2, &["mail"], Status::Degraded, "m; 2 schedules are overdue: no scheduler runs for \"mail\""),
            (2, &["a", "b"], Status::Degraded, "m; 2 schedules are overdue: no scheduler runs for \"a\" and others"),
        ] {
            let overdue = Overdue { count, without_scheduler: queues(without) };
            let finding = with_overdue(Finding::healthy("m"), &overdue);
            assert_eq!((finding.status, finding.message.as_str()), (status, said));
            assert_eq!(finding.details.get("overdue_schedules"), Some(&count.into()));
            assert_eq!(with_overdue(Finding::error("m"), &overdue).status, Status::Error);
        }
    }
}
