//! Two processes and an operator at one record.

#![allow(clippy::unwrap_used, clippy::panic, clippy::type_complexity)]

use std::collections::HashSet;

use super::*;
use crate::model::BreakerOptions;
use crate::model::{CheckError, Finding, Status};
use crate::model::{CircuitMode, CircuitState};

const TIMEOUT: Duration = Duration::from_secs(5);
const NEW: Want = Want::NotOlderThan(Duration::from_secs(30));

fn spec() -> CheckOptions {
    CheckOptions {
        breaker: Some(BreakerOptions::default()),
        ..CheckOptions::new("x", TIMEOUT, Duration::from_secs(30))
    }
}

fn owner(process: u64, lease: u64) -> Owner {
    Owner { member: 0, process, lease }
}

/// A record as processes see it that share it: everything travels through what it tells. Moments are a little off after
/// that, since two clocks cannot be read at once.
struct Host {
    record: Record,
    now: Instant,
    dead: HashSet<u64>,
}

impl Host {
    fn new() -> Self {
        Self { record: Record::new(&spec()), now: Instant::now(), dead: HashSet::new() }
    }

    fn travel(&mut self) {
        let bytes = self.record.encode(usize::MAX).unwrap();
        self.record = Record::new(&spec());
        assert!(self.record.decode(&bytes));
    }

    fn claim(&mut self, owner: Owner) -> Turn {
        self.travel();
        self.record.claim(NEW, owner, self.now, |owner| !self.dead.contains(&owner.process)).0
    }

    fn settle(&mut self, owner: Owner, result: Result<Finding, CheckError>) -> (Arc<Outcome>, Option<Transition>) {
        self.travel();
        let verdict = if result.is_ok() { Verdict::Success } else { Verdict::Failure };
        self.record.settle(owner, Arc::new(Outcome::of(result, self.now)), verdict, self.now)
    }

    fn fail(&mut self, owner: Owner) -> Option<Transition> {
        self.settle(owner, Err(CheckError::Refused { target: "t".to_owned() })).1
    }
}

fn led(turn: &Turn) -> bool {
    matches!(turn, Turn::Led(_))
}

#[test]
fn one_runs_it_and_the_others_get_its_answer() {
    let mut host = Host::new();
    let (first, second) = (owner(1, 1), owner(2, 1));
    assert!(led(&host.claim(first)));
    assert!(matches!(host.claim(second), Turn::Held));
    assert!(matches!(host.claim(owner(1, 2)), Turn::Held), "nor may the same process twice");
    host.settle(first, Ok(Finding::healthy("fine").with("n", 1)));
    let Turn::Answered(outcome) = host.claim(second) else { panic!("not answered") };
    assert_eq!((outcome.message.as_str(), outcome.details.get("n").unwrap()), ("fine", &serde_json::json!(1)));
    assert_eq!(host.record.settled(), 1);
}

#[test]
fn lease_is_taken_over_once_its_owner_is_dead_or_its_time_is_over() {
    let table: [(&str, fn(&mut Host), bool); 4] = [
        ("alive", |_| {}, false),
        ("dead", |host| host.dead.extend([1]), true),
        ("about to time out", |host| host.now += TIMEOUT, false),
        ("overdue", |host| host.now += TIMEOUT + MARGIN * 2, true),
    ];
    for (name, happens, taken_over) in table {
        let mut host = Host::new();
        assert!(led(&host.claim(owner(1, 1))));
        happens(&mut host);
        assert_eq!(led(&host.claim(owner(2, 1))), taken_over, "{name}");
    }
}

#[test]
fn who_lost_the_lease_changes_nothing_and_gives_what_is_newer() {
    let mut host = Host::new();
    let (slow, quick) = (owner(1, 1), owner(2, 1));
    assert!(led(&host.claim(slow)));
    host.now += TIMEOUT * 2;
    assert!(led(&host.claim(quick)));
    let late = Err(CheckError::Panicked);
    assert_eq!(host.settle(slow, late.clone()).0.status, Status::Error, "nothing newer is known yet");
    assert_eq!(host.record.settled(), 0);
    host.settle(quick, Ok(Finding::healthy("fine")));
    let late = Outcome { took: TIMEOUT * 3, ..Outcome::of(late, Instant::now()) };
    assert_eq!(host.record.settle(slow, Arc::new(late), Verdict::Failure, host.now).0.message, "fine");
    assert_eq!(host.record.settled(), 1);
    assert!(!host.record.give_back(slow));
}

