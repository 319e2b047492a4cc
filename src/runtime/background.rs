//! Background services of an engine in every process that uses it: probe servers, the background refresh.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::{PerProcess, Process, diagnostics};
use crate::model::clock;
use crate::runtime;

/// How soon a service that cannot be started is tried again, with the next use of its engine.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How often services look at what has changed: about once a second. Of 16 slots of tokio's timer wheel, 64 ms each: a
/// timer that ends where a slot starts wakes its thread once, and another one up to three times.
pub const TICK: Duration = Duration::from_millis(1_024);

/// The next tick: the same moment for all services of this process, so that one wake-up does for all of them. The first
/// call, just before the runtime starts, decides when ticks are.
pub fn next_tick() -> Instant {
    static FIRST: PerProcess<Instant> = PerProcess::new();
    let (now, first) = (Instant::now(), *FIRST.get_or_init(Instant::now));
    let since = now.saturating_duration_since(first);
    now + TICK - Duration::from_nanos((since.as_nanos() % TICK.as_nanos()) as u64)
}

/// As many whole ticks as there are in that time.
pub fn whole_ticks(time: Duration) -> Duration {
    TICK.saturating_mul(u32::try_from(time.as_nanos() / TICK.as_nanos()).unwrap_or(u32::MAX))
}

/// Something that a fork ends and that the child starts again for itself.
pub trait BackgroundService: Send + Sync {
    /// Starts it in this process, if it does not run here. Does not block.
    fn resume(&self) -> io::Result<()>;

    /// How the log calls it.
    fn name(&self) -> String {
        "background service".to_owned()
    }

    /// Where clients reach this process by it, if they do: a child that is a helper of its parent does not start it by
    /// itself.
    fn served_address(&self) -> Option<String> {
        None
    }
}

/// The task of a service in one process. It ends with this value.
pub struct BackgroundTask(AbortHandle);

impl BackgroundTask {
    pub fn start(process: &Process, task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(process.spawn(task).abort_handle())
    }
}

impl Drop for BackgroundTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The services of one engine.
#[derive(Default)]
pub struct BackgroundServices {
    all: ArcSwap<Vec<Arc<dyn BackgroundService>>>,
    /// The process in which they were last started.
    generation: AtomicU64,
    /// When starting them last failed in this process.
    failed_at: PerProcess<AtomicU64>,
}

impl BackgroundServices {
    /// Starts one more here, and in children on first use.
    pub fn add(&self, service: Arc<dyn BackgroundService>) -> io::Result<()> {
        service.resume()?;
        self.all.rcu(|all| all.iter().chain([&service]).cloned().collect::<Vec<_>>());
        Ok(())
    }

    /// Adds one that starts with the next use of its engine, here and in children.
    pub fn add_later(&self, service: Arc<dyn BackgroundService>) {
        self.all.rcu(|all| all.iter().chain([&service]).cloned().collect::<Vec<_>>());
        self.generation.store(runtime::generation().wrapping_sub(1), Ordering::Relaxed);
    }

    /// Whether [`Self::resume`] has something to do: this is the first use after a fork, or one could not be started.
    pub fn are_stopped(&self) -> bool {
        self.generation.load(Ordering::Relaxed) != runtime::generation()
    }

    /// Starts all of them that do not run here, also those that a helper process does not start by itself.
    pub fn resume_all(&self) {
        self.generation.store(runtime::generation().wrapping_sub(1), Ordering::Relaxed);
        self.resume(|_| true);
    }

    /// Starts those that `may_start` if this is the first use after a fork: two loads if it is not. One that cannot be
    /// started is logged once, fails no request, and is tried again with a later use.
    pub fn resume(&self, may_start: impl Fn(&dyn BackgroundService) -> bool) {
        let now = runtime::generation();
        if self.generation.swap(now, Ordering::Relaxed) == now {
            return;
        }
        let before = self.failed_at.get().map(|failed_at| failed_at.load(Ordering::Relaxed));
        if before.is_some_and(|at| clock::now().saturating_sub(at) < RETRY_AFTER.as_nanos() as u64) {
            self.generation.store(now.wrapping_sub(1), Ordering::Relaxed);
            return;
        }
        for service in self.all.load().iter().filter(|service| may_start(&***service)) {
            if let Err(error) = service.resume() {
                if before.is_none() {
                    let text = format!("{}: cannot be started ({}); retrying", service.name(), error.kind());
                    match service.served_address() {
                        Some(address) => diagnostics::publish_of_server(address, true, text),
                        None => diagnostics::publish(true, text),
                    }
                }
                self.failed_at.get_or_init(AtomicU64::default).store(clock::now(), Ordering::Relaxed);
                self.generation.store(now.wrapping_sub(1), Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Failing(AtomicUsize, AtomicUsize);

    impl BackgroundService for Failing {
        fn resume(&self) -> io::Result<()> {
            self.0.fetch_add(1, Ordering::Relaxed);
            if self.1.load(Ordering::Relaxed) > 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        }

        fn name(&self) -> String {
            "failing".to_owned()
        }
    }

    #[test]
    fn failed_service_is_logged_once_and_retried_later() {
        let services = BackgroundServices::default();
        let service = Arc::new(Failing::default());
        assert!(services.add(service.clone()).is_ok());
        service.1.store(1, Ordering::Relaxed);
        services.generation.store(u64::MAX, Ordering::Relaxed);
        let logged = || diagnostics::take().iter().filter(|entry| entry.text.starts_with("failing:")).count();
        services.resume(|_| true);
        services.resume(|_| true);
        assert_eq!((service.0.load(Ordering::Relaxed), logged()), (2, 1), "not before its time");
        assert!(services.are_stopped());
        services.failed_at.get_or_init(AtomicU64::default).store(0, Ordering::Relaxed);
        services.resume(|_| true);
        assert_eq!((service.0.load(Ordering::Relaxed), logged()), (3, 0));
        service.1.store(0, Ordering::Relaxed);
        services.failed_at.get_or_init(AtomicU64::default).store(0, Ordering::Relaxed);
        services.resume(|_| true);
        assert!(!services.are_stopped());
    }
}
