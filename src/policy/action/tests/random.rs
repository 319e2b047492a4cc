//! Random schedules of runs, processes, faults and switches: what starts is what the reference says, and no limit is ever
//! exceeded.

use proptest::prelude::*;

use super::reference::{Fate, Reference};
use super::*;
use crate::model::loops::times;

const PROCESSES: u64 = 3;

#[derive(Clone, Debug)]
enum Step {
    /// Of the check, by a process.
    Run(Status, u32),
    /// A parent of the check fails, or no longer.
    Block(bool),
    Pass(u64),
    /// The wall clock is set.
    Clock(i64),
    Look(u64),
    /// A look with the view that there was before the last run.
    LateLook(u64),
    Complete(u64, Option<bool>),
    Kill(u64),
    Drain(u64),
    Start(bool),
    Off(bool),
    Disable(bool),
    Failing(u32, u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let process = 0..PROCESSES;
    let status = prop_oneof![
        6 => Just(Status::Error),
        2 => Just(Status::Degraded),
        2 => Just(Status::Healthy),
        1 => Just(Status::Skipped),
    ];
    let seconds = prop_oneof![8 => 1..30_u64, 2 => 90..130_u64, 1 => 600..4_000_u64];
    let done = prop_oneof![3 => Just(Some(true)), 2 => Just(Some(false)), 1 => Just(None)];
    let step = prop_oneof![
        12 => (status, 0..3_u32).prop_map(|(status, process)| Step::Run(status, process)),
        1 => proptest::bool::weighted(0.3).prop_map(Step::Block),
        1 => (-200_000..200_000_i64).prop_map(Step::Clock),
        12 => seconds.prop_map(Step::Pass),
        12 => process.clone().prop_map(Step::Look),
        2 => process.clone().prop_map(Step::LateLook),
        8 => (process.clone(), done).prop_map(|(process, done)| Step::Complete(process, done)),
        1 => process.clone().prop_map(Step::Kill),
        1 => process.prop_map(Step::Drain),
        1 => proptest::bool::weighted(0.8).prop_map(Step::Start),
        1 => proptest::bool::weighted(0.2).prop_map(Step::Off),
        1 => proptest::bool::weighted(0.2).prop_map(Step::Disable),
        1 => (0..4_u32, 1..4_u32).prop_map(|(failing, total)| Step::Failing(failing, total)),
    ];
    proptest::collection::vec(step, 20..160)
}

fn plans() -> impl Strategy<Value = Vec<ActionPlan>> {
    (1..4_u32, 1..4_u32, 0..40_u64, 1..60_u64, any::<bool>(), any::<bool>()).prop_map(
        |(per_hour, per_incident, cooldown, verify, is_dry, has_next)| {
            let first = ActionPlan {
                per_hour,
                per_incident,
                cooldown: seconds(cooldown),
                verify: seconds(verify),
                ..plan("a", has_next.then_some("b"))
            };
            let next = ActionPlan { trigger: None, cooldown: seconds(0), ..plan("b", None) };
            let trigger = Trigger { status: Threshold::Degraded, runs: 3, ..first.trigger.clone().unwrap() };
            let third = ActionPlan { trigger: Some(trigger), dry_run: is_dry, ..plan("c", None) };
            vec![first, next, third]
        },
    )
}

struct Schedule {
    world: World,
    reference: Reference,
    held: BTreeMap<u64, Started>,
    draining: BTreeSet<u64>,
    late: (RunHistory, u64),
    fence: u64,
}

impl Schedule {
    fn step(&mut self, step: &Step) {
        let world = &mut self.world;
        match step {
            Step::Run(status, process) => {
                self.late = (world.history.clone(), world.last);
                // No two runs end in the same nanosecond.
                world.now += 1;
                world.runner = *process;
                world.run(*status);
                let says = if world.is_blocked { Status::Skipped } else { *status };
                self.reference.runs.push((says, world.now));
            }
            Step::Block(is_blocked) => {
                world.is_blocked = *is_blocked;
                if *is_blocked {
                    self.reference.runs.push((Status::Skipped, world.now));
                }
            }
            Step::Pass(number) => world.pass(*number),
            Step::Clock(skew) => world.skew = *skew,
            Step::Look(process) => self.look(*process, false),
            Step::LateLook(process) => self.look(*process, true),
            Step::Complete(process, is_done) => self.complete(*process, *is_done),
            Step::Kill(process) => {
                world.dead.insert(*process);
            }
            Step::Drain(process) => {
                if !self.draining.remove(process) {
                    self.draining.insert(*process);
                }
            }
            Step::Start(has_started) => world.situation.has_started = *has_started,
            Step::Off(off) => {
                let switch = off.then(|| Switch { by: "anna".to_owned(), at: world.moment().wall });
                world.change(|table| table.off = switch);
                self.reference.off = *off;
            }
            Step::Disable(disabled) => {
                let switch = disabled.then(|| Switch { by: "anna".to_owned(), at: world.moment().wall });
                world.change(|table| table.set_disabled("a", switch));
                self.reference.disabled = disabled.then(|| "a".to_owned()).into_iter().collect();
            }
            Step::Failing(failing, total) => {
                (world.situation.failing, world.situation.total) = ((*failing).min(*total), *total);
            }
        }
        // Each change is seen by a process that cannot act.
        let situation = Situation { can_act: false, ..self.world.situation.clone() };
        let (history, last) = (self.world.history.clone(), self.world.last);
        assert_eq!(self.world.look_with(9, &situation, &history, last), None);
        self.reference.follow(&self.world);
        self.check_limits();
    }

