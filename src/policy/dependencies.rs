//! Which parent keeps a check from being run, or from being shown as it was found.

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

#[cfg(test)]
mod tests {
    use super::*;
    use ParentStatus::{Failing, Other};

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
