//! Histories of runs and lookers, by tables and at random against a reference model.

#![allow(clippy::unwrap_used, clippy::panic, clippy::type_complexity)]

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::*;
use crate::model::clock::Moment;
use crate::model::loops::times;
use crate::model::{Instances, NoticeKind, Owner, Severity, Status};
use crate::policy::outbox::{DeliveryResult, DeliveryState, NO_SUCH_CHANNEL};
use crate::policy::run_history::{PastRun, RunHistory};

const SECOND: u64 = 1_000_000_000;
const STALE_AFTER: Duration = Duration::from_secs(600);

/// One check, its record, and its subject as it is stored.
struct World {
    history: RunHistory,
    last: u64,
    stored: Vec<u8>,
    now: u64,
    /// How far the wall clock was set.
    skew: i64,
    rules: Rules,
    critical: bool,
    is_blocked: bool,
    suppressed: Option<String>,
    /// What each incident was due, in order of the incidents.
    notices: Vec<(String, NoticeKind)>,
    events: Vec<&'static str>,
}

impl World {
    fn new(rules: Rules) -> Self {
        Self {
            history: RunHistory::new(7),
            last: 0,
            stored: postcard::to_allocvec(&Subject::default()).unwrap(),
            now: 1_000_000 * SECOND,
            skew: 0,
            rules,
            critical: true,
            is_blocked: false,
            suppressed: None,
            notices: Vec::new(),
            events: Vec::new(),
        }
    }

    fn run(&mut self, status: Status) {
        self.history.push(PastRun { status, finished: self.now, process: 0 });
        self.last += 1;
    }

    fn view(&self) -> (RunHistory, u64) {
        (self.history.clone(), self.last)
    }

    fn look(&mut self) {
        self.look_with(self.view());
    }

    fn subject(&self) -> Subject {
        postcard::from_bytes(&self.stored).unwrap()
    }

    /// A step by a process whose view of the record may be an older one.
    fn look_with(&mut self, (history, last): (RunHistory, u64)) {
        let mut subject = self.subject();
        let status = history.latest(|_| true).map_or(Status::Skipped, |run| run.status);
        let evidence = Evidence::Runs(ObservedRuns {
            history,
            last,
            stale_after: STALE_AFTER,
            holds: false,
            is_blocked: self.is_blocked,
            critical: self.critical,
        });
        self.step(&mut subject, evidence, status);
        self.stored = postcard::to_allocvec(&subject).unwrap();
    }

    fn level(&mut self, is_bad: bool) {
        self.judge(Evidence::Level { is_bad, severity: Severity::Critical, calm: Duration::ZERO }, is_bad);
    }

    fn judge(&mut self, evidence: Evidence, is_bad: bool) {
        let mut subject = self.subject();
        let status = if is_bad { Status::Error } else { Status::Healthy };
        self.step(&mut subject, evidence, status);
        self.stored = postcard::to_allocvec(&subject).unwrap();
    }

    fn step(&mut self, subject: &mut Subject, evidence: Evidence, status: Status) {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000_u64.saturating_add_signed(self.skew));
        let (message, last_error) = (format!("{status:?}"), "last".to_owned());
        let (blocks, instances, suppressed) = (vec!["child".to_owned()], Instances::default(), self.suppressed.clone());
        let observed = Observed { evidence, status, message, last_error, blocks, instances, suppressed };
        let moment = Moment { boot: self.now, wall };
        let (notices, events) = (&mut self.notices, &mut self.events);
        let before: Vec<String> = subject.incidents().map(|incident| incident.id.clone()).collect();
        let mut notify = |incident: &mut Incident, kind: NoticeKind| {
            notices.push((incident.id.clone(), kind));
            incident.send(kind, &["chat".to_owned()].into(), moment.wall);
        };
        step(subject, "x", &observed, &self.rules, moment, &mut notify);
        for incident in subject.incidents() {
            if !before.contains(&incident.id) {
                events.push("open");
            }
        }
        let mut again = subject.clone();
        let mut none = |_: &mut Incident, kind: NoticeKind| panic!("{kind} twice");
        step(&mut again, "x", &observed, &self.rules, moment, &mut none);
        assert_eq!(again, *subject, "a second step changes nothing");
    }

    fn kinds(&self) -> Vec<&'static str> {
        self.notices.iter().map(|(_, kind)| kind.as_str()).collect()
    }

    /// Runs a text: `.` good, `x` error, `d` degraded, `s` skipped, a digit: seconds; a look after each.
    fn play(&mut self, text: &str) {
        for step in text.chars() {
            match step {
                '.' => self.run(Status::Healthy),
                'x' => self.run(Status::Error),
                'd' => self.run(Status::Degraded),
                's' => self.run(Status::Skipped),
                digit => self.now += u64::from(digit.to_digit(10).unwrap()) * SECOND,
            }
            self.look();
        }
    }
}

