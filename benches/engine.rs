//! What the engine costs around checks that cost nothing.

mod sweeps;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::mpsc::channel;

use async_trait::async_trait;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use lifesigns::checks::Check;
use lifesigns::engine::{Engine, Selection};
use lifesigns::model::{CheckError, Finding};
use lifesigns::policy::report::{ReportOf, Shown};
use lifesigns::runtime::Context;
use lifesigns::state::{Operation, Scope};
use tokio::sync::Notify;

use sweeps::{Nothing, engine, fresh, sweep};

const WAITERS: usize = 1_000;

/// By number of checks.
fn number(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sweep");
    let check: Arc<dyn Check> = Arc::new(Nothing);
    for checks in [1, 22, 200, 1_000] {
        let engine = engine(checks, &check, Scope::Process);
        group.bench_function(BenchmarkId::new("fresh", checks), |bench| bench.iter(|| sweep(&engine, &fresh())));
        let cached = Selection::default();
        group.bench_function(BenchmarkId::new("cached", checks), |bench| bench.iter(|| sweep(&engine, &cached)));
    }
    group.finish();
}

/// One check: known, refused by its circuit breaker, and run once for all who wait.
fn request(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    let check: Arc<dyn Check> = Arc::new(Nothing);
    let known = engine(1, &check, Scope::Process);
    sweep(&known, &fresh());
    group.bench_function("hit", |bench| bench.iter(|| sweep(&known, &Selection::default())));

    let refusing = engine(1, &check, Scope::Process);
    for check in refusing.checks().iter() {
        check.state().operate(Operation::ForceOpen);
    }
    group.bench_function("refused by the breaker", |bench| bench.iter(|| sweep(&refusing, &fresh())));

    let gate = Arc::new(Gate(Notify::new()));
    let check: Arc<dyn Check> = gate.clone();
    let waited_for = engine(1, &check, Scope::Process);
    group.bench_function(BenchmarkId::new("single flight", WAITERS), |bench| bench.iter(|| flight(&waited_for, &gate)));
    group.finish();
}

/// Ends once its gate is open.
struct Gate(Notify);

#[async_trait]
impl Check for Gate {
    async fn run(&self, _: &Context) -> Result<Finding, CheckError> {
        self.0.notified().await;
        Ok(Finding::healthy("open"))
    }
}

/// Has many request one run, then ends it, and waits until all of them know.
fn flight(engine: &Engine, gate: &Gate) {
    let (done, wait) = channel();
    for _ in 0..WAITERS {
        let Ok((_, work)) = engine.sweep(&fresh()) else { return };
        let done = done.clone();
        work.start(move || {
            let _ = done.send(());
        });
    }
    drop(done);
    gate.0.notify_one();
    assert_eq!(wait.iter().count(), WAITERS);
}

/// What is made of a sweep.
fn report(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("report");
    let check: Arc<dyn Check> = Arc::new(Nothing);
    let engine = engine(22, &check, Scope::Process);
    let Some(sweep) = sweep(&engine, &fresh()) else { return };
    group.bench_function("22", |bench| bench.iter(|| black_box(sweep.report())));
    let json = || serde_json::to_string(&ReportOf(&sweep.report(), Shown::Everything));
    group.bench_function("22 as JSON", |bench| bench.iter(json));
    group.finish();
}

criterion_group!(engine_benches, number, request, report);
criterion_main!(engine_benches);
