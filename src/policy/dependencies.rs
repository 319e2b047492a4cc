//! What keeps a check from being run, or from being shown as it was found: its parents, but where it is skipped.

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Finding;
    use ParentStatus::{Failing, Other};
    use std::time::Duration;
    use tokio::time::Instant;

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