fn rules(failures: u32, successes: u32, seconds: u64) -> Rules {
    Rules { failures, successes, seconds: Duration::from_secs(seconds), ..Rules::default() }
}

#[test]
fn notices_of_each_history() {
    let (triggered, resolved) = ("triggered", "resolved");
    let table: [(&str, (u32, u32, u64), &[&str]); 13] = [
        ("...", (3, 2, 0), &[]),
        ("xx.xx.", (3, 2, 0), &[]),
        ("xxx", (3, 2, 0), &[triggered]),
        ("xxx.x.x", (3, 2, 0), &[triggered]),
        ("xxx..", (3, 2, 0), &[triggered, resolved]),
        ("xsxsx.s.", (3, 2, 0), &[triggered, resolved]),
        ("ddd..", (3, 2, 0), &[triggered, resolved]),
        // More severe than before: another trigger.
        ("dddx..", (3, 2, 0), &[triggered, triggered, resolved]),
        ("xd..", (1, 2, 0), &[triggered, resolved]),
        ("x9999", (3, 2, 30), &[triggered]),
        ("x99", (3, 2, 30), &[]),
        ("x99.99x", (3, 2, 30), &[]),
        ("xxx", (3, 2, 30), &[triggered]),
    ];
    for (history, (failures, successes, seconds), expected) in table {
        let mut world = World::new(rules(failures, successes, seconds));
        world.play(history);
        assert_eq!(world.kinds(), expected, "{history}");
    }
}

#[test]
fn late_look_finds_the_same_as_one_after_each_run() {
    for history in ["xxx..", "xxxx.x..xxx", "..xx.xx", "xxx..xxx.."] {
        let (mut each, mut late) = (World::new(rules(3, 2, 0)), World::new(rules(3, 2, 0)));
        each.play(history);
        for run in history.chars() {
            late.run(if run == 'x' { Status::Error } else { Status::Healthy });
        }
        late.look();
        assert_eq!(each.kinds(), late.kinds(), "{history}");
    }
}

#[test]
fn blocked_check_opens_nothing_and_what_is_open_stays() {
    let mut world = World::new(rules(2, 1, 0));
    world.is_blocked = true;
    world.play("xxxx");
    assert!(world.kinds().is_empty());
    world.is_blocked = false;
    world.play("9");
    assert!(world.kinds().is_empty(), "what it found while it was blocked says nothing");
    world.play("xx");
    world.is_blocked = true;
    world.play("....");
    assert_eq!(world.kinds(), ["triggered"]);
    world.is_blocked = false;
    world.play("9.");
    assert_eq!(world.kinds(), ["triggered", "resolved"]);
}

#[test]
fn silenced_incident_triggers_when_that_ends_while_it_still_fails() {
    let mut world = World::new(rules(1, 1, 0));
    world.suppressed = Some("Silenced by anna".to_owned());
    world.play("x9");
    assert_eq!(world.subject().open.unwrap().state(), IncidentState::Silenced);
    world.play(".x");
    assert!(world.kinds().iter().all(|kind| *kind == "resolved"), "the outbox drops what was never triggered");
    world.notices.clear();
    world.suppressed = None;
    world.look();
    assert_eq!(world.kinds(), ["triggered"]);
    world.suppressed = Some("Maintenance".to_owned());
    world.play(".");
    assert_eq!(world.kinds(), ["triggered", "resolved"], "what was triggered is resolved, silenced or not");
}

