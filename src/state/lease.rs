//! The lease: the duty to run a check for all processes of the scope, and to settle its outcome.
//!
//! ```text
//!   acquire ──► Leader: this process runs the check ──settle──► outcome stored, callers everywhere read it
//!      │           └─ dropped: given back without an outcome; the next caller acquires it
//!      ├──► Answered: another process has an acceptable outcome
//!      ├──► Refused: the breaker allows no run
//!      └──  held by another process: wait until it settles, gives back or dies (see [`super::held_elsewhere`]), or its
//!           lease runs out (timeout + 250 ms: it was stopped, or cannot store its outcome)
//! ```
//!
//! Guarantees: at most one process at a time holds a lease that has not run out; a process that was stopped and comes
//! back late changes nothing; where the record cannot be locked for 500 ms the process continues alone, and says so. The
//! leases of several checks are acquired together where nothing has to be waited for, and each by itself otherwise; what
//! they come to is stored together, see [`super::unstored`]. Not guaranteed: that a check is run once where the backend is
//! unusable.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::backend::fleet::{FleetOperation, FleetResult};
use super::backend::{Busy, Owner};
use super::check_state::{CheckState, GIVE_UP_AFTER, transact_all};
use super::completion::Completion;
use super::held_elsewhere;
use super::record::{Acquired, Run};
use super::unstored;
use crate::model::{NotRun, Outcome};
use crate::policy::limits::Limits;

/// How long to leave alone a record that another process has locked.
const PAUSE: Duration = Duration::from_millis(4);

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

impl Acquisition {
    /// `None` where another owner holds the lease.
    fn of(acquired: Acquired, state: &Arc<CheckState>, owner: Owner) -> Option<Self> {
        match acquired {
            Acquired::Leader(_) => Some(Self::Leader(Lease::new(state, owner))),
            Acquired::Answered(outcome) => Some(Self::Answered(outcome)),
            Acquired::Refused(refused) => Some(Self::Refused(NotRun::CircuitOpen { retry_after: refused.retry_after })),
            Acquired::Held => None,
        }
    }
}

/// Acquires the lease, or waits for the outcome of the process that holds it.
pub async fn acquire(completion: &Completion) -> Acquisition {
    let state = completion.state();
    let owner = state.backend.new_owner();
    let (mut wanted, later) = completion.wanted();
    let mut busy_since = None;
    loop {
        match state.try_acquire(wanted, owner) {
            Ok(acquired) => match Acquisition::of(acquired, state, owner) {
                Some(acquisition) => return acquisition,
                None => {
                    busy_since = None;
                    held_elsewhere::ended(state).await;
                }
            },
            Err(Busy) if busy_since.get_or_insert_with(Instant::now).elapsed() < GIVE_UP_AFTER => sleep(PAUSE).await,
            Err(Busy) => {
                state.acquire_alone(wanted, owner);
                return Acquisition::Leader(Lease::new(state, owner));
            }
        }
        // The outcome of the run that is under way will do, whenever it started.
        wanted = later;
    }
}

/// Acquires the leases of several checks, as far as nothing has to be waited for; the others, `None`, are left to
/// [`acquire`]. Results that are to be stored are stored with them.
pub fn acquire_all(completions: &[&Completion]) -> Vec<Option<Acquisition>> {
    let requests: Vec<_> =
        completions.iter().map(|completion| (completion, completion.state().backend.new_owner())).collect();
    let mut acquired: Vec<Option<Acquisition>> = completions.iter().map(|_| None).collect();
    let results = unstored::take();
    let is_requested =
        |state: &Arc<CheckState>| completions.iter().any(|completion| Arc::ptr_eq(completion.state(), state));
    let others = results.iter().filter(|state| !is_requested(state));
    let states: Vec<&CheckState> =
        completions.iter().map(|completion| completion.state()).chain(others).map(|state| &**state).collect();
    let now = Instant::now();
    transact_all(&states, &mut |number, record| {
        let Some(((completion, owner), acquired)) = requests.get(number).zip(acquired.get_mut(number)) else {
            return false;
        };
        let state = completion.state();
        let (result, changed) = state.acquire_in(record, completion.wanted().0, *owner, now);
        *acquired = Acquisition::of(result, state, *owner);
        changed
    });
    unstored::store_each(results);
    acquired
}

impl Lease {
    fn new(state: &Arc<CheckState>, owner: Owner) -> Self {
        Self { state: state.clone(), owner, settled: false }
    }

    /// Takes over what the fleet knows; the run that is about to start needs the permit of the breaker as it is now.
    pub fn adopt(&self, result: Option<&FleetResult>, operation: Option<FleetOperation>) -> Result<(), NotRun> {
        self.state.adopt_as(self.owner, result, operation)
    }

    /// What the run came to, as the policies judge it: to be stored with other results.
    pub fn settle(mut self, run: Run, limits: Arc<Limits>) -> Arc<Outcome> {
        self.settled = true;
        let outcome = self.state.settle(self.owner, run, limits);
        if self.state.backend.as_host().is_some() {
            unstored::add(self.state.clone());
        }
        outcome
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.settled {
            self.state.give_back(self.owner);
        }
    }
}
