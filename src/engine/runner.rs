//! What surrounds every run of a check, read top to bottom: parents, lease, breaker permit, deadline, panic, settle.
//!
//! ```text
//! start ─► parents have answered? ─► lease (and with it the breaker's permit) ─► Check::run within its deadline ─► settle
//!            │ in error: Blocked       │ another process answered: its outcome     │ no run: lease given back
//!            │ silent: Blocked         │ refused: CircuitOpen                      │ (still running, not started)
//!                                      └ of a fleet: the same with the other hosts, see `fleet`
//! ```
//!
//! Guarantees: the run is a task of its own, so it delays no other; it completes on every way out, also when it panics
//! or is dropped; the check's timeout counts from its own start, not from what it waited for before; only a run is
//! settled, and only once. Of runs that are started together those whose parents have answered acquire their leases
//! together, without waiting for anything; who has to wait for another process does so in the task of its own.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{Instant, timeout_at};

use super::fleet::{self, Turn};
use super::on_drop::OnDrop;
use super::registry::{Answer, CheckRequest, Lead, Registered};
use crate::model::{CheckError, Finding, NotRun, Outcome, Phase, Status};
use crate::policy::breaker::CallResult;
use crate::runtime::wake::wake;
use crate::runtime::{Context, Process, process};
use crate::state::{Acquisition, Run, RunResult, StartedRun, acquire, acquire_all, store_results};

/// A run that is cut off so long after its deadline was not watched: this process was stopped, or got no processor.
const LATE: Duration = Duration::from_millis(250);

/// Runs checks for all callers that wait for them, each in a task of its own. `done` is dropped once all have ended.
pub fn start(leads: Vec<Lead>, process: Arc<Process>, done: Option<Arc<OnDrop>>) {
    let count = leads.len().max(1);
    let runs = leads.into_iter().zip(StartedRun::together(count));
    process.clone().spawn(async move {
        let answered = |(lead, run): (Lead, StartedRun)| async {
            let answered = parents_answered(&lead.check, &process).await;
            (lead, run, answered)
        };
        let mut ready = runs.map(answered).collect::<FuturesUnordered<_>>().ready_chunks(count);
        while let Some(ready) = ready.next().await {
            let mut free = Vec::with_capacity(ready.len());
            for (lead, run, answered) in ready {
                match answered {
                    Ok(()) => free.push((lead, run)),
                    Err(not_run) => complete(lead, run, Err(not_run)),
                }
            }
            let acquired = acquire_all(&free.iter().map(|(lead, _)| &lead.completion).collect::<Vec<_>>());
            for ((lead, run), acquired) in free.into_iter().zip(acquired) {
                let (running, done) = (process.clone(), done.clone());
                process.spawn(async move {
                    let result = attempt(&lead, acquired, &running).await;
                    complete(lead, run, result);
                    drop(done);
                });
            }
        }
    });
}

/// Wakes the callers, once the results of runs that were started together are stored if this is the last of them.
fn complete(lead: Lead, run: StartedRun, result: RunResult) {
    drop(run);
    lead.completion.complete(result);
}

async fn attempt(lead: &Lead, acquired: Option<Acquisition>, process: &Arc<Process>) -> RunResult {
    let Lead { check, active, completion } = lead;
    let acquired = match acquired {
        Some(acquired) => acquired,
        None => acquire(completion).await,
    };
    let lease = match acquired {
        Acquisition::Leader(lease) => lease,
        Acquisition::Answered(outcome) => return Ok(outcome),
        Acquisition::Refused(not_run) => return Err(not_run),
    };
    let turn = match fleet::turn(check, completion, &lease, process).await? {
        Turn::Found(outcome) => return Ok(outcome),
        Turn::Lead(turn) => turn,
    };

    let started = Instant::now();
    let timeout = check.options.timeout;
    let context = Arc::new(Context::new(process.clone(), timeout));
    completion.run().start(context.clone());
    let run = AssertUnwindSafe(active.check.run(&context)).catch_unwind();
    let run = timeout_at(context.deadline(), run);
    // What a run finds after its lease is of no use to the fleet.
    let Some(result) = turn.hold(run).await else { return Err(NotRun::Observer) };
    let result = match result {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => Err(CheckError::Panicked),
        Err(_elapsed) => Err(CheckError::Timeout { after: timeout, phase: context.phase() }),
    };

    if let Some(not_run) = not_run(&result, &context, active.check.needs_python()) {
        return Err(not_run);
    }
    let is_of_the_server = result.as_ref().is_err_and(CheckError::is_of_the_server);
    if let Some(parent) = is_of_the_server.then(|| check.explaining_parent(started, None)).flatten() {
        return Err(NotRun::Blocked { parent: parent.options.name.clone(), answered: false });
    }
    let call_result = call_result(&result, active.check.errors_trip_breaker());
    let outcome = Outcome::of(result, started, timeout).about(check.options.server.as_deref());
    if !Arc::ptr_eq(active, &check.active()) {
        // Replaced meanwhile: callers that wait get this answer, later ones do not.
        return Ok(Arc::new(outcome));
    }
    let limits = check.shared.limits.load_full();
    let was_own = completion.state().is_own();
    let outcome = lease.settle(Run { outcome, call_result, first: false }, limits);
    if !was_own {
        // From now on it is this process that renews it.
        wake();
    }
    if check.fleet().is_some() {
        // Before the exchange with the fleet, which may take long.
        store_results();
    }
    Ok(turn.publish(outcome).await)
}