#[test]
fn stale_result_neither_fires_nor_reminds_nor_counts() {
    let mut world = World::new(Rules { reminder: Duration::from_secs(700), ..rules(2, 1, 300) });
    world.play("x");
    world.now += 1_000 * SECOND;
    world.look();
    assert!(world.kinds().is_empty());
    world.run(Status::Error);
    world.now += 1_000 * SECOND;
    world.run(Status::Healthy);
    world.look();
    assert!(world.kinds().is_empty(), "a run that was seen too late says nothing");
    world.play("xx");
    world.now += 2_000 * SECOND;
    world.look();
    assert_eq!(world.kinds(), ["triggered"]);
    world.play("x");
    assert_eq!(world.kinds(), ["triggered", "reminded"]);
}

#[test]
fn reminders_come_until_it_is_acknowledged() {
    let mut world = World::new(Rules { reminder: Duration::from_secs(20), ..rules(1, 1, 0) });
    world.play("x9999999");
    assert_eq!(world.kinds(), ["triggered", "reminded", "reminded"]);
    let mut subject = world.subject();
    let now = Moment { boot: world.now, wall: SystemTime::now() };
    assert!(subject.acknowledge("anna", "on it", now, &mut |_, kind| assert_eq!(kind, NoticeKind::Acknowledged)));
    world.stored = postcard::to_allocvec(&subject).unwrap();
    world.notices.clear();
    world.play("x9999999.");
    assert_eq!(world.kinds(), ["resolved"]);
    let incident = world.subject().closed.pop().unwrap();
    assert_eq!(incident.acknowledged.unwrap().author, "anna");
    assert_eq!((incident.message.as_str(), incident.ended.as_str()), ("Error", "Healthy"));
}

#[test]
fn flapping_is_one_notice_until_it_ends() {
    let mut world = World::new(rules(1, 1, 0));
    world.play("x.x.x.x.x");
    let before = world.kinds().len();
    assert!(world.subject().open.unwrap().is_flapping);
    world.play(".x.x.x.x.x.x.x.");
    assert_eq!(world.kinds().len(), before, "{:?}", world.kinds());
    world.play(".....................");
    assert_eq!(world.kinds().last(), Some(&"resolved"));
    assert_eq!(world.kinds().len(), before + 1);
    assert!(world.subject().open.is_none());
}

#[test]
fn cycle_as_fast_as_the_counts_allow_is_flapping() {
    for (failures, successes) in [(3, 2), (5, 2), (10, 5), (40, 20)] {
        let mut world = World::new(rules(failures, successes, 0));
        let cycle = "x".repeat(failures as usize) + &".".repeat(successes as usize);
        world.play(&cycle.repeat(12));
        let incident = world.subject().open.unwrap();
        assert_eq!(world.kinds(), ["triggered", "resolved", "triggered", "reminded"], "{failures} {successes}");
        assert!(incident.is_flapping);
        world.play(&".".repeat(4 * cycle.len()));
        assert_eq!(world.kinds().last(), Some(&"resolved"));
        assert_eq!((world.kinds().len(), world.subject().open), (5, None));
    }
}

#[test]
fn rare_failures_and_slow_cycles_are_not_flapping() {
    for history in ["x.........".repeat(10), "xx........".repeat(10)] {
        let mut world = World::new(rules(3, 2, 0));
        world.play(&history);
        assert!(world.kinds().is_empty(), "{history}");
    }
    let mut world = World::new(rules(3, 2, 0));
    world.play(&("xxxxxxxxx".to_owned() + "..........").repeat(5));
    assert_eq!(world.kinds(), ["triggered", "resolved"].repeat(5));
    // Few failures suffice where time decides: the number of runs that open an incident is not known.
    let mut world = World::new(rules(1_000, 1, 20));
    world.play(&"x99999......................".repeat(5));
    assert_eq!(world.kinds(), ["triggered", "resolved"].repeat(5));
}

