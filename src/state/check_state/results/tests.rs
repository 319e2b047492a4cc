//! Two records of one check in one store, as two processes have them.

#![allow(clippy::unwrap_used)]
#![cfg(any(target_os = "linux", target_os = "macos"))]

use std::path::Path;

use super::*;
use crate::model::{BreakerOptions, CheckOptions, CircuitMode, Event, Finding};
use crate::policy::breaker::CallResult;
use crate::runtime::queue::Queue;
use crate::state::check_state::transact_all;
use crate::state::record::{Acquired, Operation, Wanted};
use crate::state::scratch::Scratch;
use crate::state::{Scope, UnrecordedResults, View};

const SECOND: Duration = Duration::from_secs(1);

fn state(directory: &Path, name: &str) -> (CheckState, Arc<Queue<Event>>) {
    recorded_state(directory, name, Arc::default())
}

fn recorded_state(directory: &Path, name: &str, unrecorded: Arc<UnrecordedResults>) -> (CheckState, Arc<Queue<Event>>) {
    let breaker = Some(BreakerOptions::default());
    let options = CheckOptions { breaker, ..CheckOptions::new(name, SECOND, SECOND) };
    let events = Arc::new(Queue::default());
    let backend = Scope::Host(directory.join("store")).backend(&options);
    (CheckState::new(name.into(), &options, SECOND * 60, events.clone(), unrecorded, backend), events)
}

/// Runs the check, which is in error, without storing the result.
fn run(state: &CheckState) {
    let owner = state.backend.new_owner();
    let acquired = state.try_acquire(Wanted::NotOlderThan(Duration::ZERO), owner).unwrap();
    assert!(matches!(acquired, Acquired::Leader(_)), "{acquired:?}");
    let outcome = Outcome::of(Ok(Finding::error("broken")), Instant::now(), SECOND);
    let run = Run { outcome, call_result: CallResult::Failure, first: false };
    assert_eq!(state.settle(owner, run, Arc::default()).status, Status::Error);
}

fn errors(view: &View) -> Option<u64> {
    view.counters.runs.get(&Status::Error).copied()
}

#[test]
fn result_is_known_here_at_once_and_elsewhere_with_its_event_once_it_is_stored() {
    let scratch = Scratch::new();
    let ((here, events), (there, _)) = (state(&scratch.0, "a"), state(&scratch.0, "a"));
    run(&here);
    assert_eq!((errors(&here.view(None)), errors(&there.view(None))), (Some(1), None));
    assert!(events.is_empty());
    for _ in 0..2 {
        assert!(here.store_result(SECOND));
        assert_eq!((errors(&here.view(None)), errors(&there.view(None))), (Some(1), Some(1)));
    }
    assert_eq!(events.take().len(), 1);
}

#[test]
fn result_is_kept_beside_what_another_process_stores_before_it() {
    let scratch = Scratch::new();
    let ((here, events), (there, _)) = (state(&scratch.0, "a"), state(&scratch.0, "a"));
    run(&here);
    there.operate(Operation::ForceOpen);
    assert_eq!(errors(&here.view(None)), Some(1));
    here.store_result(SECOND);
    for view in [here.view(None), there.view(None)] {
        assert_eq!((errors(&view), view.breaker.unwrap().1), (Some(1), CircuitMode::ForcedOpen));
    }
    assert_eq!(events.take().len(), 1);
}

#[test]
fn result_is_stored_with_any_other_change_of_its_record() {
    let scratch = Scratch::new();
    let ((here, _), (there, _)) = (state(&scratch.0, "a"), state(&scratch.0, "a"));
    run(&here);
    here.operate(Operation::ForceClosed);
    let view = there.view(None);
    assert_eq!((errors(&view), view.breaker.unwrap().1), (Some(1), CircuitMode::ForcedClosed));
    run(&here);
    run(&here);
    assert_eq!((errors(&here.view(None)), errors(&there.view(None))), (Some(3), Some(2)));
}

#[test]
fn results_of_several_checks_are_stored_together() {
    let scratch = Scratch::new();
    let ((a, _), (b, _), (c, _)) = (state(&scratch.0, "a"), state(&scratch.0, "b"), state(&scratch.0, "c"));
    for check in [&a, &b, &c] {
        run(check);
    }
    assert_eq!(transact_all(&[&a, &b, &a], &mut |_, _| false), [true, true, false], "each once");
    let there = |name| errors(&state(&scratch.0, name).0.view(None));
    assert_eq!((there("a"), there("b"), there("c")), (Some(1), Some(1), None));
    let held = lock(&a.local);
    assert_eq!(transact_all(&[&a, &b, &c], &mut |_, _| true), [false, true, true], "another thread has one of them");
    drop(held);
}

#[test]
fn result_goes_to_the_history_once_it_is_stored_and_only_once() {
    let scratch = Scratch::new();
    let unrecorded = Arc::new(UnrecordedResults::default());
    unrecorded.set_recording(true);
    let ((here, _), (there, _)) =
        (recorded_state(&scratch.0, "a", unrecorded.clone()), recorded_state(&scratch.0, "a", unrecorded.clone()));
    let taken = || unrecorded.take(&Scope::Process, Vec::new).0.len();
    run(&here);
    assert_eq!((taken(), here.unrecorded(None).is_some()), (0, false), "it may be judged again");
    here.store_result(SECOND);
    assert_eq!((taken(), here.unrecorded(None).is_some()), (1, false));
    assert!(there.unrecorded(None).is_some_and(|result| result.outcome.message == "broken"));
    assert!(there.unrecorded(None).is_none());
    unrecorded.set_recording(false);
    run(&here);
    here.store_result(SECOND);
    assert_eq!((taken(), here.unrecorded(None).is_some()), (0, true), "it is read once a process records");
}
