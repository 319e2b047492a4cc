//! What an engine answers about checks that block each other, hang, panic or are not run: from outside, as callers see it.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lifesigns::checks::Check;
use lifesigns::engine::sweep::Sweep;
use lifesigns::engine::{Engine, Selection};
use lifesigns::model::{BreakerOptions, CheckError, CheckOptions, EventKind, Finding, Status};
use lifesigns::policy::report::{Health, Report, Row};
use lifesigns::runtime::Context;
use lifesigns::state::Operation;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// A check whose outcome is set from outside, and that counts its runs.
#[derive(Default)]
struct Scripted {
    fails: AtomicBool,
    panics: AtomicBool,
    millis: AtomicU32,
    /// It holds the runtime's thread meanwhile, as if the process had stopped.
    stops: AtomicBool,
    runs: AtomicU32,
    /// There is nothing to check, or nothing could be found out this time.
    skips: AtomicBool,
    unknown: AtomicBool,
}

impl Scripted {
    fn slow(millis: u32) -> Arc<Self> {
        Arc::new(Self { millis: AtomicU32::new(millis), ..Self::default() })
    }

    fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    fn take(&self, millis: u32) {
        self.millis.store(millis, Ordering::SeqCst);
    }

    fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Check for Scripted {
    async fn run(&self, _: &Context) -> Result<Finding, CheckError> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        let millis = self.millis.load(Ordering::SeqCst);
        if self.stops.load(Ordering::SeqCst) {
            std::thread::sleep(MILLISECOND * millis);
        } else if millis > 0 {
            tokio::time::sleep(MILLISECOND * millis).await;
        }
        assert!(!self.panics.load(Ordering::SeqCst), "on purpose");
        if self.skips.load(Ordering::SeqCst) {
            return Ok(Finding::skipped("no extension").with("unknown", self.unknown.load(Ordering::SeqCst)));
        }
        match self.fails.load(Ordering::SeqCst) {
            true => Err(CheckError::Refused { target: "server:1".to_owned() }),
            false => Ok(Finding::healthy("fine")),
        }
    }
}

fn options(name: &str) -> CheckOptions {
    CheckOptions::new(name, SECOND, SECOND * 30)
}

fn child(name: &str) -> CheckOptions {
    CheckOptions { depends_on: vec!["parent".to_owned()], ..options(name) }
}

fn engine(checks: &[(CheckOptions, &Arc<Scripted>)]) -> Engine {
    let engine = Engine::new(SECOND * 60);
    for (options, check) in checks {
        engine.register(options.clone(), Arc::<Scripted>::clone(check)).unwrap();
    }
    engine
}

fn sweep(engine: &Engine, selection: &Selection) -> Sweep {
    let (sweep, work) = engine.sweep(selection).unwrap();
    if !work.is_none() {
        let (done, wait) = std::sync::mpsc::channel();
        work.start(move || done.send(()).unwrap_or_default());
        let left = sweep.deadline.saturating_duration_since(tokio::time::Instant::now());
        let _ = wait.recv_timeout(left);
    }
    sweep
}

fn refresh() -> Selection {
    Selection { refresh: true, ..Selection::default() }
}

fn row(sweep: &Sweep, name: &str) -> Row {
    sweep.rows().into_iter().find(|row| &*row.name == name).unwrap()
}

fn status(sweep: &Sweep, name: &str) -> Status {
    row(sweep, name).outcome.status
}

#[test]
fn child_of_failing_parent_is_blocked_at_once_whatever_it_found_before() {
    let (parent, other) = (Arc::new(Scripted::default()), Arc::new(Scripted::default()));
    let engine =
        engine(&[(options("parent"), &parent), (CheckOptions { failures_before_error: 3, ..child("child") }, &other)]);
    assert_eq!(status(&sweep(&engine, &Selection::default()), "child"), Status::Healthy);
    parent.fail(true);
    sweep(&engine, &Selection { names: Some(vec!["parent".to_owned()]), ..refresh() });
    let cached = row(&sweep(&engine, &Selection::default()), "child");
    assert_eq!((cached.outcome.status, cached.blocked_by.as_deref()), (Status::Error, Some("parent")));
    assert_eq!(cached.outcome.message, "Not run: parent is in error");
    for _ in 0..5 {
        assert_eq!(status(&sweep(&engine, &refresh()), "child"), Status::Error);
    }
    assert_eq!(other.runs(), 1, "it is not run while its parent fails");
    let view = engine.check("child").unwrap().state().view(None);
    assert_eq!(view.counters.runs, [(Status::Healthy, 1)].into());
    assert_eq!(view.latest.unwrap().status, Status::Healthy);
    parent.fail(false);
    let recovered = row(&sweep(&engine, &refresh()), "child");
    assert_eq!((recovered.outcome.status, recovered.blocked_by), (Status::Healthy, None));
}

