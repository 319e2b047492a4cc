//! Several processes and an operator at one record, and random histories against a reference model.

#![allow(clippy::unwrap_used, clippy::panic, clippy::type_complexity)]

mod fleet;
mod model;

use std::collections::HashSet;

use super::*;
use crate::model::{BreakerOptions, CheckError, CircuitMode, Finding};
use crate::policy::breaker::Refused;
use crate::state::counters::StatusSeconds;

const TIMEOUT: Duration = Duration::from_secs(5);
const STALE_AFTER: Duration = Duration::from_secs(60);
const NEW: Wanted = Wanted::NotOlderThan(Duration::from_secs(30));

fn options() -> CheckOptions {
    CheckOptions {
        breaker: Some(BreakerOptions::default()),
        ..CheckOptions::new("x", TIMEOUT, Duration::from_secs(30))
    }
}

fn owner(process: u64, lease: u64) -> Owner {
    Owner { member: 0, process, lease }
}

fn run(result: Result<Finding, CheckError>) -> Run {
    let call_result = if result.is_ok() { CallResult::Success } else { CallResult::Failure };
    Run { outcome: Outcome::of(result, Instant::now(), Duration::from_secs(5)), call_result, first: false }
}

#[test]
fn record_of_another_host_is_taken_over_with_its_age_and_breaker() {
    let now = Instant::now();
    let (mut there, mut here) = (Record::new(&options(), STALE_AFTER), Record::new(&options(), STALE_AFTER));
    for lease in 0..3 {
        let wanted = Wanted::SettledAfter(there.settled());
        assert!(matches!(there.acquire(wanted, owner(1, lease), now, |_| true).0, Acquired::Leader(_)));
        let refused = CheckError::Refused { target: "a:1".to_owned() };
        there.settle(owner(1, lease), run(Err(refused)), &Limits::default(), now);
    }
    let bytes = there.encode_for_fleet("web-1", usize::MAX).unwrap();
    assert!(matches!(here.acquire(NEW, owner(2, 1), now, |_| true).0, Acquired::Leader(_)));
    let age = Duration::from_secs(10);
    assert!(here.adopt(&bytes, age, 7, now));
    let latest = here.latest().unwrap();
    let expected = there.latest().unwrap();
    assert_eq!((latest.status, latest.found_by.as_deref()), (Status::Error, Some("web-1")));
    let off = |a: Duration, b: Duration| a.abs_diff(b);
    let second = Duration::from_secs(1);
    assert!(off(latest.finished.elapsed(), expected.finished.elapsed() + age) < second);
    assert!(off(latest.at.elapsed().unwrap(), expected.at.elapsed().unwrap() + age) < second);
    assert_eq!((here.settled(), here.fleet().fence), (3, 7));
    assert_eq!(here.breaker(now).map(|(circuit, _)| circuit.state), Some(CircuitState::Open));
    // It counts what it has run itself.
    assert_eq!(here.counters(now).runs.values().sum::<u64>(), 0);
    // The lease of the host goes on only if the breaker that was taken over allows it.
    assert!(here.permit_again(owner(2, 1), now).is_err());
    assert!(!here.is_held(now, |_| true));
    assert!(!here.adopt(b"nonsense", age, 8, now));
    assert_eq!(here.fleet().fence, 7);
}

#[test]
fn operation_of_the_fleet_is_applied_once() {
    let now = Instant::now();
    let mut record = Record::new(&options(), STALE_AFTER);
    record.follow(5, Operation::ForceOpen, now);
    let mode = |record: &Record| record.breaker(now).map(|(_, mode)| mode);
    assert_eq!(mode(&record), Some(CircuitMode::ForcedOpen));
    record.follow(4, Operation::Reset, now);
    record.follow(5, Operation::Reset, now);
    assert_eq!(mode(&record), Some(CircuitMode::ForcedOpen));
    record.follow(6, Operation::Reset, now);
    assert_eq!(mode(&record), Some(CircuitMode::Automatic));
}

/// A record as processes see it that share it: it is encoded and decoded before each use. Instants are a little off after
/// that, since two clocks cannot be read at once.
struct Host {
    options: CheckOptions,
    record: Record,
    now: Instant,
    dead: HashSet<u64>,
}

impl Host {
    fn new() -> Self {
        Self::of(options())
    }

    fn of(options: CheckOptions) -> Self {
        let record = Record::new(&options, STALE_AFTER);
        Self { options, record, now: Instant::now(), dead: HashSet::new() }
    }

