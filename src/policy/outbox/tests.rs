//! Deliveries by tables, and at random against a receiver that loses answers and senders that die.

#![allow(clippy::unwrap_used, clippy::type_complexity)]

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;
const LEASE: Duration = Duration::from_secs(20);

fn at(seconds: u64) -> Moment {
    Moment { boot: (1_000_000 + seconds) * SECOND, wall: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) }
}

fn owner(lease: u64) -> Owner {
    Owner { member: 0, process: 1, lease }
}

fn delivered() -> DeliveryResult {
    DeliveryResult::Delivered { answer: "202".to_owned(), reference: None }
}

fn failed(may_have_arrived: bool) -> DeliveryResult {
    DeliveryResult::Failed { answer: "500".to_owned(), may_have_arrived, again_after: Duration::from_secs(5) }
}

fn refused() -> DeliveryResult {
    DeliveryResult::Refused { answer: "400".to_owned() }
}

fn states(queue: &ChannelQueue) -> Vec<(&'static str, DeliveryState)> {
    queue.deliveries.iter().map(|delivery| (delivery.kind.as_str(), delivery.state)).collect()
}

/// Sends the next one at that second.
fn send(queue: &mut ChannelQueue, second: u64, sent: DeliveryResult) -> Option<DeliveryReport> {
    let (_, attempt) = queue.claim(owner(second), at(second), LEASE).unwrap();
    queue.complete(owner(second), attempt, sent, at(second)).unwrap()
}