    fn look(&mut self, process: u64, is_late: bool) {
        // Another one of that number has taken its place.
        self.world.dead.remove(&process);
        let situation = Situation { is_draining: self.draining.contains(&process), ..self.world.situation.clone() };
        let before: BTreeSet<String> = self.world.table().entries.into_iter().map(|entry| entry.id).collect();
        let current = (self.world.history.clone(), self.world.last);
        let (history, last) = if is_late { self.late.clone() } else { current };
        let expected = self.reference.look(&self.world, process, &situation);
        let started = self.world.look_with(process, &situation, &history, last);
        let table = self.world.table();
        let new = table.entries.iter().filter(|entry| !before.contains(&entry.id));
        let new = new.filter(|entry| matches!(entry.state, EntryState::Running | EntryState::WouldAct));
        let names: Vec<String> = new.map(|entry| entry.action.clone()).collect();
        assert_eq!(names, expected);
        if !names.is_empty() {
            self.check_situation(&situation);
        }
        if let Some(started) = started {
            assert!(started.fence > self.fence, "numbers of leases grow");
            self.fence = started.fence;
            self.held.insert(process, started);
        }
    }

    fn complete(&mut self, process: u64, is_done: Option<bool>) {
        let Some(started) = self.held.remove(&process) else { return };
        let result = match is_done {
            Some(true) => ActionResult::Done(String::new()),
            Some(false) => ActionResult::Failed(String::new()),
            None => ActionResult::GivenBack,
        };
        let expected = self.reference.complete(&self.world, process, is_done);
        assert_eq!(self.world.complete(&started, &result), expected, "only the holder completes a run");
    }

    /// What must be so where anything starts, whatever the reference says.
    fn check_situation(&self, situation: &Situation) {
        assert!(!situation.is_draining, "draining");
        assert!(situation.has_started, "starting");
        assert!(!self.world.is_blocked, "unknown");
        let bad = self.world.history.latest(|run| matches!(run.status, Status::Degraded | Status::Error)).unwrap();
        assert!(self.world.now - bad.finished < STALE_AFTER.as_secs() * SECOND, "stale");
    }

    /// What no schedule may break, whatever the reference says.
    fn check_limits(&self) {
        let starts = &self.reference.starts;
        let running = starts.iter().filter(|start| matches!(start.fate, Fate::Running { .. })).count();
        assert!(running <= 1, "two holders");
        for plan in self.world.plans.values() {
            let times: Vec<u64> =
                starts.iter().filter(|start| start.action == plan.name).map(|start| start.at).collect();
            let most = plan.per_hour as usize;
            for window in times.windows(most + 1) {
                assert!(window[most] - window[0] >= 3_600 * SECOND, "more than {most} in an hour");
            }
            let own = starts.iter().filter(|start| start.action == plan.name);
            let mut each = BTreeMap::<_, u32>::new();
            own.for_each(|start| *each.entry(start.incident).or_default() += 1);
            assert!(each.values().all(|number| *number <= plan.per_incident), "too many in an incident");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: times(200, 1_000), ..ProptestConfig::default() })]

    #[test]
    fn random_schedules_start_what_the_reference_says(plans in plans(), steps in steps()) {
        let world = World::new(plans);
        let late = (world.history.clone(), 0);
        let (reference, held, draining) = Default::default();
        let mut schedule = Schedule { world, reference, held, draining, late, fence: 0 };
        for step in &steps {
            schedule.step(step);
        }
    }
}
