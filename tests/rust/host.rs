//! Engines that share a store: results, counters and windows are the same in all of them, and outlive them.

#![cfg(any(target_os = "linux", target_os = "macos"))]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lifesigns::checks::Check;
use lifesigns::engine::{Engine, Selection};
use lifesigns::model::CheckOptions;
use lifesigns::model::{CheckError, Finding, Status};
use lifesigns::runtime::{Context, diagnostics};
use lifesigns::state::counters::{Counters, StatusSeconds};
use lifesigns::state::{Scope, View};

const SECOND: Duration = Duration::from_secs(1);

/// In error every third time.
#[derive(Default)]
struct Counted(AtomicU64);

#[async_trait]
impl Check for Counted {
    async fn run(&self, _: &Context) -> Result<Finding, CheckError> {
        match self.0.fetch_add(1, Ordering::Relaxed) % 3 {
            2 => Err(CheckError::Refused { target: "t".to_owned() }),
            _ => Ok(Finding::healthy("fine")),
        }
    }
}

fn engine(path: &Path, check: &Arc<Counted>) -> Engine {
    let engine = Engine::new(SECOND * 60).shared(Scope::Host(path.to_owned()));
    engine.register(CheckOptions::new("x", SECOND, SECOND * 30), check.clone()).unwrap();
    engine
}

fn run(engine: &Engine, refresh: bool) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let done = move || sender.send(()).unwrap_or_default();
    let (_, work) = engine.sweep(&Selection { refresh, ..Selection::default() }).unwrap();
    if !work.is_none() {
        work.start(done);
        receiver.recv().unwrap();
    }
}

fn view(engine: &Engine) -> View {
    engine.check("x").unwrap().state().view(None)
}

/// Without the seconds, which pass between two reads.
fn counters(engine: &Engine) -> Counters {
    Counters { seconds: StatusSeconds::default(), ..view(engine).counters }
}

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("lifesigns-test-{}", uuid::Uuid::new_v4())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn counters_of_two_engines_are_one_and_outlive_both() {
    let scratch = Scratch::new();
    let path = scratch.0.join("store");
    let check = Arc::new(Counted::default());
    let (first, second) = (engine(&path, &check), engine(&path, &check));
    assert_eq!(counters(&first), Counters::default());
    for _ in 0..6 {
        run(&first, true);
        run(&second, false);
    }
    assert_eq!(check.0.load(Ordering::Relaxed), 6, "the second had no need to run it");
    assert_eq!(counters(&first), counters(&second));
    drop((first, second));
    let third = engine(&path, &check);
    let Counters { runs, errors, last_run, .. } = counters(&third);
    assert_eq!((runs[&Status::Healthy], runs[&Status::Error]), (4, 2));
    assert_eq!(errors, [("ConnectionRefusedError".to_owned(), 2)].into());
    assert!(last_run.is_some_and(|at| at.elapsed().is_ok_and(|age| age < SECOND * 60)));
    assert_eq!(view(&third).latest.unwrap().status, Status::Error);
}

/// Returns more than the processes of a host can share.
struct Verbose(AtomicU64);

#[async_trait]
impl Check for Verbose {
    async fn run(&self, _: &Context) -> Result<Finding, CheckError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Finding::healthy("x".repeat(200_000)))
    }
}

#[test]
fn record_too_large_is_reported_and_each_engine_runs_the_check() {
    let scratch = Scratch::new();
    let path = scratch.0.join("store");
    let check = Arc::new(Verbose(AtomicU64::default()));
    let engines = [(); 2].map(|()| {
        let engine = Engine::new(SECOND * 60).shared(Scope::Host(path.clone()));
        engine.register(CheckOptions::new("verbose", SECOND, SECOND * 30), check.clone()).unwrap();
        engine
    });
    for engine in &engines {
        run(engine, false);
    }
    assert_eq!(check.0.load(Ordering::Relaxed), 2);
    let lines: Vec<_> = diagnostics::take().into_iter().map(|diagnostic| diagnostic.text).collect();
    assert_eq!(lines.iter().filter(|line| line.contains("the record of verbose is too large")).count(), 1, "{lines:?}");
}