#[test]
fn resolve_goes_where_its_trigger_may_have_arrived() {
    use DeliveryState::{Delivered, Dropped, Failed, Pending, Refused};
    let week = 7 * 24 * 3_600 + 10;
    let table: [(&str, &[(u64, DeliveryResult)], &[DeliveryState]); 6] = [
        ("never sent", &[], &[Dropped, Dropped]),
        ("delivered", &[(0, delivered())], &[Delivered, Pending]),
        ("has not arrived", &[(0, failed(false))], &[Dropped, Dropped]),
        ("may have arrived", &[(0, failed(true)), (10, failed(false))], &[Pending, Pending]),
        ("refused", &[(0, refused())], &[Refused, Dropped]),
        ("given up", &[(0, failed(true)), (week, failed(false))], &[Failed, Pending]),
    ];
    for (name, attempts, expected) in table {
        let mut queue = ChannelQueue::new("chat");
        queue.push(1, NoticeKind::Triggered);
        for (second, sent) in attempts {
            send(&mut queue, *second, sent.clone());
        }
        queue.push(2, NoticeKind::Resolved);
        let found: Vec<_> = states(&queue).into_iter().map(|(_, state)| state).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn notice_is_given_up_after_a_week_or_where_another_follows_after_a_day() {
    use DeliveryState::{Failed, Pending};
    let hours = |hours: u64| hours * 3_600 + 10;
    for (kind, after, expected) in [
        (NoticeKind::Triggered, hours(167), Pending),
        (NoticeKind::Triggered, hours(168), Failed),
        (NoticeKind::Reminded, hours(23), Pending),
        (NoticeKind::Reminded, hours(24), Failed),
        (NoticeKind::Acknowledged, hours(24), Failed),
        (NoticeKind::Resolved, hours(167), Pending),
        (NoticeKind::Resolved, hours(168), Failed),
    ] {
        let mut queue = ChannelQueue::new("chat");
        if kind != NoticeKind::Triggered {
            queue.push(1, NoticeKind::Triggered);
            send(&mut queue, 0, delivered());
        }
        queue.push(2, kind);
        send(&mut queue, 1, failed(false));
        let report = send(&mut queue, after, failed(false));
        assert_eq!(queue.deliveries.last().unwrap().state, expected, "{kind} after {after} s");
        assert_eq!(report == Some(DeliveryReport::GivenUp), expected == Failed, "{kind} after {after} s");
    }
}

#[test]
fn trigger_under_way_when_it_is_resolved_decides_on_the_resolve() {
    for (sent, expected) in [
        (delivered(), DeliveryState::Pending),
        (failed(true), DeliveryState::Pending),
        (failed(false), DeliveryState::Dropped),
        (refused(), DeliveryState::Dropped),
    ] {
        let mut queue = ChannelQueue::new("chat");
        queue.push(1, NoticeKind::Triggered);
        let (number, attempt) = queue.claim(owner(1), at(0), LEASE).unwrap();
        queue.push(2, NoticeKind::Resolved);
        assert_eq!((number, queue.claim(owner(2), at(1), LEASE)), (1, None), "one at a time");
        queue.complete(owner(1), attempt, sent.clone(), at(1)).unwrap();
        assert_eq!(queue.deliveries.last().unwrap().state, expected, "{sent:?}");
    }
}

#[test]
fn notices_that_a_newer_one_makes_needless_are_replaced() {
    use DeliveryState::{Delivered, Pending, Replaced};
    let mut queue = ChannelQueue::new("chat");
    queue.push(1, NoticeKind::Triggered);
    queue.push(2, NoticeKind::Reminded);
    queue.push(3, NoticeKind::Triggered);
    assert_eq!(states(&queue), [("triggered", Replaced), ("triggered", Pending)]);
    send(&mut queue, 0, delivered());
    queue.push(4, NoticeKind::Reminded);
    queue.push(5, NoticeKind::Reminded);
    queue.push(6, NoticeKind::Acknowledged);
    let expected = [
        ("triggered", Replaced),
        ("triggered", Delivered),
        ("reminded", Replaced),
        ("reminded", Replaced),
        ("acknowledged", Pending),
    ];
    assert_eq!(states(&queue), expected);
}

#[test]
fn reminder_of_what_the_receiver_does_not_know_is_its_trigger() {
    let week = 7 * 24 * 3_600 + 10;
    let table: [(&[(u64, DeliveryResult)], &str); 4] = [
        (&[(0, delivered())], "reminded"),
        (&[(0, refused())], "triggered"),
        (&[(0, failed(false)), (week, failed(false))], "triggered"),
        (&[(0, failed(true)), (week, failed(false))], "triggered"),
    ];
    for (attempts, expected) in table {
        let mut queue = ChannelQueue::new("chat");
        queue.push(1, NoticeKind::Triggered);
        for (second, sent) in attempts {
            send(&mut queue, *second, sent.clone());
        }
        queue.push(2, NoticeKind::Reminded);
        assert_eq!(queue.pending().unwrap().kind.as_str(), expected, "{attempts:?}");
    }
}

#[test]
fn lease_of_a_dead_or_overdue_sender_is_void_and_its_notice_repeated() {
    for (second, is_alive, is_void) in [(1, true, false), (1, false, true), (20, true, true)] {
        let mut queue = ChannelQueue::new("chat");
        queue.push(1, NoticeKind::Triggered);
        let (_, attempt) = queue.claim(owner(1), at(0), LEASE).unwrap();
        assert_eq!(queue.void_lease(at(second), |_| is_alive), is_void);
        if is_void {
            assert_eq!(queue.arrival, Arrival::Maybe);
            assert!(queue.claim(owner(2), at(second), LEASE).is_none(), "what was sent is read first");
            assert_eq!(queue.claim(owner(2), at(second + 1), LEASE), Some((1, 2)));
            assert_eq!(queue.complete(owner(1), attempt, delivered(), at(second + 1)), None, "taken over");
        }
    }
}

#[test]
fn reports_come_once_for_each_change() {
    let mut queue = ChannelQueue::new("chat");
    queue.push(1, NoticeKind::Triggered);
    let reports: Vec<_> = (0..5).map(|index| send(&mut queue, index * 10, failed(false))).collect();
    assert_eq!(reports, [None, None, Some(DeliveryReport::Failing), None, None]);
    assert_eq!(send(&mut queue, 100, delivered()), Some(DeliveryReport::Recovered));
    queue.push(2, NoticeKind::Reminded);
    assert_eq!(send(&mut queue, 110, refused()), Some(DeliveryReport::Refused));
}

#[test]
fn retry_tries_again_what_was_given_up() {
    let mut queue = ChannelQueue::new("chat");
    queue.push(1, NoticeKind::Triggered);
    send(&mut queue, 0, refused());
    queue.retry(true);
    assert_eq!(queue.pending_count(), 0, "what is over needs no trigger");
    assert_eq!(queue.replace_given_up(false), [NoticeKind::Triggered]);
    queue.push(2, NoticeKind::Triggered);
    send(&mut queue, 1, delivered());
    queue.push(3, NoticeKind::Resolved);
    send(&mut queue, 2, refused());
    queue.retry(true);
    assert_eq!((queue.pending_count(), queue.is_due(at(3))), (1, true));
    send(&mut queue, 4, failed(true));
    assert!(!queue.is_due(at(5)));
    queue.retry(true);
    assert_eq!((queue.pending_count(), queue.is_due(at(5))), (1, true));
}

#[test]
fn given_up_notices_are_replaced_by_how_things_are_now() {
    use NoticeKind::{Acknowledged, Reminded, Triggered};
    let table: [(&[(NoticeKind, bool)], bool, &[NoticeKind]); 7] = [
        (&[(Triggered, true)], false, &[]),
        (&[(Triggered, false), (Reminded, false)], false, &[Triggered]),
        // It was acknowledged when the receiver knew nothing of it.
        (&[(Triggered, false)], true, &[Triggered, Acknowledged]),
        (&[(Triggered, true), (Reminded, false)], false, &[Reminded]),
        (&[(Triggered, true), (Reminded, false)], true, &[Acknowledged]),
        (&[(Triggered, true), (Triggered, false), (Acknowledged, false)], true, &[Triggered, Acknowledged]),
        (&[(Triggered, false), (Triggered, true)], true, &[]),
    ];
    for (history, is_acknowledged, expected) in table {
        let mut queue = ChannelQueue::new("chat");
        for (number, (kind, is_taken)) in (1..).zip(history) {
            queue.push(number, *kind);
            send(&mut queue, u64::from(number), if *is_taken { delivered() } else { refused() });
        }
        assert_eq!(queue.replace_given_up(is_acknowledged), expected, "{history:?}");
        assert!(queue.replace_given_up(is_acknowledged).is_empty(), "once");
    }
}

#[derive(Clone, Debug)]
enum Action {
    Push(NoticeKind),
    /// An attempt that arrives or not, and whose answer is lost, negative or positive.
    Send {
        arrives: bool,
        answer: Answer,
    },
    /// The sender dies, before or after its notice has arrived.
    Die {
        arrives: bool,
    },
    Wait(u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Positive,
    Lost,
    Refusal,
}

fn action() -> impl Strategy<Value = Action> {
    let kind = prop_oneof![Just(NoticeKind::Triggered), Just(NoticeKind::Reminded), Just(NoticeKind::Acknowledged)];
    let answer = prop_oneof![2 => Just(Answer::Positive), 2 => Just(Answer::Lost), 1 => Just(Answer::Refusal)];
    prop_oneof![
        2 => kind.prop_map(Action::Push),
        4 => (any::<bool>(), answer).prop_map(|(arrives, answer)| Action::Send { arrives, answer }),
        1 => any::<bool>().prop_map(|arrives| Action::Die { arrives }),
        2 => (1_u64..20).prop_map(Action::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn receiver_knows_the_truth_at_the_end(
        before in prop::collection::vec(action(), 0..20),
        after in prop::collection::vec(action(), 0..20),
    ) {
        let mut queue = ChannelQueue::new("chat");
        queue.push(1, NoticeKind::Triggered);
        let (mut number, mut second, mut lease) = (1, 0, 0);
        // What the receiver has taken, in order.
        let mut taken: Vec<NoticeKind> = Vec::new();
        let mut has_unknown = false;
        let resolving = [Action::Push(NoticeKind::Resolved)];
        let at_last = (0..20).flat_map(|_| [Action::Wait(30), Action::Send { arrives: true, answer: Answer::Positive }]);
        let after = after.into_iter().filter(|action| !matches!(action, Action::Push(_)));
        for action in before.into_iter().chain(resolving).chain(after).chain(at_last) {
            let moment = at(second);
            queue.void_lease(moment, |_| false);
            match action {
                Action::Push(kind) => {
                    number += 1;
                    queue.push(number, kind);
                }
                Action::Wait(seconds) => second += seconds,
                Action::Send { .. } | Action::Die { .. } => {
                    lease += 1;
                    let Some((claimed, attempt)) = queue.claim(owner(lease), moment, LEASE) else { continue };
                    let kind = queue.pending().unwrap().kind;
                    prop_assert_eq!(queue.pending().unwrap().number, claimed);
                    let arrives = match action {
                        Action::Die { arrives } => arrives,
                        Action::Send { arrives, answer } => arrives && answer != Answer::Refusal,
                        _ => false,
                    };
                    if arrives {
                        prop_assert!(kind != NoticeKind::Resolved || has_unknown || !taken.is_empty(), "no trigger before");
                        taken.push(kind);
                    }
                    has_unknown |= matches!(action, Action::Die { .. });
                    let Action::Send { arrives, answer } = action else { continue };
                    let sent = match answer {
                        Answer::Positive if arrives => delivered(),
                        Answer::Positive => failed(false),
                        Answer::Lost => failed(true),
                        Answer::Refusal => refused(),
                    };
                    has_unknown |= answer == Answer::Lost;
                    prop_assert!(queue.complete(owner(lease), attempt, sent, moment).is_some());
                }
            }
        }
        prop_assert!(queue.pending().is_none(), "{:?}", queue);
        let refused_resolve = queue.deliveries.iter().any(|one| {
            one.kind == NoticeKind::Resolved && one.state == DeliveryState::Refused
        });
        if let Some(last) = taken.last().filter(|_| !refused_resolve) {
            prop_assert_eq!(*last, NoticeKind::Resolved, "open for ever: {:?}", queue);
        }
    }
}