#[test]
fn breaker_is_one_for_all() {
    let mut host = Host::new();
    for lease in 0..3 {
        let owner = owner(lease, lease);
        assert!(led(&host.record.claim(Want::SettledAfter(99), owner, host.now, |_| true).0));
        let transition = host.fail(owner);
        assert_eq!(transition.map(|transition| transition.to), (lease == 2).then_some(CircuitState::Open));
    }
    host.now += Duration::from_secs(28);
    assert!(matches!(host.claim_new(owner(9, 9)), Turn::Refused(_)));
    host.now += Duration::from_secs(3);
    // The trial is lost with its process; the next may try at once.
    assert!(led(&host.claim_new(owner(8, 8))));
    assert!(matches!(host.claim_new(owner(9, 9)), Turn::Held));
    host.dead.insert(8);
    assert!(led(&host.claim_new(owner(9, 9))));
    let closed = host.settle(owner(9, 9), Ok(Finding::healthy("m"))).1.unwrap();
    assert_eq!((closed.from, closed.to), (CircuitState::HalfOpen, CircuitState::Closed));
}

impl Host {
    /// Accepts nothing that is known.
    fn claim_new(&mut self, owner: Owner) -> Turn {
        self.travel();
        let want = Want::SettledAfter(self.record.settled());
        self.record.claim(want, owner, self.now, |owner| !self.dead.contains(&owner.process)).0
    }
}

#[test]
fn operators_word_reaches_all() {
    let mut host = Host::new();
    assert_eq!(host.record.operate(Operation::ForceOpen).unwrap().to, CircuitState::Open);
    assert!(matches!(host.claim(owner(1, 1)), Turn::Refused(Refused { retry_after: None, .. })));
    assert_eq!(host.record.breaker(host.now).unwrap().1, CircuitMode::ForcedOpen);
    host.record.operate(Operation::Reset);
    assert!(led(&host.claim(owner(1, 1))));
}

#[test]
fn hysteresis_and_counters_go_on_in_another_process() {
    let spec = CheckOptions { failures_before_error: 2, breaker: None, ..spec() };
    let mut record = Record::new(&spec);
    let mut shown = Vec::new();
    for (lease, healthy) in [true, false, false].into_iter().enumerate() {
        let owner = owner(lease as u64, 0);
        record.claim(Want::SettledAfter(99), owner, Instant::now(), |_| true);
        let result = if healthy { Ok(Finding::healthy("m")) } else { Ok(Finding::error("m")) };
        let outcome = Arc::new(Outcome::of(result, Instant::now()));
        shown.push(record.settle(owner, outcome, Verdict::Ignored, Instant::now()).0.status);
        let bytes = record.encode(usize::MAX).unwrap();
        record = Record::new(&spec);
        assert!(record.decode(&bytes));
    }
    assert_eq!(shown, [Status::Healthy, Status::Healthy, Status::Error]);
    let runs = &record.counters().runs;
    assert_eq!((runs[&Status::Healthy].total, runs[&Status::Error].total), (1, 2));
}

#[test]
fn what_is_too_large_is_told_without_details() {
    let mut record = Record::new(&spec());
    record.claim(NEW, owner(1, 1), Instant::now(), |_| true);
    let finding = Finding::healthy("fine").with("large", "x".repeat(10_000));
    let outcome = Arc::new(Outcome::of(Ok(finding), Instant::now()));
    record.settle(owner(1, 1), outcome, Verdict::Success, Instant::now());
    let bytes = record.encode(5_000).unwrap();
    let mut heard = Record::new(&spec());
    assert!(heard.decode(&bytes));
    let outcome = heard.latest().unwrap();
    assert_eq!((outcome.message.as_str(), outcome.details.contains_key("omitted")), ("fine", true));
    assert!(record.encode(10).is_none());
}

#[test]
fn nonsense_changes_nothing() {
    let mut record = Record::new(&spec());
    for nonsense in ["", "{}", "[]", "\u{0}", r#"{"settled": -1}"#] {
        assert!(!record.decode(nonsense.as_bytes()));
    }
    assert_eq!(record.settled(), 0);
}