#[test]
fn incident_is_about_to_open_while_it_has_failed_for_a_short_time() {
    let mut world = World::new(rules(3, 1, 0));
    let within = |world: &World, seconds: u64| {
        let now = Moment { boot: world.now, wall: SystemTime::UNIX_EPOCH };
        world.subject().has_incident_within(Duration::from_secs(seconds), now)
    };
    assert!(!within(&world, 60));
    world.play("x9");
    assert_eq!([within(&world, 10), within(&world, 9)], [true, false]);
    world.play("xx");
    assert!(within(&world, 0), "it is open");
    world.play(".");
    assert!(!within(&world, 60));
}

#[test]
fn retry_of_an_acknowledged_incident_sends_a_trigger_as_things_are_now() {
    let now = Moment { boot: 1_000_000 * SECOND, wall: SystemTime::UNIX_EPOCH };
    let later = Moment { wall: now.wall + Duration::from_secs(60), ..now };
    let mut subject = Subject::default();
    let mut incident = Incident::new("db", Since { boot: now.boot, wall: now.wall }, now);
    incident.describe(Status::Error, "before");
    let id = incident.id.clone();
    incident.send(NoticeKind::Triggered, &BTreeSet::from(["chat".to_owned()]), now.wall);
    subject.open = Some(incident);
    let refused = || DeliveryResult::Refused { answer: "401".to_owned() };
    answer(&mut subject, &id, now, refused());
    subject.open.as_mut().unwrap().send(NoticeKind::Reminded, &BTreeSet::new(), now.wall);
    answer(&mut subject, &id, now, refused());
    subject.acknowledge("anna", "", now, &mut |incident, kind| incident.send(kind, &BTreeSet::new(), now.wall));
    subject.open.as_mut().unwrap().describe(Status::Error, "now");
    assert_eq!(subject.retry(&id, later.wall), Some(Retried { pending: 2, channels: vec!["chat".to_owned()] }));
    let mut sent = Vec::new();
    for lease in 1..4 {
        let owner = Owner { member: 0, process: 1, lease };
        let Some(claimed) = subject.claim("chat", owner, later, Duration::from_secs(20), |_| true) else { break };
        sent.push((claimed.notice.kind.as_str(), claimed.notice.message.clone(), claimed.notice.at == later.wall));
        let result = DeliveryResult::Delivered { answer: "200".to_owned(), reference: None };
        subject.complete(Outgoing { incident: &id, channel: "chat", owner }, claimed.attempt, result, later).unwrap();
    }
    let expected = ["triggered", "acknowledged"].map(|kind| (kind, "now".to_owned(), true));
    assert_eq!(sent, expected);
}

#[test]
fn notice_of_what_is_over_says_where_it_failed_and_that_nothing_waits_for_it() {
    let now = Moment { boot: 1_000_000 * SECOND, wall: SystemTime::UNIX_EPOCH };
    let mut incident = Incident::new("db", Since { boot: now.boot, wall: now.wall }, now);
    incident.blocked = vec!["child".to_owned()];
    incident.instances = Instances { failing: 1, total: 2, names: vec!["web-1".to_owned()] };
    let [open, over] = [NoticeKind::Reminded, NoticeKind::Resolved].map(|kind| incident.notice(1, kind, now.wall));
    assert_eq!((open.blocked.len(), &open.instances), (1, &incident.instances));
    assert!(over.blocked.is_empty());
    assert_eq!(over.instances, Instances { failing: 0, ..incident.instances.clone() });
    assert_eq!(incident.blocked.len(), 1, "the tables keep it");
}

