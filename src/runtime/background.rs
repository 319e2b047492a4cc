//! What runs beside an engine in every process that uses it: probe servers, the background refresh.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::runtime;

/// Something that a fork ends and that the child starts again for itself.
pub trait BackgroundService: Send + Sync {
    /// Starts it in this process, if it does not run here.
    fn resume(&self) -> io::Result<()>;
}

/// The services of one engine.
#[derive(Default)]
pub struct BackgroundServices {
    all: ArcSwap<Vec<Arc<dyn BackgroundService>>>,
    /// The process in which they were last started.
    generation: AtomicU64,
}

impl BackgroundServices {
    /// Starts one more here, and in children on first use.
    pub fn add(&self, service: Arc<dyn BackgroundService>) -> io::Result<()> {
        self.resume();
        service.resume()?;
        self.all.rcu(|all| all.iter().chain([&service]).cloned().collect::<Vec<_>>());
        Ok(())
    }

    /// Starts them again if this is the first use after a fork: two loads if it is not. One that cannot start costs
    /// nobody the answer he asked for; it is tried again with the next use.
    pub fn resume(&self) {
        let now = runtime::generation();
        if self.generation.swap(now, Ordering::Relaxed) == now {
            return;
        }
        for service in self.all.load().iter() {
            if service.resume().is_err() {
                self.generation.store(now.wrapping_sub(1), Ordering::Relaxed);
            }
        }
    }
}