    fn travel(&mut self) {
        let bytes = self.record.encode(usize::MAX).unwrap();
        self.record = Record::new(&self.options, STALE_AFTER);
        assert!(self.record.decode(&bytes));
    }

    fn acquire(&mut self, owner: Owner) -> Acquired {
        self.travel();
        self.record.acquire(NEW, owner, self.now, |owner| !self.dead.contains(&owner.process)).0
    }

    /// Accepts nothing that is known.
    fn acquire_new(&mut self, owner: Owner) -> Acquired {
        self.travel();
        let wanted = Wanted::SettledAfter(self.record.settled());
        self.record.acquire(wanted, owner, self.now, |owner| !self.dead.contains(&owner.process)).0
    }

    fn settle(&mut self, owner: Owner, result: Result<Finding, CheckError>) -> Settled {
        self.travel();
        self.record.settle(owner, run(result), &Limits::default(), self.now)
    }

    fn fail(&mut self, owner: Owner) -> Option<Transition> {
        self.settle(owner, Err(CheckError::Refused { target: "t".to_owned() })).transition
    }
}

fn is_leader(acquired: &Acquired) -> bool {
    matches!(acquired, Acquired::Leader(_))
}

#[test]
fn lease_held_by_one_gives_its_outcome_to_all() {
    let mut host = Host::new();
    let (first, second) = (owner(1, 1), owner(2, 1));
    assert!(is_leader(&host.acquire(first)));
    assert!(matches!(host.acquire(second), Acquired::Held));
    assert!(matches!(host.acquire(owner(1, 2)), Acquired::Held), "nor may the same process twice");
    host.settle(first, Ok(Finding::healthy("fine").with("n", 1)));
    let Acquired::Answered(outcome) = host.acquire(second) else { panic!("not answered") };
    assert_eq!((outcome.message.as_str(), outcome.details.get("n").unwrap()), ("fine", &serde_json::json!(1)));
    assert_eq!(host.record.settled(), 1);
}

#[test]
fn lease_of_dead_or_overdue_owner_is_taken_over() {
    let table: [(&str, fn(&mut Host), bool); 4] = [
        ("alive", |_| {}, false),
        ("dead", |host| host.dead.extend([1]), true),
        ("about to time out", |host| host.now += TIMEOUT, false),
        ("overdue", |host| host.now += TIMEOUT + MARGIN * 2, true),
    ];
    for (name, happens, taken_over) in table {
        let mut host = Host::new();
        assert!(is_leader(&host.acquire(owner(1, 1))));
        happens(&mut host);
        assert_eq!(is_leader(&host.acquire(owner(2, 1))), taken_over, "{name}");
    }
}

#[test]
fn run_of_lost_lease_changes_nothing_and_returns_the_newer_outcome() {
    let mut host = Host::new();
    let (slow, quick) = (owner(1, 1), owner(2, 1));
    assert!(is_leader(&host.acquire(slow)));
    host.now += TIMEOUT * 2;
    assert!(is_leader(&host.acquire(quick)));
    let late = Err(CheckError::Panicked);
    assert_eq!(host.settle(slow, late.clone()).outcome.status, Status::Error, "nothing newer is known yet");
    assert_eq!(host.record.settled(), 0);
    host.settle(quick, Ok(Finding::healthy("fine")));
    let mut late = run(late);
    late.outcome.duration = TIMEOUT * 3;
    assert_eq!(host.record.settle(slow, late, &Limits::default(), host.now).outcome.message, "fine");
    assert_eq!(host.record.settled(), 1);
    assert!(!host.record.give_back(slow));
}

#[test]
fn breaker_is_one_for_all_processes() {
    let mut host = Host::new();
    for lease in 0..3 {
        let owner = owner(lease, lease);
        assert!(is_leader(&host.acquire_new(owner)));
        let transition = host.fail(owner);
        assert_eq!(transition.map(|transition| transition.to), (lease == 2).then_some(CircuitState::Open));
    }
    host.now += Duration::from_secs(28);
    assert!(matches!(host.acquire_new(owner(9, 9)), Acquired::Refused(_)));
    assert!(host.record.is_refused(host.now).is_some());
    host.now += Duration::from_secs(3);
    // The trial is lost with its process; the next may try at once.
    assert!(host.record.is_refused(host.now).is_none());
    assert!(is_leader(&host.acquire_new(owner(8, 8))));
    assert!(matches!(host.acquire_new(owner(9, 9)), Acquired::Held));
    host.dead.insert(8);
    assert!(is_leader(&host.acquire_new(owner(9, 9))));
    let closed = host.settle(owner(9, 9), Ok(Finding::healthy("m"))).transition.unwrap();
    assert_eq!((closed.from, closed.to), (CircuitState::HalfOpen, CircuitState::Closed));
}