#[test]
fn child_of_slow_parent_has_its_own_duration_and_timeout() {
    let (parent, other) = (Scripted::slow(300), Scripted::slow(800));
    let engine = engine(&[(options("parent"), &parent), (child("child"), &other)]);
    sweep(&engine, &Selection::default());
    // It had a second of its own, though its parent took 300 ms of the sweep's.
    let wait = std::time::Instant::now();
    while row(&sweep(&engine, &Selection::default()), "child").pending && wait.elapsed() < SECOND * 5 {}
    let row = row(&sweep(&engine, &Selection::default()), "child");
    assert_eq!(row.outcome.status, Status::Healthy, "{}", row.outcome.message);
    let duration = row.outcome.duration;
    assert!(duration >= MILLISECOND * 800 && duration < MILLISECOND * 1_050, "{duration:?}");
}

#[test]
fn blocked_children_open_no_breaker() {
    let (parent, other) = (Arc::new(Scripted::default()), Arc::new(Scripted::default()));
    let breaker = Some(BreakerOptions::default());
    let engine = engine(&[(options("parent"), &parent), (CheckOptions { breaker, ..child("child") }, &other)]);
    parent.fail(true);
    for _ in 0..10 {
        sweep(&engine, &refresh());
    }
    parent.fail(false);
    assert_eq!(status(&sweep(&engine, &refresh()), "child"), Status::Healthy);
}

#[test]
fn open_circuit_shows_the_last_error_beside_itself_and_is_no_run() {
    let check = Arc::new(Scripted::default());
    let breaker = Some(BreakerOptions::default());
    let engine = engine(&[(CheckOptions { breaker, ..options("check") }, &check)]);
    check.fail(true);
    for _ in 0..10 {
        sweep(&engine, &refresh());
    }
    assert_eq!(check.runs(), 3);
    let row = row(&sweep(&engine, &refresh()), "check");
    assert_eq!(row.outcome.error_type.as_deref(), Some("CircuitOpenError"));
    assert_eq!(row.last_error.unwrap().message, "server:1 refused the connection");
    assert!(row.circuit.unwrap().retry_after.is_some());
    assert_eq!(engine.check("check").unwrap().state().view(None).counters.runs, [(Status::Error, 3)].into());
}

#[test]
fn panic_or_overrun_of_one_changes_no_other() {
    let (fine, panics, hangs) = (Arc::new(Scripted::default()), Arc::new(Scripted::default()), Scripted::slow(60_000));
    panics.panics.store(true, Ordering::SeqCst);
    let engine = engine(&[(options("hangs"), &hangs), (options("panics"), &panics), (options("fine"), &fine)]);
    let sweep = sweep(&engine, &Selection::default());
    let fine = row(&sweep, "fine");
    assert_eq!(fine.outcome.status, Status::Healthy);
    assert!(fine.outcome.duration < MILLISECOND * 50, "{:?}", fine.outcome.duration);
    assert_eq!(row(&sweep, "panics").outcome.error_type.as_deref(), Some("InternalError"));
    let hangs = row(&sweep, "hangs");
    assert_eq!(hangs.outcome.error_type.as_deref(), Some("TimeoutError"));
    assert_eq!(hangs.outcome.timeout, Some(SECOND));
}

#[test]
fn timeout_that_this_process_could_not_watch_is_none_of_the_check() {
    let check = Arc::new(Scripted::default());
    let engine = engine(&[(options("check"), &check)]);
    sweep(&engine, &refresh());
    check.take(3_000);
    check.stops.store(true, Ordering::SeqCst);
    let sweep = sweep(&engine, &refresh());
    std::thread::sleep(MILLISECOND * 300);
    assert!(!sweep.is_done());
    assert_eq!((status(&sweep, "check"), row(&sweep, "check").cached), (Status::Healthy, true));
}

#[test]
fn last_result_stands_while_a_run_is_awaited_but_not_for_longer_than_its_bound() {
    let check = Arc::new(Scripted::default());
    let engine = engine(&[(options("check"), &check)]);
    sweep(&engine, &Selection::default());
    std::thread::sleep(MILLISECOND * 30);
    check.take(500);
    let read = |max_age: Duration| {
        let (sweep, work) = engine.sweep(&Selection { max_age: Some(max_age), ..Selection::default() }).unwrap();
        work.start(|| ());
        row(&sweep, "check")
    };
    let row = read(MILLISECOND * 10);
    assert_eq!((row.outcome.status, row.cached, row.pending), (Status::Healthy, true, false));
    // Older than the caller's bound plus the timeout: not known any more.
    std::thread::sleep(MILLISECOND * 1_100);
    check.take(2_000);
    let row = read(MILLISECOND * 10);
    assert!(!row.pending, "the run of before has ended in between");
    std::thread::sleep(MILLISECOND * 1_050);
    let row = read(MILLISECOND * 10);
    assert_eq!(row.outcome.error_type.as_deref(), Some("TimeoutError"));
}

