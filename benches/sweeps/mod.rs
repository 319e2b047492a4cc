//! Engines for benchmarks, and a sweep of theirs as a caller sees it.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use async_trait::async_trait;
use lifesigns::checks::Check;
use lifesigns::engine::sweep::Sweep;
use lifesigns::engine::{Engine, Selection};
use lifesigns::model::{BreakerOptions, CheckOptions};
use lifesigns::model::{CheckError, Finding};
use lifesigns::runtime::Context;
use lifesigns::state::Scope;

const LONG: Duration = Duration::from_secs(3_600);

/// A check that costs nothing, and has as many details as one of a database.
pub struct Nothing;

#[async_trait]
impl Check for Nothing {
    async fn run(&self, _: &Context) -> Result<Finding, CheckError> {
        let finding =
            Finding::healthy("14 of 100 connections").with("active_connections", 3).with("idle_connections", 11);
        Ok(finding
            .with("total_connections", 14)
            .with("max_connections", 97)
            .with("utilization", 0.144)
            .with("utilization_percent", 14.4))
    }
}

/// So many of these checks, each with a circuit breaker.
pub fn engine(checks: usize, check: &Arc<dyn Check>, share: Scope) -> Engine {
    let engine = Engine::new(LONG).shared(share);
    for index in 0..checks {
        let spec = CheckOptions::new(format!("check_{index}"), Duration::from_secs(5), LONG);
        let spec = CheckOptions { breaker: Some(BreakerOptions::default()), ..spec };
        assert!(engine.register(spec, check.clone()).is_ok());
    }
    engine
}

/// Takes nothing that is known already.
pub fn fresh() -> Selection {
    Selection { refresh: true, ..Selection::default() }
}

/// A whole sweep, from the caller's thread and back to it.
pub fn sweep(engine: &Engine, selection: &Selection) -> Option<Sweep> {
    let (sweep, work) = engine.sweep(selection).ok()?;
    if !work.is_none() {
        let (done, wait) = channel();
        let done = move || {
            let _ = done.send(());
        };
        work.start(done);
        let _ = wait.recv();
    }
    Some(sweep)
}
