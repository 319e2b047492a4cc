//! Histories of runs and processes, by tables and at random against a reference model.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod fleet;
mod random;
mod reference;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use super::*;
use crate::model::clock::Moment;
use crate::model::{Owner, Status};
use crate::policy::run_history::{PastRun, RunHistory};

const SECOND: u64 = 1_000_000_000;
const STALE_AFTER: Duration = Duration::from_secs(100);
const CHECK: &str = "cache";

pub fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// `warm` when the check has been in error twice in a row, for 10 s, with a ladder where one is named.
pub fn plan(name: &str, then: Option<&str>) -> ActionPlan {
    ActionPlan {
        name: name.to_owned(),
        kind: "warm_cache".to_owned(),
        trigger: Some(Trigger { check: CHECK.to_owned(), status: Threshold::Error, runs: 2, seconds: seconds(10) }),
        per_hour: 3,
        per_incident: 2,
        cooldown: seconds(20),
        verify: seconds(30),
        timeout: seconds(10),
        then: then.map(str::to_owned),
        then_elsewhere: false,
        dry_run: false,
        ends_process: false,
    }
}

pub fn triggers(plans: &BTreeMap<String, ActionPlan>) -> Vec<Trigger> {
    plans.values().filter_map(|plan| plan.trigger.clone()).collect()
}

pub fn fine() -> Situation {
    Situation { has_started: true, can_act: true, total: 1, ..Situation::default() }
}

/// One check, its record, the processes, and what they share, as it is stored.
pub struct World {
    pub plans: BTreeMap<String, ActionPlan>,
    pub history: RunHistory,
    pub last: u64,
    pub now: u64,
    stored: Vec<u8>,
    pub dead: BTreeSet<u64>,
    pub is_blocked: bool,
    pub situation: Situation,
    /// Which process runs the check.
    pub runner: u32,
    /// By how many seconds the wall clock was set.
    pub skew: i64,
}

impl World {
    pub fn new(plans: impl IntoIterator<Item = ActionPlan>) -> Self {
        Self {
            plans: plans.into_iter().map(|plan| (plan.name.clone(), plan)).collect(),
            history: RunHistory::new(7),
            last: 0,
            now: 1_000_000 * SECOND,
            stored: postcard::to_allocvec(&ActionTable::default()).unwrap(),
            dead: BTreeSet::new(),
            is_blocked: false,
            situation: fine(),
            runner: 1,
            skew: 0,
        }
    }

    pub fn moment(&self) -> Moment {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_nanos(self.now);
        let skew = seconds(self.skew.unsigned_abs());
        Moment { boot: self.now, wall: if self.skew < 0 { wall - skew } else { wall + skew } }
    }

    pub fn run(&mut self, status: Status) {
        self.history.push(PastRun { status, finished: self.now, process: self.runner });
        self.last += 1;
    }

    pub fn pass(&mut self, number: u64) {
        self.now += number * SECOND;
    }

    pub fn table(&self) -> ActionTable {
        postcard::from_bytes(&self.stored).unwrap()
    }

    pub fn change<R>(&mut self, change: impl FnOnce(&mut ActionTable) -> R) -> R {
        let mut table = self.table();
        let changed = change(&mut table);
        self.stored = postcard::to_allocvec(&table).unwrap();
        changed
    }

    fn facts(&self, history: &RunHistory, last: u64) -> Facts {
        let (history, is_blocked) = (history.clone(), self.is_blocked);
        let evidence = CheckEvidence::Runs { history, last, stale_after: STALE_AFTER, is_blocked };
        BTreeMap::from([(CHECK.to_owned(), (evidence, "Connection refused".to_owned()))])
    }

    /// A step by the process of that number, with the present view.
    pub fn look(&mut self, process: u64) -> Option<Started> {
        let (history, last) = (self.history.clone(), self.last);
        self.look_with(process, &self.situation.clone(), &history, last)
    }