#[test]
fn change_of_status_and_of_readiness_is_one_event_each() {
    let check = Arc::new(Scripted::default());
    let engine = engine(&[(options("check"), &check)]);
    let mut seen = Vec::new();
    for fails in [false, false, true, true, false] {
        check.fail(fails);
        sweep(&engine, &refresh());
        for event in engine.take_events() {
            seen.push(match event.kind {
                EventKind::Status { from, to, .. } => format!("{from:?} -> {to:?}"),
                EventKind::Readiness { ready, failing, .. } => format!("ready: {ready} {failing:?}"),
                other => format!("{other:?}"),
            });
        }
    }
    let expected = ["Some(Healthy) -> Error", "ready: false [\"check\"]", "Some(Error) -> Healthy", "ready: true []"];
    assert_eq!(seen, expected);
}

#[test]
fn report_on_no_checks_is_unhealthy() {
    let engine = Engine::new(SECOND);
    let report: Report = sweep(&engine, &Selection::default()).report();
    assert_eq!((report.health(), report.message()), (Health::Unhealthy, "No checks are registered"));
}

#[test]
fn skipped_child_stays_skipped_while_its_parent_may_explain_the_error() {
    let (parent, child_check) = (Arc::new(Scripted::default()), Arc::new(Scripted::default()));
    let engine = engine(&[(options("parent"), &parent), (child("child"), &child_check)]);
    child_check.skips.store(true, Ordering::SeqCst);
    assert_eq!(status(&sweep(&engine, &refresh()), "child"), Status::Skipped);
    child_check.skips.store(false, Ordering::SeqCst);
    child_check.fail(true);
    let child_only = Selection { names: Some(vec!["child".to_owned()]), ..refresh() };
    // The parent's last result is from before: its server may have gone since.
    let found = row(&sweep(&engine, &child_only), "child");
    assert_eq!((found.outcome.status, found.pending), (Status::Skipped, false));
    assert_eq!(child_check.runs(), 2);
    // It answers well while the child still fails: the child's own fault.
    child_check.take(300);
    let (second, work) = engine.sweep(&child_only).unwrap();
    work.start(|| ());
    std::thread::sleep(MILLISECOND * 50);
    sweep(&engine, &parent_only());
    std::thread::sleep(MILLISECOND * 500);
    assert_eq!(status(&second, "child"), Status::Error);
    assert_eq!(status(&sweep(&engine, &child_only), "child"), Status::Error, "it is not skipped any more");
}

fn parent_only() -> Selection {
    Selection { names: Some(vec!["parent".to_owned()]), ..refresh() }
}

#[test]
fn skipped_child_of_failing_parent_stays_skipped_and_blocks_nothing() {
    let (parent, skipped, grandchild) = (Arc::default(), Arc::new(Scripted::default()), Arc::default());
    let grandchild_options = CheckOptions { depends_on: vec!["child".to_owned()], ..options("grandchild") };
    let engine = engine(&[(options("parent"), &parent), (child("child"), &skipped), (grandchild_options, &grandchild)]);
    skipped.skips.store(true, Ordering::SeqCst);
    assert_eq!(status(&sweep(&engine, &refresh()), "child"), Status::Skipped);
    parent.fail(true);
    sweep(&engine, &parent_only());
    for selection in [Selection::default(), refresh()] {
        let found = sweep(&engine, &selection);
        let child = row(&found, "child");
        assert_eq!((child.outcome.status, child.blocked_by), (Status::Skipped, None));
        assert_eq!(child.outcome.message, "no extension");
        assert_eq!(status(&found, "grandchild"), Status::Healthy);
    }
    assert_eq!(engine.check("child").unwrap().known_status(tokio::time::Instant::now(), None), Some(Status::Skipped));
    // What could not be found out is no matter of configuration.
    parent.fail(false);
    skipped.unknown.store(true, Ordering::SeqCst);
    assert_eq!(status(&sweep(&engine, &refresh()), "child"), Status::Skipped);
    parent.fail(true);
    sweep(&engine, &parent_only());
    let child = row(&sweep(&engine, &Selection::default()), "child");
    assert_eq!((child.outcome.status, child.blocked_by.as_deref()), (Status::Error, Some("parent")));
}

