//! A table that another host goes on with, and what a fleet allows a host.

use std::time::Duration;

use super::super::*;
use super::{SECOND, World, fine, plan, seconds};
use crate::model::Status;
use crate::model::clock::decoding;

/// A host that was booted so much earlier than the other one: its clock shows that much more.
const EARLIER: u64 = 500 * SECOND;

impl World {
    /// Another host, booted earlier, goes on with the table: what the runs say has the same ages there.
    fn move_to_host_booted_earlier(&mut self) {
        let stored = postcard::to_allocvec(&self.table()).unwrap();
        let moved = decoding(i128::from(EARLIER), || postcard::from_bytes::<ActionTable>(&stored)).unwrap();
        let runs = postcard::to_allocvec(&self.history).unwrap();
        self.history = decoding(i128::from(EARLIER), || postcard::from_bytes(&runs)).unwrap();
        self.change(|table| *table = moved);
        self.now += EARLIER;
    }
}

#[test]
fn table_of_another_host_keeps_its_limits_pauses_and_verification() {
    for is_moved in [false, true] {
        let mut world = World::new([ActionPlan { per_incident: 9, ..plan("warm", None) }]);
        world.play("xx");
        assert_eq!(world.states(), ["warm verifying"]);
        if is_moved {
            world.move_to_host_booted_earlier();
        }
        world.play("x");
        assert_eq!(world.states(), ["warm verifying"], "it has 30 s");
        world.play("xxx");
        assert_eq!(world.states(), ["warm not_healed", "warm verifying"]);
        if is_moved {
            world.move_to_host_booted_earlier();
        }
        world.play(&"x".repeat(20));
        let third = ["warm not_healed", "warm not_healed", "warm not_healed", "warm stopped"];
        assert_eq!(world.states(), third, "three an hour");
    }
}

#[test]
fn run_whose_host_is_gone_is_lost_and_not_run_again_at_once() {
    let mut world = World::new([plan("warm", None)]);
    world.play("x");
    world.pass(10);
    world.run(Status::Error);
    assert!(world.look(1).is_some());
    world.move_to_host_booted_earlier();
    world.dead.insert(1);
    world.run(Status::Error);
    assert_eq!(world.look(2), None);
    assert_eq!(world.states(), ["warm lost"]);
    world.pass(20);
    world.run(Status::Error);
    assert!(world.look(2).is_some(), "its pause is over");
}

#[test]
fn quarter_of_the_instances_acts_and_one_at_least() {
    let table = [(0, 1), (1, 1), (4, 1), (7, 1), (8, 2), (12, 3), (1_000, 250)];
    assert_eq!(table.map(|(instances, _)| at_once(instances)), table.map(|(_, limit)| limit));
}

#[test]
fn fleet_decides_whether_a_due_action_of_a_host_starts() {
    let full = FleetPermission::Full { acting: 2, total: 8 };
    let table: [(FleetPermission, &[&str]); 4] = [
        (FleetPermission::Granted, &["warm running"]),
        (FleetPermission::Unknown, &[]),
        (full, &["stopped: 2 of 8 instances act already; it waits for one of them"]),
        (FleetPermission::Lost, &["warm running"]),
    ];
    for (fleet, expected) in table {
        let mut world = World::new([plan("warm", None)]);
        world.situation = Situation { fleet, ..fine() };
        for _ in 0..3 {
            world.pass(10);
            world.run(Status::Error);
            world.look(1);
        }
        let said = |entry: &ActionEntry| match entry.state {
            EntryState::Stopped => entry.text.clone(),
            state => format!("{} {}", entry.action, state.as_str()),
        };
        let found: Vec<String> = world.table().entries.iter().map(said).collect();
        assert_eq!(found, expected, "{fleet:?}");
        world.situation = fine();
        world.look(1);
        assert_eq!(world.states().last().map(String::as_str), Some("warm running"), "it may now");
    }
}

#[test]
fn host_that_cannot_ask_its_fleet_acts_once_an_hour_and_when_a_person_wants() {
    let plans = ["first", "second"].map(|name| ActionPlan { cooldown: Duration::ZERO, ..plan(name, None) });
    let mut world = World::new(plans);
    world.situation = Situation { fleet: FleetPermission::Lost, ..fine() };
    world.play("xx");
    assert_eq!(world.states(), ["first verifying"]);
    world.play("xxxx");
    assert_eq!(world.states(), ["first not_healed", "first stopped", "second stopped"]);
    let until = world.moment().after(seconds(10));
    world.change(|table| table.request("second", "anna", until));
    let started = world.look(1).unwrap();
    assert_eq!(started.action, "second");
    assert!(world.complete(&started, &ActionResult::Done(String::new())));
    let waits: String = (0..3_700 / 10).map(|_| 'x').collect();
    world.play(&waits);
    assert!(world.table().entries.len() > 4, "an hour later it may again");
}

#[test]
fn action_would_start_where_the_fleet_is_all_that_is_missing() {
    let found = |change: fn(&mut ActionPlan), situation: &Situation| {
        let mut one = plan("warm", None);
        change(&mut one);
        let mut world = World::new([one.clone()]);
        world.situation = Situation { fleet: FleetPermission::Unknown, ..fine() };
        world.play("xx");
        let facts = world.facts(&world.history, world.last);
        world.table().would_start(&one, &facts, situation, world.moment())
    };
    let unknown = Situation { fleet: FleetPermission::Unknown, ..fine() };
    assert_eq!(found(|_| (), &unknown), Some(EntryState::Running));
    assert_eq!(found(|plan| plan.dry_run = true, &unknown), Some(EntryState::WouldAct));
    assert_eq!(found(|plan| plan.trigger = None, &unknown), None);
    assert_eq!(found(|_| (), &Situation { off: Some("a test".to_owned()), ..fine() }), None);
}

#[test]
fn check_that_was_well_again_before_its_action_has_ended_verifies_it() {
    let mut world = World::new([plan("warm", None)]);
    world.play("x");
    world.pass(10);
    world.run(Status::Error);
    let started = world.look(1).unwrap();
    for _ in 0..3 {
        world.pass(1);
        world.run(Status::Healthy);
        world.look(1);
    }
    assert!(world.complete(&started, &ActionResult::Done(String::new())));
    world.play(".");
    assert_eq!(world.states(), ["warm healed"]);
}