    pub fn look_with(
        &mut self,
        process: u64,
        situation: &Situation,
        history: &RunHistory,
        last: u64,
    ) -> Option<Started> {
        let (plans, facts, now) = (self.plans.clone(), self.facts(history, last), self.moment());
        let dead = self.dead.clone();
        let owner = Owner { member: 0, process, lease: 0 };
        self.change(|table| {
            table.follow(&plans, &triggers(&plans), &facts, now, |owner| !dead.contains(&owner.process));
            let mut plans = plans.values();
            let started = plans.find_map(|plan| table.start(plan, &facts, situation, owner, now));
            table.prune(now);
            started
        })
    }

    pub fn complete(&mut self, started: &Started, result: &ActionResult) -> bool {
        let (plan, now) = (self.plans[&started.action].clone(), self.moment());
        self.change(|table| table.complete(&plan, started.fence, result, now))
    }

    /// Runs that each end 10 s after the one before: `x` an error, `d` degraded, `.` healthy, `s` skipped; after each of
    /// them a process looks, and completes at once what it has started.
    fn play(&mut self, runs: &str) {
        for run in runs.chars() {
            self.pass(10);
            match run {
                'x' => self.run(Status::Error),
                'd' => self.run(Status::Degraded),
                's' => self.run(Status::Skipped),
                '.' => self.run(Status::Healthy),
                _ => {}
            }
            if let Some(started) = self.look(1) {
                assert!(self.complete(&started, &ActionResult::Done("done".to_owned())));
            }
        }
    }

    fn states(&self) -> Vec<String> {
        self.table().entries.iter().map(|entry| format!("{} {}", entry.action, entry.state.as_str())).collect()
    }
}

#[test]
fn entries_of_each_history() {
    let table: [(&str, &[&str]); 10] = [
        ("....", &[]),
        ("x.x.x.", &[]),
        ("dddd", &[]),
        ("xsxsx", &[]),
        ("xx", &["warm verifying"]),
        ("xx.", &["warm healed"]),
        ("xxd", &["warm healed"]),
        ("xxxxx", &["warm not_healed", "warm verifying"]),
        // Two runs are all that an incident may have.
        ("xxxxxxxxxxxxxxxx", &["warm not_healed", "warm not_healed", "warm stopped"]),
        // It lasts until two good ones in a row.
        ("xx.xxxx.xxxx.xx", &["warm healed", "warm healed", "warm stopped"]),
    ];
    for (history, expected) in table {
        let mut world = World::new([plan("warm", None)]);
        world.play(history);
        assert_eq!(world.states(), expected, "{history}");
    }
}

#[test]
fn ladder_continues_with_the_next_rung_and_ends_with_a_person() {
    let reload = ActionPlan { trigger: None, per_incident: 1, ..plan("reload", None) };
    let mut world = World::new([plan("warm", Some("reload")), reload]);
    world.play("xxxxxx");
    assert_eq!(world.states(), ["warm not_healed", "reload verifying"]);
    world.play("xxxxxxxxxx");
    assert_eq!(world.states(), ["warm not_healed", "reload not_healed"], "nothing else is due");
    let entries = world.table().entries;
    assert_eq!((entries[1].cause, entries[1].check.as_deref()), (ActionCause::Ladder, Some(CHECK)));
    assert!(entries[1].reason.starts_with("warm did not help; cache failed 5 times in a row, for "));
    assert_eq!(entries[1].in_words(), "reload did not help: cache still fails; a person is needed");
    assert_eq!(entries[0].in_words(), "warm did not help: cache still fails");
    assert_eq!(entries[0].reason, "cache failed 2 times in a row, for 10 s: Connection refused");
    world.play("..xx");
    assert_eq!(world.states().last().unwrap(), "warm verifying", "another incident");
}

