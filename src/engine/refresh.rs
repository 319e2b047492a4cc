//! The background refresh: renews results shortly before they expire, so that nobody who asks waits for a dependency.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::engine::Engine;
use crate::engine::registry::Slot;
use crate::runtime::background::BackgroundService;
use crate::runtime::{PerProcess, Process};
use crate::state::{Ask, Claim};

/// How long before its end a result is renewed, beside the time that the run itself takes.
const LEAD: Duration = Duration::from_millis(500);
/// How soon a check that is registered, or a result that somebody else renewed, is noticed.
const TICK: Duration = Duration::from_secs(1);
const SHORTEST_NAP: Duration = Duration::from_millis(10);
/// How long Python may take to begin to tell what has happened, before it is asked again.
const PATIENCE: Duration = Duration::from_secs(5);
/// By how much of their time results are renewed early at most, so that not all are renewed at once.
const JITTER: f64 = 0.1;

/// The background refresh of one engine, in every process that uses it.
pub struct Refresh {
    engine: Weak<Engine>,
    /// In milliseconds: how old the result of a critical check may become, if less than its own time to live.
    critical_max_age: Arc<AtomicU64>,
    /// The callable that tells the log and subscribers what has happened.
    publisher: u64,
    running: PerProcess<Running>,
}

struct Running(AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Refresh {
    /// One that does not run yet: see [`BackgroundService::resume`]. It ends with the engine.
    pub fn of(engine: &Arc<Engine>, publisher: u64) -> Self {
        let critical_max_age = Arc::new(AtomicU64::new(u64::MAX));
        Self { engine: Arc::downgrade(engine), critical_max_age, publisher, running: PerProcess::new() }
    }

    /// Renews critical checks before their results are that old; the shortest time that anybody asked for counts.
    pub fn limit_critical(&self, max_age: Duration) {
        let millis = u64::try_from(max_age.as_millis()).unwrap_or(u64::MAX);
        self.critical_max_age.fetch_min(millis, Ordering::Relaxed);
    }
}

impl BackgroundService for Refresh {
    fn resume(&self) -> io::Result<()> {
        let process = Process::current()?;
        let start = || {
            let renewing = renew(self.engine.clone(), self.critical_max_age.clone(), self.publisher, process.clone());
            Running(process.runtime.spawn(renewing).abort_handle())
        };
        self.running.get_or_init(start);
        Ok(())
    }
}

/// The one task that renews all checks of an engine.
async fn renew(engine: Weak<Engine>, critical_max_age: Arc<AtomicU64>, publisher: u64, process: Arc<Process>) {
    let mut plans: HashMap<Arc<str>, Plan> = HashMap::new();
    loop {
        let Some(engine) = engine.upgrade() else { return };
        let critical_max_age = Duration::from_millis(critical_max_age.load(Ordering::Relaxed));
        let mut nap = TICK;
        for slot in engine.checks().iter() {
            let plan = plans.entry(slot.name.clone()).or_insert_with(Plan::new);
            let period = if slot.spec.critical { slot.spec.ttl.min(critical_max_age) } else { slot.spec.ttl };
            nap = nap.min(plan.follow(slot, period, &process));
        }
        if engine.has_news() {
            process.runtime.spawn(publish(publisher, process.clone()));
        }
        drop(engine);
        sleep(nap.max(SHORTEST_NAP)).await;
    }
}

/// Has Python tell what has happened, unless it is still busy with that.
async fn publish(publisher: u64, process: Arc<Process>) {
    let _ = timeout(PATIENCE, process.callables.call(publisher, PATIENCE)).await;
}

/// When one check is to be renewed.
struct Plan {
    /// The part of its time after which a result is renewed.
    share: f64,
    not_before: Instant,
}

impl Plan {
    fn new() -> Self {
        let random = uuid::Uuid::new_v4().as_u64_pair().0 as f64 / u64::MAX as f64;
        Self { share: 1.0 - JITTER * random, not_before: Instant::now() }
    }

    /// Begins a run if it is time, and says how long it is until the next look.
    fn follow(&mut self, slot: &Arc<Slot>, period: Duration, process: &Arc<Process>) -> Duration {
        let now = Instant::now();
        let latest = slot.cell().view().latest;
        let age = latest.as_ref().map_or(Duration::ZERO, |latest| renewal_age(period, latest.took, self.share));
        let valid = latest.as_ref().filter(|latest| !slot.replaced_after(latest));
        let due = valid.map_or(now, |latest| latest.finished + age).max(self.not_before);
        if due > now {
            return due - now;
        }
        let current = slot.current();
        let again = match slot.claim(&current, Ask { max_age: age, refresh: false, now, snapshot: None }) {
            Claim::Led { lease, .. } => {
                process.runtime.spawn(slot.clone().lead(current, lease, process.clone()));
                TICK
            }
            Claim::Refused(outcome) => outcome.circuit.and_then(|circuit| circuit.retry_after).unwrap_or(TICK),
            Claim::Fresh(_) | Claim::Joined { .. } => TICK,
        };
        let again = again.min(period / 4);
        self.not_before = now + again;
        again
    }
}

/// The age at which a result is renewed: so early that a run as long as the last one ends before the result expires,
/// though not before half of its time, and a little earlier by its share.
fn renewal_age(period: Duration, took: Duration, share: f64) -> Duration {
    let lead = took.saturating_mul(2).saturating_add(LEAD).min(period / 2);
    (period - lead).mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_renewed_before_they_expire() {
        let table = [
            // period, took, share, renewed at the age of (milliseconds)
            (30_000, 10, 1.0, 29_480),
            (30_000, 10, 0.9, 26_532),
            (30_000, 5_000, 1.0, 19_500),
            (30_000, 60_000, 1.0, 15_000),
            (5_000, 0, 1.0, 4_500),
            (5_000, 5_000, 1.0, 2_500),
            (100, 0, 1.0, 50),
        ];
        for (period, took, share, expected) in table {
            let age = renewal_age(Duration::from_millis(period), Duration::from_millis(took), share);
            assert_eq!(age.as_millis(), expected, "{period} ms, took {took} ms");
        }
    }

    #[test]
    fn checks_are_spread() {
        let shares: Vec<f64> = (0..100).map(|_| Plan::new().share).collect();
        assert!(shares.iter().all(|share| (1.0 - JITTER..=1.0).contains(share)));
        assert!(shares.iter().any(|share| *share < 0.95) && shares.iter().any(|share| *share > 0.95));
    }
}
