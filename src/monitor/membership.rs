//! Signs of life that processes give each other through the store they share: a process that is gone gives none.

use std::io;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::{Lag, own_lag};
use crate::engine::Engine;
use crate::model::clock;
use crate::runtime::background::BackgroundService;
use crate::runtime::{PerProcess, Process, process};
use crate::state::Scope;

/// How often a process gives a sign of life.
const EVERY: Duration = Duration::from_secs(1);
/// How long one is remembered. A process that is stopped gives none either: it is no more alive than one that is gone.
const KEPT: Duration = Duration::from_secs(5);
const MAX_PROCESSES: usize = 500;

/// What a process says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sign {
    /// Process numbers are the same in the containers of a pod: this is not.
    id: u64,
    /// Nanoseconds since boot.
    at: u64,
    pub lag: Lag,
    pub ready: bool,
    pub draining: bool,
}

static ID: PerProcess<u64> = PerProcess::new();

fn own_id() -> u64 {
    *ID.get_or_init(|| uuid::Uuid::new_v4().as_u64_pair().0)
}

/// Gives signs of life for one engine, in every process that uses it.
pub struct Membership {
    engine: Weak<Engine>,
    running: PerProcess<Running>,
}

struct Running(AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Membership {
    /// One that does not run yet: see [`BackgroundService::resume`]. It ends with the engine.
    pub fn of(engine: &Arc<Engine>) -> Self {
        Self { engine: Arc::downgrade(engine), running: PerProcess::new() }
    }
}

impl BackgroundService for Membership {
    fn resume(&self) -> io::Result<()> {
        let process = Process::current()?;
        let engine = self.engine.clone();
        self.running.get_or_init(|| Running(process.runtime.spawn(show(engine)).abort_handle()));
        Ok(())
    }
}

async fn show(engine: Weak<Engine>) {
    loop {
        let Some(engine) = engine.upgrade() else { return };
        if let (Scope::Host(path), Some(lag)) = (engine.scope(), own_lag()) {
            let (ready, draining) = (engine.is_ready(), process::draining());
            let sign = Sign { id: own_id(), at: clock::now(), lag, ready: ready && !draining, draining };
            shared::give(path, sign);
        }
        drop(engine);
        sleep(EVERY).await;
    }
}

/// The signs of all processes that use the store at that path.
pub fn signs(path: &Path) -> Vec<Sign> {
    kept(shared::read(path), clock::now())
}

/// The lags of the other processes.
pub fn others(share: &Scope) -> Vec<Lag> {
    match share {
        Scope::Process => Vec::new(),
        Scope::Host(path) => signs(path).into_iter().filter(|sign| sign.id != own_id()).map(|sign| sign.lag).collect(),
    }
}

/// Those that were given lately.
fn kept(mut signs: Vec<Sign>, now: u64) -> Vec<Sign> {
    signs.retain(|sign| Duration::from_nanos(now.saturating_sub(sign.at)) < KEPT);
    signs
}

/// Those that there are once one more is given.
pub(super) fn with(signs: Vec<Sign>, new: Sign) -> Vec<Sign> {
    let mut signs = kept(signs, new.at);
    signs.retain(|sign| sign.id != new.id);
    signs.truncate(MAX_PROCESSES - 1);
    signs.push(new);
    signs
}

#[cfg(any(target_os = "linux", target_os = "macos"))]
mod shared {
    use std::path::Path;

    use super::Sign;
    use crate::monitor::board::Board;

    pub fn give(path: &Path, sign: Sign) {
        Board::at(path).give(sign);
    }

    pub fn read(path: &Path) -> Vec<Sign> {
        Board::at(path).signs()
    }
}

/// No host scope there.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod shared {
    use std::path::Path;

    use super::Sign;

    pub fn give(_: &Path, _: Sign) {}

    pub fn read(_: &Path) -> Vec<Sign> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(id: u64, seconds: u64) -> Sign {
        let lag = Lag { pid: 7, interpreter: Duration::ZERO, event_loop: None };
        Sign { id, at: seconds * 1_000_000_000, lag, ready: true, draining: false }
    }

    #[test]
    fn the_latest_sign_of_each_process_is_kept_for_a_while() {
        let signs = with(vec![sign(1, 10), sign(2, 16), sign(3, 20)], sign(2, 20));
        assert_eq!(signs, [sign(3, 20), sign(2, 20)]);
        assert_eq!(kept(signs.clone(), 24_900_000_000), signs);
        assert_eq!(kept(signs, 25_000_000_000), []);
    }

    #[test]
    fn processes_are_not_kept_without_end() {
        let many = (0..10_000).map(|id| sign(id, 10)).collect();
        let signs = with(many, sign(77_777, 10));
        assert_eq!(signs.len(), MAX_PROCESSES);
        assert_eq!(signs.last(), Some(&sign(77_777, 10)));
    }
}