#[test]
fn failed_run_is_handed_on_at_once_and_not_where_the_incident_is_over() {
    for (runs, expected) in [("", &["warm failed", "reload running"][..]), ("..", &["warm failed"])] {
        let warm = ActionPlan { timeout: seconds(60), ..plan("warm", Some("reload")) };
        let mut world = World::new([warm, ActionPlan { trigger: None, ..plan("reload", None) }]);
        world.play("x");
        world.pass(10);
        world.run(Status::Error);
        let started = world.look(1).unwrap();
        world.play(runs);
        assert!(world.complete(&started, &ActionResult::Failed("OSError".to_owned())));
        world.look(2);
        assert_eq!(world.states(), expected);
    }
}

#[test]
fn hard_stops_keep_a_due_action_from_starting() {
    let busy = |change: fn(&mut Situation)| {
        let mut situation = fine();
        change(&mut situation);
        situation
    };
    let table: [(Situation, &[&str]); 8] = [
        (busy(|one| one.is_draining = true), &[]),
        (busy(|one| one.has_started = false), &[]),
        (busy(|one| one.can_act = false), &[]),
        (
            busy(|one| one.off = Some("LIFESIGNS_ACTIONS".to_owned())),
            &["actions are switched off by LIFESIGNS_ACTIONS"],
        ),
        (busy(|one| one.forbidden = Some("it is the last".to_owned())), &["it is the last"]),
        (busy(|one| (one.failing, one.total) = (2, 3)), &["the dependency fails everywhere (2 of 3 instances)"]),
        (busy(|one| (one.failing, one.total) = (1, 2)), &["running"]),
        (busy(|_| ()), &["running"]),
    ];
    for (situation, expected) in table {
        let mut world = World::new([plan("warm", None)]);
        world.situation = situation;
        for _ in 0..3 {
            world.pass(10);
            world.run(Status::Error);
            world.look(1);
        }
        let entries = world.table().entries;
        let said: Vec<_> = entries
            .iter()
            .map(|entry| entry.text.strip_prefix("stopped: ").unwrap_or(entry.state.as_str()).to_owned())
            .collect();
        assert_eq!(said, expected, "{:?}", world.situation);
    }
}

#[test]
fn check_that_fails_in_each_process_is_the_dependency_once_its_limit_is_reached() {
    let table: [(&[u32], &str, &str); 4] = [
        (&[1], "xxxxxxxx", "stopped: it ran twice in this incident; a person is needed"),
        (
            &[1, 2, 3],
            "xxxxxxxx",
            "stopped: the dependency fails everywhere (in each of 3 processes), though it ran twice; a person is needed",
        ),
        // It has passed since it failed in the first of them.
        (&[2, 1, 1, 1, 1, 1, 1, 1, 1, 1], "x.xxxxxxxx", "stopped: it ran twice in this incident; a person is needed"),
        (&[1], "xxxxx.xxxxxx", "stopped: it ran twice in this incident; a person is needed"),
    ];
    for (processes, runs, expected) in table {
        let mut world = World::new([plan("warm", None)]);
        for (run, process) in runs.chars().zip(processes.iter().cycle()) {
            world.runner = *process;
            world.play(&run.to_string());
        }
        let stopped = world.table().entries.into_iter().find(|entry| entry.state == EntryState::Stopped);
        assert_eq!(stopped.map(|entry| entry.text).unwrap_or_default(), expected, "{processes:?} {runs}");
    }
}

#[test]
fn check_that_fails_in_each_process_is_the_dependency_whichever_limit_is_reached() {
    let mut world = World::new([ActionPlan { per_hour: 1, ..plan("warm", None) }]);
    world.play("xx..");
    for process in [1, 2, 3] {
        world.runner = process;
        world.play("x");
    }
    let entry = world.table().entries.pop().unwrap();
    assert!(entry.text.ends_with("(in each of 2 processes), though it ran once; a person is needed"), "{}", entry.text);
}

