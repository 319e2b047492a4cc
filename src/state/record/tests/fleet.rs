//! What a record takes over from the other hosts of a fleet, and what it keeps until they have received it.

use super::*;

/// Two hosts with one check, whose first result both have.
fn hosts(now: Instant) -> (Record, Record) {
    let (mut one, mut other) = (Record::new(&options(), STALE_AFTER), Record::new(&options(), STALE_AFTER));
    publish(&mut one, &mut other, 1, Ok(Finding::healthy("m")), now);
    (one, other)
}

/// Has a host run the check once, alone.
fn run_alone(host: &mut Record, result: Result<Finding, CheckError>, now: Instant) {
    let lease = owner(1, host.settled());
    let acquired = host.acquire(Wanted::SettledAfter(host.settled()), lease, now, |_| true).0;
    assert!(is_leader(&acquired), "{acquired:?}");
    host.settle(lease, run(result), &Limits::default(), now);
}

/// Has a host run the check for both.
fn publish(from: &mut Record, to: &mut Record, fence: u64, result: Result<Finding, CheckError>, now: Instant) {
    run_alone(from, result, now);
    assert!(to.adopt(&from.encode_for_fleet("web-1", usize::MAX).unwrap(), Duration::ZERO, fence, now));
    from.published(fence);
}

fn refused() -> Result<Finding, CheckError> {
    Err(CheckError::Refused { target: "a:1".to_owned() })
}

fn mode(record: &Record, now: Instant) -> CircuitMode {
    record.breaker(now).unwrap().1
}

#[test]
fn result_of_a_host_without_the_decision_leaves_the_breaker_as_it_was_decided() {
    let now = Instant::now();
    let (mut one, mut other) = hosts(now);
    one.follow(5, Operation::ForceOpen, now);
    publish(&mut other, &mut one, 2, Ok(Finding::healthy("later")), now);
    assert_eq!((mode(&one, now), one.latest().unwrap().message.as_str()), (CircuitMode::ForcedOpen, "later"));
    // A host that knows the decision brings it along.
    other.follow(6, Operation::ForceClosed, now);
    publish(&mut other, &mut one, 3, Ok(Finding::healthy("m")), now);
    assert_eq!((mode(&one, now), one.followed()), (CircuitMode::ForcedClosed, Some((6, Operation::ForceClosed))));
}

#[test]
fn decision_that_the_fleet_has_not_received_is_kept_until_it_has() {
    let now = Instant::now();
    let (mut one, mut other) = hosts(now);
    one.operate_ahead(Operation::ForceOpen, now);
    let pending = one.fleet().pending.unwrap();
    one.follow(7, Operation::Reset, now);
    publish(&mut other, &mut one, 2, Ok(Finding::healthy("m")), now);
    assert_eq!((mode(&one, now), one.followed(), one.fleet().operation), (CircuitMode::ForcedOpen, None, 0));
    // Another one is made while the first is handed over: it is not taken for received.
    one.operate_ahead(Operation::Disable, now);
    one.handed_over(pending);
    one.follow(8, Operation::ForceOpen, now);
    assert_eq!(mode(&one, now), CircuitMode::Disabled);
    one.handed_over(one.fleet().pending.unwrap());
    one.follow(9, Operation::Disable, now);
    assert_eq!(one.followed(), Some((9, Operation::Disable)));
}

#[test]
fn breaker_that_opened_alone_is_ahead_until_the_fleet_has_a_result() {
    let now = Instant::now();
    let (mut one, mut other) = hosts(now);
    assert!(!one.has_opened_ahead(now));
    for _ in 0..3 {
        assert!(!one.has_opened_ahead(now));
        run_alone(&mut one, refused(), now);
    }
    assert!(one.has_opened_ahead(now));
    let mut published = Record::new(&options(), STALE_AFTER);
    assert!(published.decode(&one.encode(usize::MAX).unwrap()));
    published.published(2);
    assert!(!published.has_opened_ahead(now));
    publish(&mut other, &mut one, 3, Ok(Finding::healthy("m")), now);
    assert!(!one.has_opened_ahead(now));
    // What an operator has opened is handed over as a decision.
    run_alone(&mut one, Ok(Finding::healthy("m")), now);
    one.operate_ahead(Operation::ForceOpen, now);
    assert!(!one.has_opened_ahead(now));
}
