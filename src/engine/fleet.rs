//! A run in a fleet: whether this host runs the check, and what it hands to the others.
//!
//! ```text
//!   lease of the host ─► Fleet::is_usable? ─no──► lost: may this host run it for itself? ─no─► Limited
//!                            │ yes                                                   └─yes─► run, share nothing
//!                            └─ acquire ──► found: its outcome        (an exchange that fails: lost)
//!                                      ├──► leader: run, renewing the lease, publish
//!                                      └──► held: wait for the outcome, at most for the check's timeout
//! ```

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::hand_over::hand_over_operation;
use super::registry::Registered;
use crate::model::{NotRun, Outcome};
use crate::runtime::Process;
use crate::state::backend::fleet::{FleetKey, FleetRequest, FleetTurn, LEASE};
use crate::state::{CheckState, Completion, Fleet, Lease, Wanted};

/// How often to ask for the outcome of another host: at first, and at the least.
const POLL: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));

/// Whether there is anything to run.
pub enum Turn {
    Found(Arc<Outcome>),
    Lead(FleetLead),
}

/// A run that this host does; with the lease of the fleet, if it does it for all.
pub struct FleetLead(Option<Box<FleetLease>>);

struct FleetLease {
    fleet: Arc<Fleet>,
    process: Arc<Process>,
    state: Arc<CheckState>,
    key: FleetKey,
    token: String,
    fence: u64,
    acquired: Instant,
    is_over: bool,
}

/// Decides whether this host runs the check.
pub async fn turn(
    check: &Registered,
    completion: &Completion,
    lease: &Lease,
    process: &Arc<Process>,
) -> Result<Turn, NotRun> {
    match check.fleet() {
        // Apart: all runs of a sweep would be twice as large.
        Some(fleet) => Box::pin(turn_in(fleet, check, completion, lease, process)).await,
        None => Ok(Turn::Lead(FleetLead(None))),
    }
}

async fn turn_in(
    fleet: &Arc<Fleet>,
    check: &Registered,
    completion: &Completion,
    lease: &Lease,
    process: &Arc<Process>,
) -> Result<Turn, NotRun> {
    let state = completion.state();
    let (key, token) = (fleet.key(&check.options), format!("{}:{}", fleet.instance(), uuid::Uuid::new_v4()));
    let deadline = Instant::now() + check.options.timeout;
    let mut after = None;
    let mut pause = POLL.0;
    while fleet.is_usable() {
        let acquired = Instant::now();
        let reply = match hand_over_operation(check, fleet, process).await {
            Ok(()) => {
                let request = FleetRequest { known: state.fleet_mark().fence, max_age: max_age(completion), after };
                fleet.store.acquire(process, &key, &token, request).await
            }
            Err(error) => Err(error),
        };
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                fleet.lost(&error);
                break;
            }
        };
        fleet.reached();
        let lead = match reply.turn {
            FleetTurn::Leader(fence) => {
                let (fleet, process, state) = (fleet.clone(), process.clone(), state.clone());
                let (key, token) = (key.clone(), token.clone());
                Some(FleetLease { fleet, process, state, key, token, fence, acquired, is_over: false })
            }
            FleetTurn::Found | FleetTurn::Held => None,
        };
        // The fleet's lease is given back when the breaker refuses.
        lease.adopt(reply.result.as_ref(), reply.operation)?;
        if lead.is_some() {
            return Ok(Turn::Lead(FleetLead(lead.map(Box::new))));
        }
        if reply.turn == FleetTurn::Found {
            return state.known_outcome().map(Turn::Found).ok_or(NotRun::Observer);
        }
        // The outcome of the run that is under way will do, whenever it started.
        after.get_or_insert_with(|| reply.result.map_or(0, |result| result.fence));
        if Instant::now() + pause > deadline {
            return Err(NotRun::Observer);
        }
        sleep(pause).await;
        pause = (pause * 2).min(POLL.1);
    }
    match fleet.may_run_alone(&check.options) {
        // Readiness rests on it.
        Err(retry_after) if !check.options.critical => Err(NotRun::Limited { retry_after }),
        _ => Ok(Turn::Lead(FleetLead(None))),
    }
}

/// How old an outcome may be that another host has found.
fn max_age(completion: &Completion) -> Duration {
    match completion.wanted().0 {
        Wanted::NotOlderThan(age) => age,
        Wanted::SettledAfter(_) => Duration::ZERO,
    }
}

impl FleetLead {
    /// Runs it while the lease is held; `None` once it cannot be renewed.
    pub async fn hold<T>(&self, run: impl Future<Output = T>) -> Option<T> {
        let Some(lease) = &self.0 else { return Some(run.await) };
        tokio::select! {
            biased;
            () = Box::pin(lease.keep()) => None,
            result = run => Some(result),
        }
    }

    /// Hands what is now known to the other hosts; returns the outcome that stands.
    pub async fn publish(mut self, outcome: Arc<Outcome>) -> Arc<Outcome> {
        match self.0.take() {
            Some(lease) => Box::pin((*lease).publish(outcome)).await,
            None => outcome,
        }
    }
}

impl FleetLease {
    async fn publish(mut self, outcome: Arc<Outcome>) -> Arc<Outcome> {
        let Some((value, well, age)) = self.state.for_fleet(&self.fleet.name) else { return outcome };
        self.is_over = true;
        let holder = (self.token.as_str(), self.fence);
        match self.fleet.store.store(&self.process, &self.key, holder, (&value, well, age)).await {
            Ok(None) => self.state.published(self.fence),
            Ok(Some(other)) => {
                self.state.adopt(Some(&other), None);
                return self.state.known_outcome().unwrap_or(outcome);
            }
            Err(error) => self.fleet.lost(&error),
        }
        outcome
    }

    /// Renews the lease at a third of it; returns once it could not be renewed for two thirds, or is another's.
    async fn keep(&self) {
        let mut renewed = self.acquired;
        loop {
            sleep_until(renewed + LEASE / 3).await;
            let give_up = renewed + LEASE / 3 * 2;
            let now = Instant::now();
            if now >= give_up {
                return;
            }
            match timeout_at(give_up, self.fleet.store.renew(&self.process, &self.key, &self.token)).await {
                Ok(Ok(true)) => renewed = now,
                Ok(Ok(false)) => return,
                Ok(Err(_)) => sleep(POLL.0).await,
                Err(_elapsed) => return,
            }
        }
    }
}

impl Drop for FleetLease {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let (fleet, process) = (self.fleet.clone(), self.process.clone());
        let (key, token) = (self.key.clone(), self.token.clone());
        self.process.spawn(async move {
            // It runs out by itself.
            let _ = fleet.store.release(&process, &key, &token).await;
        });
    }
}