/// What a probe is answered now that accepts results of this age only; the runs go on.
fn probe(engine: &Engine, max_age: Duration) -> Sweep {
    let (sweep, work) = engine.sweep(&Selection { max_age: Some(max_age), ..Selection::default() }).unwrap();
    work.start(|| ());
    sweep
}

#[test]
fn children_of_hanging_parent_stand_as_long_as_it_does() {
    let [parent, skipped, healthy] = [(); 3].map(|()| Arc::new(Scripted::default()));
    let shorter = |name| CheckOptions { timeout: MILLISECOND * 100, ..child(name) };
    let engine =
        engine(&[(options("parent"), &parent), (shorter("skipped"), &skipped), (shorter("healthy"), &healthy)]);
    skipped.skips.store(true, Ordering::SeqCst);
    sweep(&engine, &Selection::default());
    parent.take(60_000);
    std::thread::sleep(MILLISECOND * 20);
    let mut seen = Vec::new();
    let started = std::time::Instant::now();
    while started.elapsed() < SECOND * 2 {
        let sweep = probe(&engine, MILLISECOND * 10);
        let parent = row(&sweep, "parent");
        let child = row(&sweep, "healthy");
        assert_eq!(status(&sweep, "skipped"), Status::Skipped, "{:?}", started.elapsed());
        assert_eq!(child.outcome.status, parent.outcome.status, "{:?}", started.elapsed());
        let is_error = parent.outcome.status == Status::Error;
        assert_eq!(child.blocked_by.as_deref(), is_error.then_some("parent"));
        seen.push(parent.outcome.error_type.clone());
        std::thread::sleep(MILLISECOND * 10);
    }
    assert_eq!(seen.first(), Some(&None));
    assert_eq!(seen.last(), Some(&Some("TimeoutError".to_owned())));
}

#[test]
fn answer_that_is_known_is_not_waited_for() {
    let [hangs, other] = [(); 2].map(|()| Arc::new(Scripted::default()));
    let engine = engine(&[(options("hangs"), &hangs), (options("other"), &other)]);
    let now = tokio::time::Instant::now;
    let short = MILLISECOND * 10;
    hangs.fail(true);
    sweep(&engine, &Selection::default());
    hangs.take(60_000);
    std::thread::sleep(short * 2);
    // What is back is seen at once: the first caller waits for that.
    let first = probe(&engine, short).decided_at().unwrap() - now();
    assert!(first > MILLISECOND * 50 && first <= MILLISECOND * 100, "{first:?}");
    std::thread::sleep(MILLISECOND * 110);
    let later = probe(&engine, short);
    assert!(!later.is_done() && later.decided_at().unwrap() <= now() + MILLISECOND * 100);
    assert_eq!(status(&later, "hangs"), Status::Error);
    // Others are no probes.
    for selection in [Selection { max_age: Some(short), ..refresh() }, Selection::default()] {
        assert_eq!(engine.sweep(&selection).unwrap().0.decided_at(), None);
    }
    // One that has no result yet is given more time.
    engine.register(options("new"), Scripted::slow(60_000)).unwrap();
    let first = probe(&engine, short).decided_at().unwrap() - now();
    assert!(first > MILLISECOND * 200 && first <= MILLISECOND * 300, "{first:?}");
}

#[test]
fn answer_that_a_run_may_change_is_waited_for() {
    let check = Arc::new(Scripted::default());
    let engine = engine(&[(options("check"), &check)]);
    sweep(&engine, &Selection::default());
    check.take(500);
    std::thread::sleep(MILLISECOND * 20);
    let sweep = probe(&engine, MILLISECOND * 10);
    assert_eq!((sweep.is_done(), sweep.decided_at()), (false, None));
}

#[test]
fn skipped_check_whose_circuit_is_forced_open_stays_skipped() {
    let engine = Engine::new(SECOND * 60);
    let skipped = lifesigns::checks::build::<_, serde_json::Error>("skipped", serde_json::json!({"reason": "unset"}));
    let (parent, other) =
        (CheckOptions { breaker: Some(BreakerOptions::default()), ..options("parent") }, Arc::default());
    engine.register(parent, skipped.unwrap().unwrap()).unwrap();
    engine.register(child("child"), Arc::<Scripted>::clone(&other)).unwrap();
    // Before it has ever run, and after that.
    engine.check("parent").unwrap().state().operate(Operation::ForceOpen);
    for _ in 0..2 {
        let found = sweep(&engine, &refresh());
        assert_eq!((status(&found, "parent"), status(&found, "child")), (Status::Skipped, Status::Healthy));
        engine.check("parent").unwrap().state().operate(Operation::Reset);
        sweep(&engine, &refresh());
        engine.check("parent").unwrap().state().operate(Operation::ForceOpen);
    }
    assert_eq!(other.runs(), 4);
}