#[test]
fn check_that_fails_in_another_process_after_its_limit_was_reached_is_noted_once_more() {
    let mut world = World::new([ActionPlan { per_hour: 1, ..plan("warm", None) }]);
    world.play("xxxxxx");
    assert_eq!(world.states(), ["warm not_healed", "warm stopped"]);
    for process in [2, 3] {
        world.runner = process;
        world.play("x");
    }
    assert_eq!(world.states(), ["warm not_healed", "warm stopped", "warm stopped"]);
    let texts = world.table().entries.into_iter().map(|entry| entry.text).skip(1).collect::<Vec<_>>();
    let first = "stopped: it ran once in the last hour; a person is needed";
    let second =
        "stopped: the dependency fails everywhere (in each of 2 processes), though it ran once; a person is needed";
    assert_eq!(texts, [first, second]);
}

#[test]
fn stale_or_blocked_results_start_nothing() {
    let mut world = World::new([plan("warm", None)]);
    world.pass(10);
    world.run(Status::Error);
    world.pass(1);
    world.run(Status::Error);
    world.pass(STALE_AFTER.as_secs());
    assert_eq!(world.look(1), None, "seen too late");
    world.run(Status::Error);
    assert_eq!(world.look(1), None, "for how long it has failed is not known");
    world.is_blocked = true;
    world.play("xxxx");
    world.is_blocked = false;
    assert_eq!(world.look(1), None, "what was found while it was blocked says nothing later");
    world.play("x");
    assert_eq!(world.states(), [] as [&str; 0]);
    world.play("x");
    assert_eq!(world.states(), ["warm verifying"]);
}

#[test]
fn run_whose_process_ends_is_lost_and_a_late_completion_changes_nothing() {
    let mut world = World::new([plan("warm", None)]);
    world.play("x");
    world.pass(10);
    world.run(Status::Error);
    let first = world.look(1).unwrap();
    assert_eq!(world.look(2), None, "one holder");
    world.dead.insert(1);
    world.look(2);
    assert_eq!(world.states(), ["warm lost"]);
    let before = world.table();
    assert!(!world.complete(&first, &ActionResult::Done("late".to_owned())));
    assert_eq!(world.table(), before);
    world.play("xx");
    let second = world.table().entries.last().cloned().unwrap();
    assert_eq!((second.state, second.fence), (EntryState::Verifying, first.fence + 1));
    // One that is stopped, and does not end, loses its lease in time.
    world.play("..");
    world.play("xxxxx");
    assert_eq!(world.states().last().unwrap(), "warm stopped", "three in an hour");
}

#[test]
fn run_that_ends_its_process_is_completed_by_that() {
    let mut world = World::new([ActionPlan { ends_process: true, ..plan("restart", None) }]);
    world.play("x");
    world.pass(10);
    world.run(Status::Error);
    assert!(world.look(1).is_some());
    world.dead.insert(1);
    world.look(2);
    assert_eq!(world.states(), ["restart verifying"]);
    world.play(".");
    assert_eq!(world.states(), ["restart healed"]);
}

#[test]
fn check_that_has_not_run_since_leaves_a_run_unverified() {
    let mut world = World::new([plan("warm", Some("reload")), ActionPlan { trigger: None, ..plan("reload", None) }]);
    world.play("xx9999");
    assert_eq!(world.states(), ["warm unverified"], "unknown is no reason for the next rung");
}

#[test]
fn dry_run_counts_and_changes_nothing() {
    let mut world = World::new([ActionPlan { dry_run: true, per_incident: 3, ..plan("warm", Some("reload")) }]);
    world.play("xxxxxxxxxxxxxxxxxxxx");
    assert_eq!(world.states(), ["warm would_act", "warm would_act", "warm would_act", "warm stopped"]);
    let entry = world.table().entries.remove(0);
    assert_eq!(
        entry.in_words(),
        "warm would have acted (dry run): cache failed 2 times in a row, for 10 s: Connection refused"
    );
}