/// Opens an incident that the channel "chat" knows of, and ends it: its resolve is pending.
fn ended(subject: &mut Subject, now: Moment) -> String {
    let mut incident = Incident::new("db", Since { boot: now.boot, wall: now.wall }, now);
    let id = incident.id.clone();
    incident.send(NoticeKind::Triggered, &BTreeSet::from(["chat".to_owned()]), now.wall);
    subject.open = Some(incident);
    answer(subject, &id, now, DeliveryResult::Delivered { answer: "202".to_owned(), reference: None });
    let mut incident = subject.open.take().unwrap();
    incident.end("fine", now);
    incident.send(NoticeKind::Resolved, &BTreeSet::new(), now.wall);
    subject.close(incident);
    id
}

fn answer(subject: &mut Subject, incident: &str, now: Moment, result: DeliveryResult) {
    let owner = Owner { member: 0, process: 1, lease: 1 };
    let claimed = subject.claim("chat", owner, now, Duration::from_secs(20), |_| true).unwrap();
    assert_eq!(claimed.incident.id, incident);
    subject.complete(Outgoing { incident, channel: "chat", owner }, claimed.attempt, result, now).unwrap();
}

#[test]
fn refused_resolve_is_retried_unless_another_incident_has_followed() {
    let now = Moment { boot: 1_000_000 * SECOND, wall: SystemTime::UNIX_EPOCH };
    let mut subject = Subject::default();
    let id = ended(&mut subject, now);
    answer(&mut subject, &id, now, DeliveryResult::Refused { answer: "401".to_owned() });
    let pending = |subject: &mut Subject, id: &str| subject.retry(id, now.wall).map(|retried| retried.pending);
    assert_eq!((pending(&mut subject, "another"), pending(&mut subject, &id)), (None, Some(1)));
    answer(&mut subject, &id, now, DeliveryResult::Refused { answer: "401".to_owned() });
    let next = ended(&mut subject, now);
    assert_eq!((pending(&mut subject, &id), pending(&mut subject, &next)), (Some(0), Some(1)));
}

#[test]
fn resolve_of_a_channel_that_is_gone_is_given_up_and_goes_to_those_in_its_place() {
    let now = Moment { boot: 1_000_000 * SECOND, wall: SystemTime::UNIX_EPOCH };
    let at = |hours: u64| Moment { boot: now.after(Duration::from_secs(hours * 3_600)), ..now };
    let mut subject = Subject::default();
    ended(&mut subject, now);
    let mut reported = Vec::new();
    let mut prune =
        |subject: &mut Subject, now| subject.prune(now, &mut |_, channel| reported.push(channel.to_owned()));
    assert!(!prune(&mut subject, at(1)));
    assert!(prune(&mut subject, at(2)) && !prune(&mut subject, at(2)), "the tables have to show it");
    let incident = subject.closed.first_mut().unwrap();
    let delivery = incident.channels.first().unwrap().deliveries.last().unwrap();
    assert_eq!((delivery.state, delivery.last_answer.as_str()), (DeliveryState::Failed, NO_SUCH_CHANNEL));
    incident.confirmed = incident.revision;
    assert!(prune(&mut subject, at(2)) && subject.closed.is_empty());
    assert_eq!(reported, ["chat"]);

    let routed = BTreeSet::from(["pager".to_owned()]);
    for (is_known, expected) in [(true, 1), (false, 2)] {
        ended(&mut subject, now);
        let incident = subject.closed.last_mut().unwrap();
        incident.replace_channels(&routed, |_| is_known);
        incident.send(NoticeKind::Resolved, &routed, now.wall);
        assert_eq!(incident.channels.iter().filter(|queue| queue.pending().is_some()).count(), expected);
        subject.closed.clear();
    }
}

#[test]
fn skipped_check_reminds_no_more_and_resolves_after_an_hour() {
    let mut world = World::new(Rules { reminder: Duration::from_secs(60), ..rules(1, 1, 0) });
    world.play("x");
    for _ in 0..59 {
        world.now += 60 * SECOND;
        world.run(Status::Skipped);
        world.look();
    }
    assert_eq!(world.kinds(), ["triggered"]);
    world.now += 120 * SECOND;
    world.run(Status::Skipped);
    world.look();
    assert_eq!(world.kinds(), ["triggered", "resolved"]);
}

