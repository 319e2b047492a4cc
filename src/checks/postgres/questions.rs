//! The questions on their way over one session, which its server answers in order.

use std::collections::BTreeSet;

#[derive(Default)]
pub struct Questions {
    next: u64,
    waiting: BTreeSet<u64>,
    /// Some were given up, and may still be to be answered.
    given_up: bool,
}

impl Questions {
    /// A new question's number.
    pub fn ask(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        self.waiting.insert(number);
        number
    }

    /// The question is answered, or else given up. True: the server may be at work on one that nobody waits for any more.
    ///
    /// Whoever is given up behind another must not have that other cancelled, which may still be answered.
    pub fn end(&mut self, number: u64, answered: bool) -> bool {
        let at_work = self.waiting.first() == Some(&number);
        self.waiting.remove(&number);
        self.given_up |= !answered;
        self.given_up && (self.waiting.is_empty() || at_work && !answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_question_that_nobody_waits_for_is_cancelled() {
        // What happens to which of three questions, and whether it calls for an end of the session.
        let cases = [
            ("all answered", [(0, true, false), (1, true, false), (2, true, false)]),
            ("the first given up", [(0, false, true), (1, true, false), (2, true, true)]),
            ("one behind it given up", [(1, false, false), (0, true, false), (2, true, true)]),
            ("all given up, the last first", [(2, false, false), (1, false, false), (0, false, true)]),
            ("all but the first given up", [(2, false, false), (1, false, false), (0, true, true)]),
        ];
        for (case, ends) in cases {
            let mut questions = Questions::default();
            let numbers = [questions.ask(), questions.ask(), questions.ask()];
            assert_eq!(numbers, [0, 1, 2]);
            for (number, answered, expected) in ends {
                assert_eq!(questions.end(number, answered), expected, "{case}: {number}");
            }
        }
    }
}
