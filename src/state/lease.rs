//! The lease: the duty to run a check for all processes of the scope, and to settle its outcome.
//!
//! ```text
//!   acquire ──► Leader: this process runs the check ──settle──► outcome stored, callers everywhere read it
//!      │           └─ dropped: given back without an outcome; the next caller acquires it
//!      ├──► Answered: another process has an acceptable outcome
//!      ├──► Refused: the breaker allows no run
//!      └──  held by another process: poll its record (1 ms, doubling to 8 ms) until it settles, gives back, dies (looked
//!           at every 50 ms), or its lease runs out (timeout + 250 ms: it was stopped, or cannot store its outcome)
//! ```
//!
//! Guarantees: at most one process at a time holds a lease that has not run out; a process that was stopped and comes
//! back late changes nothing; where the record cannot be locked for 500 ms the process continues alone, and says so. Not
//! guaranteed: that a check is run once where the backend is unusable.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::backend::fleet::{FleetOperation, FleetResult};
use super::backend::{Busy, Owner};
use super::check_state::{CheckState, GIVE_UP_AFTER};
use super::completion::Completion;
use super::record::{Acquired, Run};
use crate::model::{NotRun, Outcome};
use crate::policy::limits::Limits;

/// How often to look whether another process has an outcome: at first, and at the least.
const POLL: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(8));
/// How often to look whether the process that runs the check still lives: two system calls, where the record takes one.
const ALIVE_EVERY: Duration = Duration::from_millis(50);

/// The duty to run a check and to settle its outcome; given back when dropped.
pub struct Lease {
    state: Arc<CheckState>,
    owner: Owner,
    settled: bool,
}

/// How a request for a lease ends.
pub enum Acquisition {
    Leader(Lease),
    Answered(Arc<Outcome>),
    Refused(NotRun),
}

/// Acquires the lease, or waits for the outcome of the process that holds it.
pub async fn acquire(completion: &Completion) -> Acquisition {
    let state = completion.state();
    let owner = state.backend.new_owner();
    let leader = || Acquisition::Leader(Lease { state: state.clone(), owner, settled: false });
    let (mut wanted, later) = completion.wanted();
    let mut pause = POLL.0;
    let mut busy_since = None;
    let mut alive_at: Option<Instant> = None;
    loop {
        let check_alive = alive_at.is_none_or(|at| at.elapsed() >= ALIVE_EVERY);
        if check_alive {
            alive_at = Some(Instant::now());
        }
        match state.try_acquire(wanted, owner, check_alive) {
            Ok(Acquired::Leader(_)) => return leader(),
            Ok(Acquired::Answered(outcome)) => return Acquisition::Answered(outcome),
            Ok(Acquired::Refused(refused)) => {
                return Acquisition::Refused(NotRun::CircuitOpen { retry_after: refused.retry_after });
            }
            Ok(Acquired::Held) => busy_since = None,
            Err(Busy) if busy_since.get_or_insert_with(Instant::now).elapsed() < GIVE_UP_AFTER => {}
            Err(Busy) => {
                state.acquire_alone(wanted, owner);
                return leader();
            }
        }
        // The outcome of the run that is under way will do, whenever it started.
        wanted = later;
        sleep(pause).await;
        pause = (pause * 2).min(POLL.1);
    }
}

impl Lease {
    /// Takes over what the fleet knows; the run that is about to start needs the permit of the breaker as it is now.
    pub fn adopt(&self, result: Option<&FleetResult>, operation: Option<FleetOperation>) -> Result<(), NotRun> {
        self.state.adopt_as(self.owner, result, operation)
    }

    /// Stores what the run came to, as the policies judge it.
    pub async fn settle(mut self, run: Run, limits: &Limits) -> Arc<Outcome> {
        let started = Instant::now();
        loop {
            if let Some(outcome) = self.state.try_settle(self.owner, &run, limits, started.elapsed() > GIVE_UP_AFTER) {
                self.settled = true;
                return outcome;
            }
            sleep(POLL.0).await;
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.settled {
            self.state.give_back(self.owner);
        }
    }
}
