//! What it costs to share what is known between processes: a sweep in host scope beside the same one in process scope.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use lifesigns::checks::{Check, Context};
use lifesigns::engine::{Engine, Selection};
use lifesigns::outcome::{CheckError, Finding};
use lifesigns::report::Shown;
use lifesigns::spec::{BreakerSpec, CheckSpec};
use lifesigns::store::{Share, beats};

const CHECKS: usize = 22;

/// Has as much to tell as a check of a database.
struct Typical;

#[async_trait]
impl Check for Typical {
    async fn run(&self, _: &Context) -> Result<Finding, CheckError> {
        let finding =
            Finding::healthy("14 of 100 connections").with("active_connections", 3).with("idle_connections", 11);
        Ok(finding.with("total_connections", 14).with("max_connections", 97).with("utilization", 14.43))
    }
}

fn engine(share: Share) -> Engine {
    let engine = Engine::new(Duration::from_secs(3_600)).shared(share);
    for index in 0..CHECKS {
        let spec = CheckSpec::new(format!("check_{index}"), Duration::from_secs(5), Duration::from_secs(3_600));
        let spec = CheckSpec { breaker: Some(BreakerSpec::default()), ..spec };
        assert!(engine.register(spec, Arc::new(Typical)).is_ok());
    }
    engine
}

fn sweep(engine: &Engine, refresh: bool) -> serde_json::Value {
    let (sender, receiver) = std::sync::mpsc::channel();
    let selection = Selection { refresh, ..Selection::default() };
    let Ok(sweep) = engine.begin(&selection, move || {
        let _ = sender.send(());
    }) else {
        return serde_json::Value::Null;
    };
    if !sweep.is_done() {
        let _ = receiver.recv();
    }
    sweep.report(Shown::Everything).json()
}

fn store() -> PathBuf {
    let directory = if cfg!(target_os = "linux") { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
    directory.join(format!("lifesigns-bench-{}", std::process::id())).join("store")
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("store");
    let path = store();
    let (alone, shared, other) =
        (engine(Share::Process), engine(Share::Host(path.clone())), engine(Share::Host(path.clone())));
    for engine in [&alone, &shared, &other] {
        sweep(engine, true);
    }
    group.bench_function("process, 22 cached", |bench| bench.iter(|| sweep(&alone, false)));
    group.bench_function("host, 22 cached", |bench| bench.iter(|| sweep(&shared, false)));
    group.bench_function("host, 22 that another has just run", |bench| {
        bench.iter_batched(|| sweep(&other, true), |_| sweep(&shared, false), BatchSize::PerIteration);
    });
    group.bench_function("process, 22 fresh", |bench| bench.iter(|| sweep(&alone, true)));
    group.bench_function("host, 22 fresh", |bench| bench.iter(|| sweep(&shared, true)));
    group.bench_function("host, beat", |bench| bench.iter(|| beats::beat("worker")));
    group.bench_function("host, heard", |bench| bench.iter(|| black_box(beats::last_heard("worker"))));
    group.finish();
    let _ = path.parent().map(std::fs::remove_dir_all);
}

criterion_group!(store_benches, benches);
criterion_main!(store_benches);