#[test]
fn resolve_does_not_say_what_has_failed_since() {
    let mut world = World::new(rules(1, 1, 0));
    world.play("x");
    world.run(Status::Healthy);
    world.run(Status::Error);
    world.look();
    assert_eq!(world.kinds(), ["triggered", "resolved", "triggered"]);
    assert_eq!(world.subject().closed.first().unwrap().ended, "");
}

#[test]
fn runs_of_two_records_count_once_each() {
    let mut world = World::new(rules(3, 1, 0));
    world.play("xx");
    let first = world.view();
    world.history = RunHistory::new(8);
    world.last = 0;
    world.look_with(first.clone());
    world.look();
    world.look_with(first);
    assert!(world.kinds().is_empty());
    world.play("x");
    assert_eq!(world.kinds(), ["triggered"], "a new version of the application continues to count");
}

#[test]
fn level_is_bad_while_any_process_has_seen_that() {
    let mut world = World::new(Rules { seconds: Duration::from_secs(10), ..rules(3, 2, 0) });
    for _ in 0..9 {
        world.level(true);
        world.level(false);
        world.now += SECOND;
    }
    assert!(world.kinds().is_empty());
    world.now += SECOND;
    world.level(true);
    assert_eq!(world.kinds(), ["triggered"]);
    for _ in 0..10 {
        world.now += SECOND;
        world.level(false);
    }
    assert_eq!(world.kinds(), ["triggered"]);
    world.now += SECOND;
    world.level(false);
    assert_eq!(world.kinds(), ["triggered", "resolved"]);
}

#[test]
fn level_is_over_once_it_was_calm_for_long_enough() {
    let mut world = World::new(rules(3, 2, 0));
    let seen = |world: &mut World, is_bad: bool, severity: Severity| {
        world.judge(Evidence::Level { is_bad, severity, calm: Duration::from_secs(300) }, is_bad);
        world.now += 60 * SECOND;
    };
    seen(&mut world, true, Severity::Warning);
    assert_eq!(world.kinds(), ["triggered"]);
    for _ in 0..3 {
        seen(&mut world, false, Severity::Warning);
        seen(&mut world, true, Severity::Warning);
    }
    assert_eq!(world.kinds(), ["triggered"], "it is one incident");
    seen(&mut world, true, Severity::Critical);
    seen(&mut world, true, Severity::Warning);
    assert_eq!(world.kinds(), ["triggered", "triggered"], "more severe: once");
    // Nobody knows: it is neither over nor given up.
    for _ in 0..120 {
        world.judge(Evidence::Unknown, false);
        world.now += 60 * SECOND;
        let now = Moment { boot: world.now, wall: SystemTime::now() };
        assert!(!abandon(&mut world.subject(), now, &mut |_, kind| panic!("{kind}")));
    }
    seen(&mut world, true, Severity::Warning);
    for _ in 0..5 {
        seen(&mut world, false, Severity::Warning);
    }
    assert_eq!(world.kinds(), ["triggered", "triggered"]);
    seen(&mut world, false, Severity::Warning);
    assert_eq!(world.kinds(), ["triggered", "triggered", "resolved"]);
}

