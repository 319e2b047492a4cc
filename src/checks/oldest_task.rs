//! Whether the oldest pending task of a queue has waited for so long that no worker seems to take it.

use serde_json::Value;

use crate::model::{Finding, SpecError, Status};

const OLDEST: &str = "oldest_pending_seconds";

/// The default limit. Few queues are meant to hold a task for longer that could run.
pub fn day() -> f64 {
    86_400.0
}

pub fn validate_oldest(limit: f64) -> Result<(), SpecError> {
    match limit.is_finite() && limit >= 0.0 {
        true => Ok(()),
        false => Err(SpecError("oldest_seconds must be a number of seconds from 0, which is no limit".to_owned())),
    }
}

/// The finding, degraded at least if the oldest task that it tells of has waited for longer; 0 is no limit.
pub fn judge_oldest(finding: Finding, limit: f64) -> Finding {
    let oldest = finding.details.get(OLDEST).and_then(Value::as_f64);
    let Some(seconds) = oldest.filter(|seconds| limit > 0.0 && *seconds > limit) else {
        return finding;
    };
    let message = format!("{}; the oldest has waited for {seconds:.0} s", finding.message);
    let status = if finding.status == Status::Error { Status::Error } else { Status::Degraded };
    Finding { status, message, ..finding }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oldest_task_is_judged_by_its_age() {
        for (status, oldest, limit, expected) in [
            (Status::Healthy, Some(86_400.0), day(), Status::Healthy),
            (Status::Healthy, Some(86_400.1), day(), Status::Degraded),
            (Status::Error, Some(86_400.1), day(), Status::Error),
            (Status::Healthy, Some(86_400.1), 0.0, Status::Healthy),
            (Status::Healthy, None, day(), Status::Healthy),
        ] {
            let finding = judge_oldest(Finding::new(status, "1 task pending").with(OLDEST, oldest), limit);
            let is_old = oldest.is_some_and(|seconds| limit > 0.0 && seconds > limit);
            let message = if is_old { "1 task pending; the oldest has waited for 86400 s" } else { "1 task pending" };
            assert_eq!((finding.status, finding.message.as_str()), (expected, message), "{oldest:?}");
        }
    }

    #[test]
    fn limit_must_be_a_number_of_seconds() {
        for (limit, is_right) in [(0.0, true), (1.5, true), (-1.0, false), (f64::NAN, false), (f64::INFINITY, false)] {
            assert_eq!(validate_oldest(limit).is_ok(), is_right, "{limit}");
        }
    }
}
