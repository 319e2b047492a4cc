//! The messages under way on one session, which its server answers in order.

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::group::StatementId;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ReplyState {
    Answered,
    /// Its check was cut off.
    Abandoned,
    /// It was sent on another session instead, since it was not at the head.
    Moved,
}

/// How a session ends that has messages which no check waits for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// The server is requested to cancel what it works on.
    Cancel,
    /// The connection is closed: all that is left runs elsewhere.
    Close,
}

#[derive(Debug)]
pub struct Pipeline {
    next: u64,
    waiting: BTreeMap<u64, StatementId>,
    abandoned: bool,
    moved: bool,
    /// Since when the first waiting message has been the first.
    head_since: Instant,
}

impl Default for Pipeline {
    fn default() -> Self {
        Self { next: 0, waiting: BTreeMap::new(), abandoned: false, moved: false, head_since: Instant::now() }
    }
}

impl Pipeline {
    /// A new message's number.
    pub fn start(&mut self, statement: StatementId) -> u64 {
        let number = self.next;
        self.next += 1;
        if self.waiting.is_empty() {
            self.head_since = Instant::now();
        }
        self.waiting.insert(number, statement);
        number
    }

    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn is_head(&self, number: u64) -> bool {
        self.waiting.first_key_value().is_some_and(|(first, _)| *first == number)
    }

    /// The first message's statement, and since when the server has been at work on it; `None` if there is none.
    pub fn head(&self) -> Option<(StatementId, Instant)> {
        self.waiting.first_key_value().map(|(_, statement)| (*statement, self.head_since))
    }

    pub fn statements(&self) -> impl Iterator<Item = StatementId> {
        self.waiting.values().copied()
    }

    /// Ends a message. `Some`: the session ends, since the server is, or will be, at work on a message that no check
    /// waits for.
    ///
    /// A message that is abandoned behind another must not have that other cancelled, which may still be answered.
    pub fn end(&mut self, number: u64, outcome: ReplyState) -> Option<End> {
        let at_head = self.is_head(number);
        self.waiting.remove(&number);
        if at_head {
            self.head_since = Instant::now();
        }
        self.abandoned |= outcome == ReplyState::Abandoned;
        self.moved |= outcome == ReplyState::Moved;
        let over =
            if self.is_idle() { self.abandoned || self.moved } else { at_head && outcome == ReplyState::Abandoned };
        over.then_some(if self.abandoned { End::Cancel } else { End::Close })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_message_without_waiter_is_cancelled() {
        use ReplyState::{Abandoned, Answered, Moved};
        let (cancel, close) = (Some(End::Cancel), Some(End::Close));
        // What becomes of each of three messages, and whether it ends the session.
        let cases = [
            ("all answered", [(0, Answered, None), (1, Answered, None), (2, Answered, None)]),
            ("the first abandoned", [(0, Abandoned, cancel), (1, Answered, None), (2, Answered, cancel)]),
            ("one behind it abandoned", [(1, Abandoned, None), (0, Answered, None), (2, Answered, cancel)]),
            ("all abandoned, the last first", [(2, Abandoned, None), (1, Abandoned, None), (0, Abandoned, cancel)]),
            ("all but the first abandoned", [(2, Abandoned, None), (1, Abandoned, None), (0, Answered, cancel)]),
            ("all but the first moved", [(1, Moved, None), (2, Moved, None), (0, Answered, close)]),
            ("the others moved, the first abandoned", [(1, Moved, None), (2, Moved, None), (0, Abandoned, cancel)]),
        ];
        for (case, ends) in cases {
            let mut pipeline = Pipeline::default();
            let numbers = ["a", "b", "c"].map(|statement| pipeline.start(StatementId::of([statement])));
            assert_eq!(numbers, [0, 1, 2]);
            assert!(pipeline.is_head(0) && !pipeline.is_head(1));
            for (number, outcome, expected) in ends {
                assert_eq!(pipeline.end(number, outcome), expected, "{case}: {number}");
            }
            assert!(pipeline.is_idle());
        }
    }
}
