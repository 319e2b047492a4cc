//! Tasks that were to run at a time which is past: nothing moves them into their queue.

use crate::checks::fields::{counted, printable};
use crate::model::{Finding, Status};

/// How many seconds a task may be due before it is overdue: longer than a deploy takes.
pub const OVERDUE_AFTER: f64 = 300.0;

/// What was found of tasks whose time is past.
#[derive(Default)]
pub struct Overdue {
    pub count: u64,
    /// The queues with such tasks for which no scheduler runs.
    pub without_scheduler: Vec<String>,
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
mod tests {
    use super::*;

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
