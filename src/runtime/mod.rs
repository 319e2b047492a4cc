//! What checks run on: the state of one process that a fork kills, blocking work, the queue to Python's threads.

pub mod background;
pub mod blocking;
pub mod callables;
pub mod close_on_fork;
mod context;
pub mod diagnostics;
pub mod hidden;
mod per_process;
pub mod process;
pub mod queue;
mod short_work;
pub mod tasks;
pub mod wake;

pub use context::Context;
pub use per_process::{PerProcess, generation, loaded_at, lock, try_lock, uptime, watch_forks};
pub use process::Process;

/// A number from 0 to 1.
pub fn random() -> f64 {
    uuid::Uuid::new_v4().as_u64_pair().0 as f64 / u64::MAX as f64
}