#[test]
fn lease_given_back_counts_for_no_policy() {
    let mut host = Host::of(CheckOptions { failures_before_error: 2, ..options() });
    for lease in 0..10 {
        assert!(is_leader(&host.acquire_new(owner(1, lease))));
        host.travel();
        assert!(host.record.give_back(owner(1, lease)));
    }
    assert_eq!(host.record.settled(), 0);
    assert_eq!(host.record.breaker(host.now).unwrap().0.state, CircuitState::Closed);
    assert_eq!(host.record.counters(host.now), Counters::default());
    assert!(host.record.latest().is_none());
}

#[test]
fn operation_reaches_all_processes() {
    let mut host = Host::new();
    assert_eq!(host.record.operate(Operation::ForceOpen, host.now).unwrap().to, CircuitState::Open);
    assert!(matches!(host.acquire(owner(1, 1)), Acquired::Refused(Refused { retry_after: None, .. })));
    assert_eq!(host.record.breaker(host.now).unwrap().1, CircuitMode::ForcedOpen);
    host.record.operate(Operation::Reset, host.now);
    assert!(is_leader(&host.acquire(owner(1, 1))));
}

/// Every 10 seconds runs the check if it is time for that and its breaker allows it, and returns the seconds (healthy,
/// error, unknown) after so many steps. A run takes no time.
fn seconds_after(host: &mut Host, steps: u64, result: &Result<Finding, CheckError>) -> [f64; 3] {
    for step in 0..steps {
        host.now += Duration::from_secs(10);
        let owner = owner(1, step);
        if is_leader(&host.acquire(owner)) {
            host.travel();
            let mut run = run(result.clone());
            run.outcome.finished = host.now;
            host.record.settle(owner, run, &Limits::default(), host.now);
        }
    }
    let seconds = host.record.counters(host.now).seconds;
    assert_eq!(seconds.degraded, 0.0);
    [seconds.healthy, seconds.error, seconds.unknown].map(f64::round)
}

#[test]
fn seconds_of_a_day_that_is_renewed_add_up_to_it() {
    let mut host = Host::new();
    assert_eq!(seconds_after(&mut host, 8_641, &Ok(Finding::healthy("m"))), [86_400.0, 0.0, 0.0]);
}

#[test]
fn error_holds_while_its_circuit_is_open() {
    let mut host = Host::new();
    let refused = Err(CheckError::Refused { target: "t".to_owned() });
    // The waits grow to ten times the staleness bound.
    assert_eq!(seconds_after(&mut host, 8_641, &refused), [0.0, 86_400.0, 0.0]);
    let settled = host.record.settled();
    assert!(settled < 200, "{settled} runs");
    // The next trial ends it.
    let [healthy, error, unknown] = seconds_after(&mut host, 360, &Ok(Finding::healthy("m")));
    assert!(healthy > 2_900.0 && error < 87_100.0, "{healthy} {error}");
    assert_eq!((healthy + error, unknown), (90_000.0, 0.0));
}

#[test]
fn result_of_an_open_circuit_is_unknown_once_no_trial_renews_it() {
    let wait = Duration::from_secs(300);
    let breaker = BreakerOptions { failures: Some(1), wait, ..BreakerOptions::default() };
    let options = CheckOptions { breaker: Some(breaker), ..options() };
    let seconds = |operation: Option<Operation>, result: &Result<Finding, CheckError>| {
        let mut host = Host::of(options.clone());
        seconds_after(&mut host, 1, result);
        host.now += Duration::from_secs(10);
        if let Some(operation) = operation {
            host.record.operate(operation, host.now);
        }
        host.travel();
        host.now += Duration::from_secs(990);
        let StatusSeconds { healthy, error, unknown, .. } = host.record.counters(host.now).seconds;
        [healthy, error, unknown].map(f64::round)
    };
    let refused = Err(CheckError::Refused { target: "t".to_owned() });
    assert_eq!(seconds(None, &refused), [0.0, 360.0, 640.0]);
    // What an operator has opened says nothing of the check.
    assert_eq!(seconds(Some(Operation::ForceOpen), &refused), [0.0, 60.0, 940.0]);
    assert_eq!(seconds(Some(Operation::ForceOpen), &Ok(Finding::healthy("m"))), [60.0, 0.0, 940.0]);
}

