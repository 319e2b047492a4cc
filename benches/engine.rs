//! What the engine costs around checks that cost nothing.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use lifesigns::checks::{Check, Context};
use lifesigns::engine::{Engine, Selection};
use lifesigns::outcome::{CheckError, Finding};
use lifesigns::report::Shown;
use lifesigns::spec::CheckSpec;

struct Nothing;

#[async_trait]
impl Check for Nothing {
    async fn run(&self, _: &Context) -> Result<Finding, CheckError> {
        Ok(Finding::healthy("nothing to do"))
    }
}

fn engine(checks: usize) -> Engine {
    let engine = Engine::new(Duration::from_secs(60));
    for index in 0..checks {
        let spec = CheckSpec::new(format!("check_{index}"), Duration::from_secs(5), Duration::from_secs(30));
        assert!(engine.register(spec, Arc::new(Nothing)).is_ok());
    }
    engine
}

/// A whole sweep, from the caller's thread and back to it.
fn sweep(engine: &Engine, selection: &Selection) -> serde_json::Value {
    let (sender, receiver) = std::sync::mpsc::channel();
    let Ok(sweep) = engine.begin(selection, move || {
        let _ = sender.send(());
    }) else {
        return serde_json::Value::Null;
    };
    if !sweep.is_done() {
        let _ = receiver.recv();
    }
    sweep.report(Shown::Everything).json()
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sweep");
    for checks in [1, 22, 200, 1000] {
        let engine = engine(checks);
        let fresh = Selection { refresh: true, ..Selection::default() };
        group.bench_function(BenchmarkId::new("fresh", checks), |bench| bench.iter(|| sweep(&engine, &fresh)));
        let cached = Selection::default();
        sweep(&engine, &cached);
        group.bench_function(BenchmarkId::new("cached", checks), |bench| bench.iter(|| sweep(&engine, &cached)));
    }
    group.finish();
}

criterion_group!(engine_benches, benches);
criterion_main!(engine_benches);
