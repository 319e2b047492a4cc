//! What keeps a check from being run, or from being shown as it was found: its parents, but where it is skipped.

use tokio::time::Instant;

use crate::model::{Outcome, Status};

/// What is known of a parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParentStatus {
    /// In error, or itself blocked, or refused by its circuit breaker.
    Failing,
    /// Anything else, and unknown.
    Other,
}

/// The first parent that is failing.
pub fn blocked_by<P>(parents: &[P], status: impl Fn(&P) -> ParentStatus) -> Option<&P> {
    parents.iter().find(|parent| status(parent) == ParentStatus::Failing)
}

/// The detail of a skipped result that could not be obtained this time, though there is something to check.
pub const UNKNOWN: &str = "unknown";

/// Whether a check is skipped since there is nothing to check: an outage elsewhere does not change that.
pub fn stays_skipped(outcome: &Outcome) -> bool {
    outcome.status == Status::Skipped && outcome.details.get(UNKNOWN).is_none_or(|unknown| unknown != true)
}

/// Whether a parent's server may explain that a run did not end: the parent has not answered since the run started, or is
/// in error.
pub fn may_explain(parent: Option<&Outcome>, started: Instant) -> bool {
    parent.is_none_or(|parent| {
        let its_start = parent.finished.checked_sub(parent.duration);
        parent.status == Status::Error || its_start.is_none_or(|its_start| its_start < started)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Finding;
    use ParentStatus::{Failing, Other};
    use std::time::Duration;

    #[test]
    fn skipped_outcome_stays_unless_it_is_unknown() {
        let table = [
            (Finding::skipped("no extension"), true),
            (Finding::skipped("no extension").with(UNKNOWN, false), true),
            (Finding::skipped("no answer").with(UNKNOWN, true), false),
            (Finding::healthy("fine"), false),
            (Finding::error("gone"), false),
        ];
        for (finding, expected) in table {
            let outcome = Outcome::of(Ok(finding.clone()), Instant::now(), Duration::ZERO);
            assert_eq!(stays_skipped(&outcome), expected, "{finding:?}");
        }
    }

    #[test]
    fn parent_explains_until_it_has_answered_well_since() {
        let origin = Instant::now() + Duration::from_secs(100);
        let at = |seconds| origin + Duration::from_secs(seconds);
        assert!(may_explain(None, at(0)));
        for status in [Status::Healthy, Status::Degraded, Status::Skipped, Status::Error] {
            for (from, to, started) in
                (0..6u64).flat_map(|from| (from..6).flat_map(move |to| (0..6).map(move |at| (from, to, at))))
            {
                let outcome = Outcome::of(Ok(Finding::new(status, "")), origin, Duration::ZERO);
                let duration = Duration::from_secs(to - from);
                let parent = Outcome { finished: at(to), duration, ..outcome };
                let expected = status == Status::Error || from < started;
                assert_eq!(may_explain(Some(&parent), at(started)), expected, "{status:?} {from} {to} {started}");
            }
        }
    }

    #[test]
    fn first_failing_parent_blocks() {
        let table: [(&[ParentStatus], Option<usize>); 5] = [
            (&[], None),
            (&[Other], None),
            (&[Failing], Some(0)),
            (&[Other, Failing, Failing], Some(1)),
            (&[Other, Other], None),
        ];
        for (parents, expected) in table {
            let numbered: Vec<_> = parents.iter().enumerate().collect();
            let found = blocked_by(&numbered, |(_, status)| **status).map(|(index, _)| *index);
            assert_eq!(found, expected, "{parents:?}");
        }
    }
}
