//! The cost of sharing results between processes: reads and writes in host scope beside those in process scope.

mod sweeps;

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use lifesigns::checks::Check;
use lifesigns::engine::Selection;
use lifesigns::state::{Scope, heartbeats};

use sweeps::{Nothing, engine, fresh, sweep};

const CHECKS: usize = 22;

fn store() -> PathBuf {
    let directory = if cfg!(target_os = "linux") { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
    directory.join(format!("lifesigns-bench-{}", std::process::id())).join("store")
}

fn benches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("store");
    let path = store();
    let check: Arc<dyn Check> = Arc::new(Nothing);
    let alone = engine(CHECKS, &check, Scope::Process);
    let [shared, other] = [(); 2].map(|()| engine(CHECKS, &check, Scope::Host(path.clone())));
    let cached = Selection::default();
    for engine in [&alone, &shared, &other] {
        sweep(engine, &fresh());
    }
    group.bench_function("process, 22 read", |bench| bench.iter(|| sweep(&alone, &cached)));
    group.bench_function("process, 22 written", |bench| bench.iter(|| sweep(&alone, &fresh())));
    group.bench_function("host, 22 read", |bench| bench.iter(|| sweep(&shared, &cached)));
    let changed = || sweep(&other, &fresh());
    group.bench_function("host, 22 read that another has just written", |bench| {
        bench.iter_batched(changed, |_| sweep(&shared, &cached), BatchSize::PerIteration);
    });
    group.bench_function("host, report on 22 that another has just written", |bench| {
        let report = || sweep(&shared, &cached).map(|sweep| sweep.report());
        bench.iter_batched(changed, |_| report(), BatchSize::PerIteration);
    });
    group.bench_function("host, 22 written", |bench| bench.iter(|| sweep(&shared, &fresh())));
    group.bench_function("host, heartbeat", |bench| bench.iter(|| heartbeats::beat("worker")));
    group.bench_function("host, age of a heartbeat", |bench| bench.iter(|| black_box(heartbeats::age("worker"))));
    group.finish();
    let _ = path.parent().map(std::fs::remove_dir_all);
}

criterion_group!(store_benches, benches);
criterion_main!(store_benches);
