//! Random histories of runs and of what is no run, at a record and at a reference model of what `settle` promises.

use proptest::prelude::*;

use super::*;
use crate::model::loops::times;

/// What happens at one step, after so many milliseconds.
#[derive(Clone, Debug)]
enum Step {
    /// A lease is acquired and its run ends with this status.
    Run(Status),
    /// A lease is acquired and given back: still running, not started, blocked.
    NoRun,
    /// A lease is acquired, another process takes it over when it has run out, and both runs end.
    Overtaken(Status, Status),
    /// The record is requested and nothing else.
    Read,
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![
        3 => Just(Status::Healthy),
        1 => Just(Status::Degraded),
        3 => Just(Status::Error),
        1 => Just(Status::Skipped),
    ]
}

fn step() -> impl Strategy<Value = (u64, Step)> {
    let step = prop_oneof![
        4 => status().prop_map(Step::Run),
        3 => Just(Step::NoRun),
        1 => (status(), status()).prop_map(|(late, taken)| Step::Overtaken(late, taken)),
        2 => Just(Step::Read),
    ];
    (0_u64..20_000, step)
}

/// What the record must know, by the plainest means: the list of the runs that count.
#[derive(Default)]
struct Reference {
    runs: Vec<Status>,
    shown: Vec<Status>,
}

impl Reference {
    /// Adds a run that counts, and returns the status to show.
    fn settle(&mut self, found: Status, failures: usize, successes: usize) -> Status {
        self.runs.push(found);
        let shown = match self.shown.last() {
            None => found,
            Some(&shown) if shown == found => shown,
            Some(&shown) => {
                let needed = match (shown == Status::Error, found == Status::Error) {
                    (false, true) => failures,
                    (true, false) => successes,
                    _ => 1,
                };
                // Runs in a row since one agreed with what is shown, or since that was taken.
                let since_shown = self.shown.iter().rev().take_while(|status| **status == shown).count();
                let recent = self.runs.iter().rev().take(since_shown);
                let against = recent.take_while(|run| **run != shown).count();
                if against >= needed { found } else { shown }
            }
        };
        self.shown.push(shown);
        shown
    }

    fn changes(&self) -> usize {
        let first = usize::from(!self.shown.is_empty());
        first + self.shown.windows(2).filter(|pair| pair.first() != pair.last()).count()
    }

    fn failures_in_a_row(&self) -> usize {
        self.runs.iter().rev().take_while(|run| **run == Status::Error).count()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: times(2_000, 10_000), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn settle_agrees_with_the_reference(
        steps in prop::collection::vec(step(), 1..40),
        failures in 1_u32..4,
        successes in 1_u32..4,
    ) {
        let options = CheckOptions {
            failures_before_error: failures,
            successes_before_healthy: successes,
            // Opens for longer than a history lasts: from then on nothing is run.
            breaker: Some(BreakerOptions {
                failures: Some(4),
                wait: Duration::from_secs(80_000),
                max_wait: Duration::from_secs(80_000),
                ..BreakerOptions::default()
            }),
            ..CheckOptions::new("x", TIMEOUT, Duration::from_secs(30))
        };
        let mut record = Record::new(&options, STALE_AFTER);
        let mut reference = Reference::default();
        let mut now = Instant::now();
        let mut lease = 0;
        let mut changes = 0;
        for (millis, step) in steps {
            now += Duration::from_millis(millis);
            let is_open = reference.failures_in_a_row() >= 4;
            let mut acquire = |record: &mut Record, now| {
                lease += 1;
                let owner = owner(1, lease);
                let wanted = Wanted::SettledAfter(record.settled());
                (owner, record.acquire(wanted, owner, now, |_| true).0)
            };
            let mut settle = |record: &mut Record, owner, found, now| {
                let mut run = run(Ok(Finding::new(found, "m")));
                run.outcome.finished = now;
                run.call_result = if found == Status::Error { CallResult::Failure } else { CallResult::Success };
                let settled = record.settle(owner, run, &Limits::default(), now);
                changes += usize::from(settled.status_change.is_some());
                settled.outcome
            };
            match step {
                Step::Read => {
                    prop_assert_eq!(record.is_refused(now).is_some(), is_open);
                }
                _ if is_open => {
                    let (_, acquired) = acquire(&mut record, now);
                    prop_assert!(matches!(acquired, Acquired::Refused(_)), "{:?}", acquired);
                }
                Step::Run(found) => {
                    let (owner, acquired) = acquire(&mut record, now);
                    prop_assert!(is_leader(&acquired));
                    let shown = reference.settle(found, failures as usize, successes as usize);
                    let outcome = settle(&mut record, owner, found, now);
                    prop_assert_eq!(outcome.status, shown);
                    prop_assert_eq!(outcome.raw_status, (found != shown).then_some(found));
                }
                Step::NoRun => {
                    let (owner, acquired) = acquire(&mut record, now);
                    prop_assert!(is_leader(&acquired));
                    prop_assert!(record.give_back(owner));
                }
                Step::Overtaken(late, taken) => {
                    let (slow, acquired) = acquire(&mut record, now);
                    prop_assert!(is_leader(&acquired));
                    now += TIMEOUT + MARGIN;
                    let (quick, acquired) = acquire(&mut record, now);
                    prop_assert!(is_leader(&acquired));
                    settle(&mut record, slow, late, now);
                    let shown = reference.settle(taken, failures as usize, successes as usize);
                    prop_assert_eq!(settle(&mut record, quick, taken, now).status, shown);
                }
            }
            prop_assert_eq!(record.settled(), reference.runs.len() as u64);
            prop_assert_eq!(record.latest().map(|latest| latest.status), reference.shown.last().copied());
            prop_assert_eq!(changes, reference.changes());
            let runs: u64 = record.counters(now).runs.values().sum();
            prop_assert_eq!(runs, reference.runs.len() as u64);
        }
        let seconds = record.counters(now).seconds;
        let counted = seconds.healthy + seconds.degraded + seconds.error + seconds.unknown;
        prop_assert!(counted >= 0.0);
    }
}