#[test]
fn incident_of_a_fleet_lasts_while_any_instance_fails() {
    let mut world = World::new(rules(3, 2, 0));
    let fleet = |failing: Option<Severity>, is_flapping| {
        let since = failing.map(|_| Since { boot: 7, wall: SystemTime::UNIX_EPOCH });
        Evidence::Fleet(ObservedFleet { failing, since, is_flapping })
    };
    world.judge(fleet(None, false), false);
    assert!(world.subject().is_void(Moment { boot: world.now, wall: SystemTime::UNIX_EPOCH }));
    // Each instance has counted by itself: there is nothing to wait for.
    world.judge(fleet(Some(Severity::Error), false), true);
    let open = world.subject().open.unwrap();
    assert_eq!((open.severity, open.since), (Severity::Error, SystemTime::UNIX_EPOCH));
    for _ in 0..3 {
        world.now += 60 * SECOND;
        world.judge(fleet(Some(Severity::Error), false), true);
        world.judge(Evidence::Unknown, false);
    }
    world.judge(fleet(Some(Severity::Critical), false), true);
    world.judge(fleet(Some(Severity::Critical), true), true);
    assert_eq!(world.kinds(), ["triggered", "triggered", "reminded"], "worse, then flapping");
    world.judge(fleet(None, false), false);
    world.judge(fleet(None, false), false);
    assert_eq!(world.kinds().last(), Some(&"resolved"));
    let subject = world.subject();
    assert!(subject.open.is_none() && subject.closed.len() == 1);
}

#[test]
fn incident_that_no_process_looks_after_is_over_after_an_hour() {
    let mut world = World::new(rules(1, 1, 0));
    world.play("x");
    let mut subject = world.subject();
    let mut kinds = Vec::new();
    let mut at = |seconds: u64| {
        let now = Moment { boot: world.now + seconds * SECOND, wall: SystemTime::now() };
        abandon(&mut subject, now, &mut |_, kind| kinds.push(kind))
    };
    assert_eq!([at(3_599), at(3_600), at(3_601)], [false, true, false]);
    assert_eq!(kinds, [NoticeKind::Resolved]);
}

#[test]
fn truncated_cuts_between_characters() {
    for (text, limit, expected) in
        [("abc", 3, "abc"), ("abcd", 3, "…"), ("abcdef", 5, "ab…"), ("äöü", 5, "ä…"), ("ä", 1, "…")]
    {
        assert_eq!(truncated(text, limit), expected);
    }
}

/// The same by the plainest means: the list of runs, each looked at when it ends.
#[derive(Default)]
struct Reference {
    /// Which were bad, the latest last.
    bad: Vec<bool>,
    since: Option<u64>,
    is_open: bool,
    is_flapping: bool,
    opened: usize,
    resolved: usize,
    is_failing: bool,
    /// After how many runs it turned.
    turns: Vec<usize>,
}

impl Reference {
    fn pass(&mut self, now: u64, rules: &Rules) {
        let is_over = self.since.is_some_and(|since| now - since >= rules.seconds.as_nanos() as u64);
        if !rules.seconds.is_zero() && is_over {
            self.turn(true);
            self.open();
        }
    }

    fn run(&mut self, is_bad: bool, now: u64, rules: &Rules) {
        self.pass(now, rules);
        self.bad.push(is_bad);
        self.since = if is_bad { self.since.or(Some(now)) } else { None };
        let in_a_row = |of: bool| self.bad.iter().rev().take_while(|bad| **bad == of).count();
        let (failures, successes) = (in_a_row(true), in_a_row(false));
        let padded: Vec<bool> = std::iter::repeat_n(false, 21).chain(self.bad.iter().copied()).collect();
        let window = padded.get(padded.len() - 21..).unwrap();
        let weights = (0..20).map(|place| 0.8 + 0.4 * f64::from(place) / 19.0);
        let share: f64 =
            window.windows(2).zip(weights).filter(|(pair, _)| pair.first() != pair.last()).map(|(_, w)| w).sum();
        if failures >= rules.failures as usize {
            self.turn(true);
        } else if successes >= rules.successes as usize {
            self.turn(false);
        }
        let failures_counted = if rules.seconds.is_zero() { rules.failures } else { rules.failures.min(3) };
        let cycle = (failures_counted + rules.successes) as usize;
        let runs = 20.max(4 * cycle);
        let ages = self.turns.iter().map(|turn| self.bad.len() - turn).filter(|age| *age < runs);
        let turned: f64 = ages.map(|age| 1.2 - 0.4 * age as f64 / (runs - 1) as f64).sum();
        let share = (share / 20.0).max(turned * cycle as f64 / (2 * runs) as f64);
        self.is_flapping = if self.is_flapping && self.is_open { share >= 0.25 } else { share >= 0.5 };
        if self.is_flapping || failures >= rules.failures as usize {
            self.open();
        }
        if self.is_open && !self.is_flapping && successes >= rules.successes as usize {
            self.is_open = false;
            self.resolved += 1;
        }
    }