/// Waits until every parent has answered, at most for this check's timeout; fails if one is in error.
async fn parents_answered(check: &Registered, process: &Arc<Process>) -> Result<(), NotRun> {
    let deadline = Instant::now() + check.options.timeout;
    for parent in &check.parents {
        let blocked = |answered| NotRun::Blocked { parent: parent.options.name.clone(), answered };
        let is_failing = |not_run: &NotRun| !not_run.keeps_last_result() && parent.skipped(None).is_none();
        let request =
            CheckRequest { max_age: None, refresh: false, without_python: false, now: Instant::now(), snapshot: None };
        // A run of the parent that is in flight is newer than what it found before.
        let run = match parent.state().in_flight().map_or_else(|| parent.request(request, process), Answer::Joined) {
            Answer::Fresh(outcome) if outcome.status == Status::Error => return Err(blocked(true)),
            Answer::NotRun(not_run) if is_failing(&not_run) => return Err(blocked(true)),
            Answer::Fresh(_) | Answer::Latest | Answer::NotRun(_) => continue,
            Answer::Joined(run) => run,
            Answer::Leading(lead) => {
                let in_flight = lead.completion.run().clone();
                start(vec![lead], process.clone(), None);
                in_flight
            }
        };
        match timeout_at(deadline, run.wait()).await {
            Ok(Ok(outcome)) if outcome.status == Status::Error => return Err(blocked(true)),
            Ok(Err(not_run)) if is_failing(&not_run) => return Err(blocked(true)),
            Ok(_) => {}
            Err(_elapsed) => return Err(blocked(false)),
        }
    }
    Ok(())
}

/// Why there was no run after all, if so.
pub fn not_run(result: &Result<Finding, CheckError>, context: &Context, needs_python: bool) -> Option<NotRun> {
    match result {
        Err(CheckError::StillRunning { seconds }) => Some(NotRun::StillRunning { seconds: *seconds }),
        Err(CheckError::Withdrawn) => Some(NotRun::Withdrawn),
        Err(CheckError::NotStarted { .. }) => Some(NotRun::Observer),
        Err(error) if error.is_timeout() && context.is_late(LATE) => Some(NotRun::Observer),
        // What it needed was refused here, whatever it made of that.
        Err(_) if process::has_no_descriptor() => Some(NotRun::Observer),
        // A lock is what it found.
        Err(CheckError::Timeout { phase: Phase::Lock, .. }) => None,
        // No thread of Python's started it, or other checks kept it waiting: that says nothing about what it checks.
        Err(CheckError::Timeout { phase, .. }) if *phase == Phase::Start && needs_python || context.is_held_up() => {
            Some(NotRun::Observer)
        }
        _ => None,
    }
}

fn call_result(result: &Result<Finding, CheckError>, errors_trip_breaker: bool) -> CallResult {
    match result {
        Ok(finding) if finding.status == Status::Error && errors_trip_breaker => CallResult::Failure,
        Ok(_) => CallResult::Success,
        Err(error) if error.trips_breaker() => CallResult::Failure,
        Err(_) => CallResult::Ignored,
    }
}