#[test]
fn person_runs_an_action_whatever_its_trigger_and_limits_say_but_not_while_it_is_off() {
    let mut world = World::new([ActionPlan { dry_run: true, per_hour: 1, ..plan("warm", None) }]);
    for expected in ["warm done", "warm done"] {
        let until = world.moment().after(seconds(10));
        world.change(|table| table.request("warm", "anna", until));
        let started = world.look(1).unwrap();
        assert_eq!(world.look(2), None);
        world.complete(&started, &ActionResult::Done(String::new()));
        assert_eq!(world.states().last().unwrap(), expected);
    }
    let author = world.table().entries[0].author.clone();
    assert_eq!(author, "anna");
    let off = Switch { by: "bert".to_owned(), at: world.moment().wall };
    world.change(|table| table.set_disabled("warm", Some(off)));
    let until = world.moment().after(seconds(10));
    world.change(|table| table.request("warm", "anna", until));
    assert_eq!(world.look(1), None);
    assert_eq!(world.table().entries.last().unwrap().text, "stopped: disabled by bert");
    world.change(|table| table.set_disabled("warm", None));
    world.change(|table| table.request("warm", "anna", until));
    world.pass(10);
    assert_eq!(world.look(1), None, "no process has taken it in time");
}

#[test]
fn level_is_bad_while_any_process_has_seen_that() {
    let level = Trigger { check: "wedged_worker".to_owned(), status: Threshold::Error, runs: 1, seconds: seconds(0) };
    let plan = ActionPlan { trigger: Some(level), ..plan("restart", None) };
    let plans = BTreeMap::from([(plan.name.clone(), plan.clone())]);
    let mut table = ActionTable::default();
    let world = World::new([]);
    let mut at = |second: u64, is_bad: bool, can_act: bool| {
        let now = Moment { boot: world.now + second * SECOND, ..world.moment() };
        let evidence = CheckEvidence::Level { is_bad };
        let facts = BTreeMap::from([("wedged_worker".to_owned(), (evidence, String::new()))]);
        table.follow(&plans, &triggers(&plans), &facts, now, |_| true);
        let owner = Owner { member: 0, process: 1, lease: 0 };
        let started = table.start(&plan, &facts, &Situation { can_act, ..fine() }, owner, now);
        if let Some(started) = &started {
            assert!(table.complete(&plan, started.fence, &ActionResult::Done(String::new()), now));
        }
        (started.is_some(), table.entries.last().map(|entry| entry.state.as_str()))
    };
    assert_eq!(at(0, true, false), (false, None));
    assert_eq!(at(1, true, true), (true, Some("verifying")));
    assert_eq!(at(4, false, true), (false, Some("verifying")), "others may still see it");
    assert_eq!(at(8, false, true), (false, Some("healed")));
}

#[test]
fn rung_of_another_table_is_handed_on_once_in_an_incident() {
    let mut world = World::new([ActionPlan { then_elsewhere: true, ..plan("close", Some("reload")) }]);
    let mut other = World::new([ActionPlan { trigger: None, ..plan("reload", None) }]);
    let all = [plan("close", None).trigger.unwrap()];
    world.play("x");
    world.pass(10);
    world.run(Status::Error);
    let started = world.look(1).unwrap();
    let plans = world.plans.clone();
    let handed_on = {
        let mut table = world.table();
        table.complete(&plans["close"], started.fence, &ActionResult::Failed(String::new()), world.moment());
        table.handed_on
    };
    assert_eq!((handed_on.len(), handed_on[0].action.as_str()), (1, "reload"));
    let facts = world.facts(&world.history, world.last);
    let (now, plans) = (world.moment(), other.plans.clone());
    let mut starts = Vec::new();
    for _ in 0..2 {
        let owner = Owner { member: 0, process: 1, lease: 0 };
        let started = other.change(|table| {
            table.follow(&plans, &all, &facts, now, |_| true);
            table.take_over(&handed_on[0]);
            table.start(&plans["reload"], &facts, &fine(), owner, now)
        });
        if let Some(started) = &started {
            assert!(other.complete(started, &ActionResult::Done(String::new())));
        }
        starts.push(started.is_some());
    }
    assert_eq!(starts, [true, false]);
}
