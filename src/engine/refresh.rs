//! The background refresh: renews results shortly before they expire, so that no caller waits for a dependency.
//!
//! Of the processes that share, the one that has run a check last runs it again, at the last tick before it is time. The
//! others look at the first tick from then on whether it has: one that has ended, or is busy, is replaced within a tick.
//! Between these moments a process sleeps, unless something changes in it: then it looks at its next tick.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::registry::{Answer, CheckRequest, Lead, Registered};
use super::runner;
use crate::engine::Engine;
use crate::model::NotRun;
use crate::runtime::background::{BackgroundService, BackgroundTask, TICK, next_tick};
use crate::runtime::wake::{wake, wake_up};
use crate::runtime::{PerProcess, Process, random};
use crate::state::TableSnapshot;

/// How long before its end a result is renewed, beside the time that the run itself takes.
const LEAD: Duration = Duration::from_millis(500);
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
/// Results that are good for so long are renewed at ticks, several at once; others at their moment.
const AT_TICKS: Duration = TICK.saturating_mul(4);
/// How long to sleep where nothing is due, unless woken.
const LONGEST_SLEEP: Duration = Duration::from_secs(3_600);
/// How long Python may take to fetch the events, before it is notified again.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);
/// By how much of their time results are renewed early at most, so that not all are renewed at once. Those of one server
/// are: they share its connections, and the writes to the store.
const JITTER: f64 = 0.1;

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
    let mut noticed = Instant::now();
    let wake_up = wake_up();
    loop {
        // Made before anything is read: what changes from then on wakes it.
        let woken = wake_up.notified();
        let Some(engine) = engine.upgrade() else { return };
        let critical_max_age = Duration::from_millis(critical_max_age.load(Ordering::Relaxed));
        let snapshot = engine.snapshot();
        let mut due = renew_due(&engine, &mut plans, critical_max_age, &process, snapshot.as_ref());
        if notify(&engine, publisher, &process, snapshot.as_ref()) {
            due = due.min(next_tick());
        }
        if let Some((callable, at)) = engine.next_notice() {
            let (mut at, now) = (at.max(noticed + TICK), Instant::now());
            if at <= now {
                noticed = now;
                at = now + TICK;
                process.runtime.spawn(publish(callable, process.clone()));
            }
            due = due.min(at);
        }
        drop(engine);
        let due = due.max(Instant::now() + SHORTEST_PAUSE);
        if timeout_at(due, woken).await.is_ok() {
            // Several changes are looked at together.
            sleep_until(due.min(next_tick())).await;
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
    let mut leads = Vec::new();
    for check in engine.checks().iter() {
        let plan = plans.of(check);
        let is_critical = engine.is_critical_anywhere(&check.options);
        let period = period(check, is_critical, critical_max_age);
        let tick = (period >= AT_TICKS).then_some(tick);
        due = due.min(plan.follow(check, period, tick, process, snapshot, &mut leads));
    }
    if !leads.is_empty() {
        runner::start(leads, process.clone(), ());
    }
    due
}

/// Notifies Python of events and of a result that it follows; whether there were any, which may be there still.
fn notify(engine: &Engine, publisher: u64, process: &Arc<Process>, snapshot: Option<&TableSnapshot>) -> bool {
    let has_events = engine.has_events();
    if has_events {
        process.runtime.spawn(publish(publisher, process.clone()));
    }
    let new = engine.new_result(snapshot);
    let has_new = new.is_some();
    if let Some((watched, outcome)) = new {
        let calling = publish(watched.callable, process.clone());
        process.runtime.spawn(async move {
            if calling.await {
                watched.notified(outcome);
            }
        });
    }
    has_events || has_new
}

/// For how long a result of the check is to be good.
fn period(check: &Registered, is_critical: bool, critical_max_age: Duration) -> Duration {
    let ttl = check.options.ttl;
    match is_critical {
        true => ttl.min(critical_max_age.max(check.options.ready_max_age.unwrap_or_default())),
        false => ttl,
    }
}

/// Has Python fetch the events, or do what no process does, unless it is still busy with that; whether it has.
async fn publish(callable: u64, process: Arc<Process>) -> bool {
    let called = timeout(PUBLISH_TIMEOUT, process.callables.call(callable, PUBLISH_TIMEOUT)).await;
    called.is_ok_and(|reply| reply.is_ok())
}

/// When the checks of an engine are to be renewed.
#[derive(Default)]
struct Plans {
    by_check: HashMap<Arc<str>, Plan>,
    /// The part of their time after which results are renewed, by the check that all of them depend on.
    parts: HashMap<Arc<str>, f64>,
}

impl Plans {
    fn of(&mut self, check: &Registered) -> &mut Plan {
        let Self { by_check, parts } = self;
        by_check.entry(check.name.clone()).or_insert_with(|| {
            let part = parts.entry(root_of(check).name.clone()).or_insert_with(|| 1.0 - JITTER * random());
            Plan { part: *part, not_before: Instant::now() }
        })
    }
}

/// The check that a check depends on, and that depends on none itself.
fn root_of(check: &Registered) -> &Registered {
    check.parents.first().map_or(check, |parent| root_of(parent))
}

/// When one check is to be renewed.
struct Plan {
    /// The part of its time after which a result is renewed.
    part: f64,
    not_before: Instant,
}

impl Plan {
    /// Adds a run to `leads` if it is time, and returns when to look again. `tick`: the next one, of a check that is
    /// renewed at ticks.
    fn follow(
        &mut self,
        check: &Arc<Registered>,
        period: Duration,
        tick: Option<Instant>,
        process: &Arc<Process>,
        snapshot: Option<&TableSnapshot>,
        leads: &mut Vec<Lead>,
    ) -> Instant {
        let now = Instant::now();
        let state = check.state();
        let (latest, _) = state.latest(snapshot);
        // Where nothing is known here another host of a fleet may know it.
        let duration = latest.as_ref().map_or(Duration::ZERO, |latest| latest.duration);
        let is_own = state.is_own();
        let part = if is_own || tick.is_none() { self.part } else { 1.0 };
        let age = renewal_age(period, duration, part);
        let valid = latest.as_ref().filter(|latest| !check.replaced_after(latest));
        let due = valid.map_or(now, |latest| latest.finished + age).max(self.not_before);
        if let Some(at) = look_at(due, now, tick, is_own) {
            return at;
        }
        let early = due.saturating_duration_since(now);
        let request = CheckRequest {
            max_age: Some(age.saturating_sub(early)),
            refresh: false,
            without_python: false,
            now,
            snapshot,
        };
        let again = match check.request(request, process) {
            Answer::Leading(lead) => {
                leads.push(lead);
                TICK
            }
            Answer::NotRun(NotRun::CircuitOpen { retry_after }) => retry_after.unwrap_or(TICK),
            Answer::NotRun(_) | Answer::Fresh(_) | Answer::Joined(_) | Answer::Latest => TICK,
        };
        self.not_before = now + again.min(period / 4);
        self.not_before
    }
}

/// The age at which a result is renewed: so early that a run as long as the last one ends before the result expires,
/// though not before half of its time, and a little earlier by its part.
fn renewal_age(period: Duration, duration: Duration, part: f64) -> Duration {
    let lead = duration.saturating_mul(2).saturating_add(LEAD).min(period / 2);
    (period - lead).mul_f64(part)
}

/// When to look again at a result that is to be renewed at `due`; `None`: now. At ticks, which a result of this process
/// must not miss, since the next look would be too late; that of another one is looked at once it is due.
fn look_at(due: Instant, now: Instant, tick: Option<Instant>, is_own: bool) -> Option<Instant> {
    match tick {
        Some(tick) if is_own => (due > tick).then(|| tick + whole_ticks(due.saturating_duration_since(tick))),
        Some(tick) => (due > now).then(|| {
            let missing = due.saturating_duration_since(tick);
            let before = whole_ticks(missing);
            tick + if before < missing { before + TICK } else { before }
        }),
        None => (due > now).then_some(due),
    }
}

/// As many whole ticks as there are in that time.
fn whole_ticks(time: Duration) -> Duration {
    TICK.saturating_mul(u32::try_from(time.as_nanos() / TICK.as_nanos()).unwrap_or(u32::MAX))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::checks::callable::CallableCheck;
    use crate::model::CheckOptions;

    #[test]
    fn own_result_is_renewed_at_the_last_tick_and_that_of_another_process_once_it_is_due() {
        let now = Instant::now();
        let at = |seconds: f64| now + Duration::from_secs_f64(seconds);
        let table = [
            // due, next tick, found here, when to look again
            (0.5, None, true, Some(0.5)),
            (0.0, None, true, None),
            (0.5, Some(0.8), true, None),
            (0.9, Some(0.8), true, Some(0.8)),
            (1.9, Some(0.8), true, Some(0.8 + TICK.as_secs_f64())),
            (0.5, Some(0.8), false, Some(0.8)),
            (0.9, Some(0.8), false, Some(0.8 + TICK.as_secs_f64())),
            (0.8, Some(0.8), false, Some(0.8)),
            (0.0, Some(0.8), false, None),
        ];
        for (due, tick, is_own, expected) in table {
            let found = look_at(at(due), now, tick.map(at), is_own);
            assert_eq!(found, expected.map(at), "{due} {tick:?} {is_own}");
        }
    }

    #[test]
    fn results_are_renewed_before_they_expire() {
        let table = [
            // period, duration, part, renewed at the age of (milliseconds)
            (30_000, 10, 1.0, 29_480),
            (30_000, 10, 0.9, 26_532),
            (30_000, 5_000, 1.0, 19_500),
            (30_000, 60_000, 1.0, 15_000),
            (5_000, 0, 1.0, 4_500),
            (5_000, 5_000, 1.0, 2_500),
            (100, 0, 1.0, 50),
        ];
        for (period, duration, part, expected) in table {
            let age = renewal_age(Duration::from_millis(period), Duration::from_millis(duration), part);
            assert_eq!(age.as_millis(), expected, "{period} ms, duration {duration} ms");
        }
    }

    #[test]
    fn checks_are_spread_but_those_that_depend_on_one_are_renewed_together() {
        let engine = Engine::new(Duration::from_secs(60));
        let register = |name: String, parent: Option<&str>| {
            let depends_on = parent.map(str::to_owned).into_iter().collect();
            let options = CheckOptions { depends_on, ..CheckOptions::new(name, LEAD, LEAD) };
            let check = CallableCheck { id: 0, timeout: LEAD };
            engine.register(options, Arc::new(check)).unwrap();
        };
        for index in 0..100 {
            register(format!("alone-{index}"), None);
        }
        for (name, parent) in [("server", None), ("child", Some("server")), ("grandchild", Some("child"))] {
            register(name.to_owned(), parent);
        }
        let mut plans = Plans::default();
        let parts: Vec<f64> = engine.checks().iter().map(|check| plans.of(check).part).collect();
        let (alone, of_one) = parts.split_at(100);
        assert!(alone.iter().all(|part| (1.0 - JITTER..=1.0).contains(part)));
        assert!(alone.iter().any(|part| *part < 0.95) && alone.iter().any(|part| *part > 0.95));
        assert!(of_one.windows(2).all(|pair| pair.first() == pair.last()), "{of_one:?}");
    }
}
