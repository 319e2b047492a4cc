//! What runs beside an engine in every process that uses it: probe servers, the background refresh.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use crate::process;

/// Something that a fork ends and that the child starts again for itself.
pub trait Companion: Send + Sync {
    /// Starts it in this process, if it does not run here.
    fn resume(&self) -> io::Result<()>;
}

/// The companions of one engine.
#[derive(Default)]
pub struct Companions {
    all: ArcSwap<Vec<Arc<dyn Companion>>>,
    /// The process in which they were last started.
    generation: AtomicU64,
}

impl Companions {
    /// Starts one more here, and in children on first use.
    pub fn add(&self, companion: Arc<dyn Companion>) -> io::Result<()> {
        self.resume();
        companion.resume()?;
        self.all.rcu(|all| all.iter().chain([&companion]).cloned().collect::<Vec<_>>());
        Ok(())
    }

    /// Starts them again if this is the first use after a fork: two loads if it is not. One that cannot start costs
    /// nobody the answer he asked for; it is tried again with the next use.
    pub fn resume(&self) {
        let now = process::generation();
        if self.generation.swap(now, Ordering::Relaxed) == now {
            return;
        }
        for companion in self.all.load().iter() {
            if companion.resume().is_err() {
                self.generation.store(now.wrapping_sub(1), Ordering::Relaxed);
            }
        }
    }
}
