//! The results of this process that are to be stored: gathered for some milliseconds, so that they share one lock.
//!
//! Guarantees: the results of runs that were started together are stored before the last of them completes, unless another
//! process holds their records; a result waits for no other one for longer than [`GATHER`]. No caller in this process waits
//! for any of it. See [`super::check_state`] for what is lost with a process that is killed meanwhile.

use std::iter::repeat_n;
use std::mem::{replace, take as take_all};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use super::check_state::{CheckState, LOCK_TIMEOUT, transact_all};
use crate::runtime::{PerProcess, lock, tasks};

/// For how long results are gathered.
const GATHER: Duration = Duration::from_millis(10);

static UNSTORED: PerProcess<Mutex<Unstored>> = PerProcess::new();

#[derive(Default)]
struct Unstored {
    states: Vec<Arc<CheckState>>,
    /// When the first of them was added.
    since: Option<Instant>,
    /// A task stores them soon.
    is_scheduled: bool,
}

fn with_unstored<T>(apply: impl FnOnce(&mut Unstored) -> T) -> T {
    apply(&mut lock(&UNSTORED.get_or_init(Mutex::default)))
}

/// Notes that the result of a check is to be stored.
pub fn add(state: Arc<CheckState>) {
    with_unstored(|unstored| {
        unstored.since.get_or_insert_with(Instant::now);
        unstored.states.push(state);
    });
}

/// Removes and returns all checks whose results are to be stored.
pub fn take() -> Vec<Arc<CheckState>> {
    with_unstored(|unstored| {
        unstored.since = None;
        take_all(&mut unstored.states)
    })
}

/// Stores all results of this process, but those whose records another process holds: they are to be stored later.
pub fn store() {
    let states = take();
    if states.len() > 1 {
        transact_all(&states.iter().map(|state| &**state).collect::<Vec<_>>(), &mut |_, _| false);
    }
    store_each(states);
}

/// The same of these alone, one by one: at once for those that were stored together.
pub fn store_each(states: Vec<Arc<CheckState>>) {
    // One process may hold all of them.
    let mut lock_timeout = LOCK_TIMEOUT;
    for state in states {
        if !state.store_result(lock_timeout) {
            lock_timeout = Duration::ZERO;
            add(state);
        }
    }
}

/// Has a task store all results, if there are any, and none does so already.
fn store_soon() {
    let Ok(runtime) = Handle::try_current() else { return };
    let is_due = with_unstored(|unstored| !unstored.states.is_empty() && !replace(&mut unstored.is_scheduled, true));
    if is_due {
        tasks::spawn_on(&runtime, async {
            let scheduled = Scheduled;
            // They may be stored with others before, and further ones be added.
            while let Some(since) = with_unstored(|unstored| unstored.since) {
                sleep_until(since + GATHER).await;
                if with_unstored(|unstored| unstored.since == Some(since)) {
                    store();
                    break;
                }
            }
            drop(scheduled);
            // Those that another process held.
            store_soon();
        });
    }
}

/// Until it is dropped, also with its runtime, a task is about to store all results.
struct Scheduled;

impl Drop for Scheduled {
    fn drop(&mut self) {
        with_unstored(|unstored| unstored.is_scheduled = false);
    }
}

/// One of several runs that were started together; dropped before it completes.
pub struct StartedRun(Option<Arc<()>>);

impl StartedRun {
    /// So many that are started together.
    pub fn together(count: usize) -> Vec<Self> {
        repeat_n(Arc::new(()), count).map(|run| Self(Some(run))).collect()
    }
}

impl Drop for StartedRun {
    fn drop(&mut self) {
        let is_last = self.0.take().and_then(Arc::into_inner).is_some();
        if is_last {
            store();
        }
        store_soon();
    }
}
