//! The background refresh: renews results shortly before they expire, so that no caller waits for a dependency.
//!
//! Of the processes that share, the one that has run a check last runs it again, at the last tick before it is time. The
//! others look some seconds later whether it has, so that they find most results renewed, and one look does for all of
//! them: one that has ended, or is busy, is replaced then, or by the first caller that does not accept an older result.
//! A check that fails is run by whichever process looks first once it is due, so by one after the other.
//! Between these moments a process sleeps, unless something changes in it: then it looks at its next tick.

pub mod followed;
mod plans;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::claims::ClaimNotice;
use super::registry::Registered;
use super::runner;
use crate::engine::Engine;
use crate::runtime::background::{BackgroundService, BackgroundTask, TICK, next_tick};
use crate::runtime::wake::{wake, wake_up};
use crate::runtime::{PerProcess, Process};
use crate::state::TableSnapshot;
use followed::FollowedResult;
use plans::{NextLook, Plans};

const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
/// Results that are good for so long are renewed at ticks, several at once; others at their moment.
const AT_TICKS: Duration = TICK.saturating_mul(4);
/// How long to sleep where nothing is due, unless woken.
const LONGEST_SLEEP: Duration = Duration::from_secs(3_600);
/// How long Python may take to fetch the events, before it is notified again.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);

/// The background refresh of one engine, in every process that uses it.
pub struct Refresh {
    engine: Weak<Engine>,
    /// In milliseconds: how old the result of a critical check may become, if less than its own time to live.
    critical_max_age: Arc<AtomicU64>,
    /// The callable that hands events to the log and to subscribers.
    publisher: u64,
    running: PerProcess<BackgroundTask>,
}

impl Refresh {
    /// One that does not run yet: see [`BackgroundService::resume`]. It ends with the engine.
    pub fn of(engine: &Arc<Engine>, publisher: u64) -> Self {
        let critical_max_age = Arc::new(AtomicU64::new(u64::MAX));
        Self { engine: Arc::downgrade(engine), critical_max_age, publisher, running: PerProcess::new() }
    }

    /// Renews critical checks before their results are that old; the shortest of all calls counts.
    pub fn limit_critical(&self, max_age: Duration) {
        let millis = u64::try_from(max_age.as_millis()).unwrap_or(u64::MAX);
        self.critical_max_age.fetch_min(millis, Ordering::Relaxed);
        wake();
    }
}

impl BackgroundService for Refresh {
    fn resume(&self) -> io::Result<()> {
        let process = Process::current()?;
        let start = || {
            let renewing = renew(self.engine.clone(), self.critical_max_age.clone(), self.publisher, process.clone());
            BackgroundTask::start(&process, renewing)
        };
        self.running.get_or_init(start);
        Ok(())
    }
}

/// The one task that renews all checks of an engine.
async fn renew(engine: Weak<Engine>, critical_max_age: Arc<AtomicU64>, publisher: u64, process: Arc<Process>) {
    let mut plans = Plans::default();
    let (mut look_at, mut notice) = (Instant::now(), None);
    let wake_up = wake_up();
    loop {
        // Made before anything is read: what changes from then on wakes it.
        let woken = wake_up.notified();
        let Some(engine) = engine.upgrade() else { return };
        if look_at <= Instant::now() {
            let critical_max_age = Duration::from_millis(critical_max_age.load(Ordering::Relaxed));
            let snapshot = engine.snapshot();
            look_at = renew_due(&engine, &mut plans, critical_max_age, &process, snapshot.as_ref());
            if notify(&engine, publisher, &process, snapshot.as_ref()) {
                look_at = look_at.min(next_tick());
            }
        }
        let due = follow_claims(&engine, &mut notice, look_at, &process);
        drop(engine);
        let due = due.max(Instant::now() + SHORTEST_PAUSE);
        if timeout_at(due, woken).await.is_ok() {
            // Several changes are looked at together.
            look_at = due.min(next_tick());
            sleep_until(look_at).await;
        }
    }
}

/// Starts the runs for which it is time, and returns when to look again.
fn renew_due(
    engine: &Engine,
    plans: &mut Plans,
    critical_max_age: Duration,
    process: &Arc<Process>,
    snapshot: Option<&TableSnapshot>,
) -> Instant {
    let tick = next_tick();
    let mut due = tick + LONGEST_SLEEP;
    let (mut leads, mut followed, mut overdue) = (Vec::new(), Vec::new(), due);
    let with_heartbeats = engine.followed.is_left_to_heartbeats();
    for check in engine.checks().iter() {
        let plan = plans.of(check);
        let is_critical = engine.is_critical_anywhere(&check.options);
        let period = period(check, is_critical, critical_max_age, snapshot);
        let tick = (period >= AT_TICKS).then_some(tick);
        match plan.follow(check, period, tick, process, snapshot, &mut leads) {
            NextLook::Followed(at) if with_heartbeats && !engine.is_result_watched(&check.name) => {
                overdue = overdue.min(at);
                followed.push(FollowedResult { check: check.clone(), period });
            }
            NextLook::Followed(at) | NextLook::At(at) => due = due.min(at),
        }
    }
    engine.followed.leave(followed, overdue);
    if !leads.is_empty() {
        runner::start(leads, process.clone(), None);
    }
    due
}

/// Notifies Python if claims were missed, and returns when to wake up: at `look_at`, unless they may be missed for long by
/// then, and no heartbeat sees it.
fn follow_claims(
    engine: &Engine,
    known: &mut Option<ClaimNotice>,
    look_at: Instant,
    process: &Arc<Process>,
) -> Instant {
    *known = engine.next_notice(known.take());
    let Some(notice) = known else { return look_at };
    let now = Instant::now();
    if notice.at <= now {
        notice.at = now + TICK;
        process.spawn(publish(notice.watched.callable, process.clone()).map(drop));
    }
    let is_soon = look_at.saturating_duration_since(notice.at) <= notice.watched.gap;
    if is_soon || engine.followed.is_left_to_heartbeats() { look_at } else { notice.at }
}

/// Notifies Python of events and of a result that it follows; whether there were any, which may be there still.
fn notify(engine: &Engine, publisher: u64, process: &Arc<Process>, snapshot: Option<&TableSnapshot>) -> bool {
    let has_events = engine.has_events();
    if has_events {
        process.spawn(publish(publisher, process.clone()).map(drop));
    }
    let new = engine.new_result(snapshot);
    let has_new = new.is_some();
    if let Some((watched, outcome)) = new {
        let calling = publish(watched.callable, process.clone());
        process.spawn(async move {
            if calling.await {
                watched.notified(outcome);
            }
        });
    }
    has_events || has_new
}

/// For how long a result of the check is to be good.
fn period(
    check: &Registered,
    is_critical: bool,
    critical_max_age: Duration,
    snapshot: Option<&TableSnapshot>,
) -> Duration {
    let ttl = check.options.ttl;
    match is_critical {
        true => ttl.min(critical_max_age.max(check.own_max_age(snapshot))),
        false => ttl,
    }
}

/// Has Python fetch the events, or do what no process does, unless it is still busy with that; whether it has.
async fn publish(callable: u64, process: Arc<Process>) -> bool {
    let called = timeout(PUBLISH_TIMEOUT, process.callables.call(callable, PUBLISH_TIMEOUT)).await;
    called.is_ok_and(|reply| reply.is_ok())
}
