//! The requests of this process that wait for runs of other processes: one poller looks for all of them.
//!
//! One read of the store shows whether any of these leases has ended: after 1 ms at first, and every 8 ms at the least.
//! Whether the processes that hold them still live is looked at every 50 ms.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep};

use super::backend::Owner;
use super::check_state::CheckState;
use crate::runtime::{PerProcess, lock, tasks};

/// How often to look: at first, and at the least.
const POLL: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(8));
const ALIVE_EVERY: Duration = Duration::from_millis(50);

static WAITING: PerProcess<Waiting> = PerProcess::new();

#[derive(Default)]
struct Waiting {
    waits: Mutex<Waits>,
    /// There is one more.
    added: Notify,
}

#[derive(Default)]
struct Waits {
    all: Vec<Wait>,
    has_poller: bool,
}

struct Wait {
    state: Arc<CheckState>,
    /// Dropped once the lease has ended.
    ended: oneshot::Sender<()>,
}

/// Waits until no other process that lives holds the lease of the check, as far as can be seen from its record.
pub async fn ended(state: &Arc<CheckState>) {
    let (ended, end) = oneshot::channel();
    let waiting = WAITING.get_or_init(Waiting::default);
    let needs_poller = {
        let mut waits = lock(&waiting.waits);
        waits.all.push(Wait { state: state.clone(), ended });
        !std::mem::replace(&mut waits.has_poller, true)
    };
    if needs_poller {
        tasks::spawn(Poller(waiting).poll());
    } else {
        waiting.added.notify_one();
    }
    // Dropped without a word.
    let _ = end.await;
}

/// The one that looks for all. Once it is dropped, also with its runtime, those that wait look for themselves, and start
/// another one.
struct Poller(Arc<Waiting>);

impl Drop for Poller {
    fn drop(&mut self) {
        *lock(&self.0.waits) = Waits::default();
    }
}

impl Poller {
    async fn poll(self) {
        let mut pause = POLL.0;
        let mut alive_at = Instant::now();
        loop {
            tokio::select! {
                () = sleep(pause) => pause = (pause * 2).min(POLL.1),
                () = self.0.added.notified() => {
                    sleep(POLL.0).await;
                    pause = POLL.0 * 2;
                }
            }
            let check_alive = alive_at.elapsed() >= ALIVE_EVERY;
            if check_alive {
                alive_at = Instant::now();
            }
            if look(&mut lock(&self.0.waits).all, check_alive) {
                return;
            }
        }
    }
}

/// Ends the waits for leases that have ended; true if those were all.
fn look(waits: &mut Vec<Wait>, check_alive: bool) -> bool {
    waits.retain(|wait| !wait.ended.is_closed());
    let snapshot = waits.first().and_then(|wait| wait.state.snapshot());
    // By process, the earliest lease that it can still store the outcome of: that of later ones, too.
    let mut living: HashMap<u64, u64> = HashMap::new();
    waits.retain(|Wait { state, .. }| {
        state.is_held(snapshot.as_ref(), |owner: &Owner| {
            let is_known = living.get(&owner.process).is_some_and(|lease| owner.lease >= *lease);
            let is_alive = !check_alive || is_known || state.backend.is_alive(owner);
            if is_alive && check_alive {
                living.entry(owner.process).and_modify(|lease| *lease = owner.lease.min(*lease)).or_insert(owner.lease);
            }
            is_alive
        })
    });
    waits.is_empty()
}