    fn turn(&mut self, is_failing: bool) {
        if std::mem::replace(&mut self.is_failing, is_failing) != is_failing {
            self.turns.push(self.bad.len());
        }
    }

    fn open(&mut self) {
        self.opened += usize::from(!self.is_open);
        self.is_open = true;
    }
}

#[derive(Clone, Debug)]
enum Action {
    Run(Status),
    Wait(u64),
    Look,
    /// A look by a process that has not seen the latest runs.
    LookBehind(usize),
    SetClock(i64),
}

fn action() -> impl Strategy<Value = Action> {
    let status = prop_oneof![
        4 => Just(Status::Healthy),
        1 => Just(Status::Degraded),
        4 => Just(Status::Error),
        1 => Just(Status::Skipped),
    ];
    prop_oneof![
        6 => status.prop_map(Action::Run),
        2 => (1_u64..20).prop_map(Action::Wait),
        4 => Just(Action::Look),
        2 => (0_usize..5).prop_map(Action::LookBehind),
        1 => (-1_000_000_i64..1_000_000).prop_map(Action::SetClock),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: times(100, 500), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn step_agrees_with_the_reference(
        actions in prop::collection::vec(action(), 1..80),
        failures in 1_u32..5,
        successes in 1_u32..4,
        seconds in prop_oneof![Just(0_u64), 5_u64..40],
    ) {
        let rules = rules(failures, successes, seconds);
        let mut world = World::new(rules.clone());
        let mut reference = Reference::default();
        let mut views = vec![(world.view(), world.now)];
        let mut unseen = 0;
        for action in actions.into_iter().chain([Action::Look]) {
            match action {
                Action::Run(status) => {
                    // None that a process would miss: there are looks at least as often as runs are forgotten.
                    if unseen == 20 {
                        world.look();
                        unseen = 0;
                    }
                    unseen += 1;
                    world.run(status);
                    if status != Status::Skipped {
                        reference.run(status != Status::Healthy, world.now, &rules);
                    }
                    views.push((world.view(), world.now));
                }
                Action::Wait(seconds) => world.now += seconds * SECOND,
                Action::Look => {
                    world.look();
                    unseen = 0;
                }
                Action::LookBehind(runs) => {
                    let index = views.len().saturating_sub(1 + runs);
                    let (view, then) = views.get(index).cloned().unwrap();
                    let now = std::mem::replace(&mut world.now, then);
                    world.look_with(view);
                    world.now = now;
                }
                Action::SetClock(skew) => world.skew = skew,
            }
        }
        reference.pass(world.now, &rules);
        let subject = world.subject();
        prop_assert_eq!(world.events.len(), reference.opened, "opened");
        prop_assert_eq!(subject.open.is_some(), reference.is_open, "open");
        let resolved = world.notices.iter().filter(|(_, kind)| *kind == NoticeKind::Resolved).count();
        prop_assert_eq!(resolved, reference.resolved, "resolved");
        for (index, (id, kind)) in world.notices.iter().enumerate() {
            let earlier = world.notices.iter().take(index).filter(|(other, _)| other == id);
            let first = earlier.clone().next().is_none();
            prop_assert_eq!(first, first && *kind == NoticeKind::Triggered);
            prop_assert!(earlier.clone().all(|(_, kind)| *kind != NoticeKind::Resolved));
        }
        for _ in 0..25 {
            world.run(Status::Healthy);
            world.look();
        }
        prop_assert!(world.subject().open.is_none());
    }
}