#[test]
fn hysteresis_and_counters_continue_in_another_process() {
    let mut host = Host::of(CheckOptions { failures_before_error: 2, breaker: None, ..options() });
    let mut shown = Vec::new();
    for (lease, is_healthy) in [true, false, false].into_iter().enumerate() {
        let owner = owner(lease as u64, 0);
        assert!(is_leader(&host.acquire_new(owner)));
        let result = if is_healthy { Ok(Finding::healthy("m")) } else { Ok(Finding::error("m")) };
        shown.push(host.settle(owner, result).outcome.status);
    }
    assert_eq!(shown, [Status::Healthy, Status::Healthy, Status::Error]);
    let runs = host.record.counters(host.now).runs;
    assert_eq!(runs, [(Status::Healthy, 1), (Status::Error, 2)].into());
}

#[test]
fn change_of_status_is_reported_once_with_what_was_left() {
    let mut host = Host::of(CheckOptions { breaker: None, ..options() });
    let results =
        [Ok(Finding::healthy("a")), Ok(Finding::healthy("b")), Ok(Finding::error("c")), Ok(Finding::healthy("d"))];
    let mut changes = Vec::new();
    for (lease, result) in results.into_iter().enumerate() {
        assert!(is_leader(&host.acquire_new(owner(0, lease as u64))));
        let settled = host.settle(owner(0, lease as u64), result);
        changes.push(settled.status_change.map(|change| (change.from, change.since.is_some(), change.sequence)));
    }
    let (healthy, error) = (Some(Status::Healthy), Some(Status::Error));
    assert_eq!(changes, [Some((None, false, 1)), None, Some((healthy, true, 2)), Some((error, true, 3))]);
    let history = host.record.history();
    assert_eq!(history.last_error.as_ref().unwrap().message, "c");
    assert_eq!(history.since, host.record.latest().map(|latest| latest.at));
}

#[test]
fn limits_degrade_a_healthy_run_before_hysteresis() {
    let mut host = Host::of(CheckOptions { breaker: None, ..options() });
    let limits = Limits { response_time: Some(Duration::from_millis(100)), error_rate: None };
    let slow = |first| {
        let mut run = run(Ok(Finding::healthy("fine")));
        run.outcome.duration = Duration::from_millis(200);
        Run { first, ..run }
    };
    for (lease, first, expected) in [(1, true, Status::Healthy), (2, false, Status::Degraded)] {
        assert!(is_leader(&host.acquire_new(owner(1, lease))));
        let settled = host.record.settle(owner(1, lease), slow(first), &limits, host.now);
        assert_eq!(settled.outcome.status, expected);
    }
    assert_eq!(host.record.latest().unwrap().message, "fine (took 200 ms, more than 100 ms)");
}

#[test]
fn result_that_is_not_healthy_is_fresh_for_30_seconds_at_most() {
    for (finding, fresh_after_40) in
        [(Finding::healthy("m"), true), (Finding::skipped("m"), true), (Finding::error("m"), false)]
    {
        let mut host = Host::of(CheckOptions { breaker: None, ..options() });
        assert!(is_leader(&host.acquire(owner(1, 1))));
        host.settle(owner(1, 1), Ok(finding));
        let wanted = Wanted::NotOlderThan(Duration::from_secs(300));
        let at = |seconds| Instant::now() + Duration::from_secs(seconds);
        assert!(host.record.answer(wanted, at(20)).is_some());
        assert_eq!(host.record.answer(wanted, at(40)).is_some(), fresh_after_40);
    }
}

#[test]
fn record_too_large_is_stored_without_details() {
    let mut record = Record::new(&options(), STALE_AFTER);
    let _ = record.acquire(NEW, owner(1, 1), Instant::now(), |_| true);
    let finding = Finding::healthy("fine").with("large", "x".repeat(10_000));
    record.settle(owner(1, 1), run(Ok(finding)), &Limits::default(), Instant::now());
    let bytes = record.encode(5_000).unwrap();
    let mut decoded = Record::new(&options(), STALE_AFTER);
    assert!(decoded.decode(&bytes));
    let outcome = decoded.latest().unwrap();
    assert_eq!((outcome.message.as_str(), outcome.details.contains_key("omitted")), ("fine", true));
    assert!(record.encode(10).is_none());
}

#[test]
fn bytes_that_are_no_record_change_nothing() {
    let mut record = Record::new(&options(), STALE_AFTER);
    for nonsense in ["", "{}", "[]", "\u{0}", r#"{"settled": -1}"#] {
        assert!(!record.decode(nonsense.as_bytes()));
    }
    assert_eq!(record.settled(), 0);
}
