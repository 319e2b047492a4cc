//! When each check of an engine is to be renewed by this process.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::registry::{Answer, CheckRequest, Lead, Registered};
use crate::model::{NotRun, Outcome, Status};
use crate::runtime::background::{TICK, whole_ticks};
use crate::runtime::{Process, random};
use crate::state::{Scope, TableSnapshot};

/// How long before its end a result is renewed, beside the time that the run itself takes.
const LEAD: Duration = Duration::from_millis(500);
/// By how much of their time results are renewed early at most, so that not all are renewed at once. Those of one server
/// are: they share its connections, and the writes to the store.
const JITTER: f64 = 0.1;
/// By how much a result of another process is overdue before this one renews it: less than the period, so that no check
/// goes without a run for two of them.
const SLACK: Duration = Duration::from_secs(5);
/// Results that are good for so long can be looked at with the heartbeats, which come every two seconds.
const FOLLOWED_TTL: Duration = Duration::from_secs(10);

/// When the checks of an engine are to be renewed.
#[derive(Default)]
pub struct Plans {
    by_check: HashMap<Arc<str>, Plan>,
    /// The part of their time after which results are renewed, by the check that all of them depend on.
    parts: HashMap<Arc<str>, f64>,
}

impl Plans {
    pub fn of(&mut self, check: &Registered) -> &mut Plan {
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

/// When to look at a check again.
pub enum NextLook {
    At(Instant),
    /// Another process renews it, and it is overdue by then: a heartbeat after that does, too.
    Followed(Instant),
}

/// When one check is to be renewed.
pub struct Plan {
    /// The part of its time after which a result is renewed.
    part: f64,
    not_before: Instant,
}

impl Plan {
    /// Adds a run to `leads` if it is time, and returns when to look again. `tick`: the next one, of a check that is
    /// renewed at ticks.
    pub fn follow(
        &mut self,
        check: &Arc<Registered>,
        period: Duration,
        tick: Option<Instant>,
        process: &Arc<Process>,
        snapshot: Option<&TableSnapshot>,
        leads: &mut Vec<Lead>,
    ) -> NextLook {
        let now = Instant::now();
        let state = check.state();
        let (latest, _) = state.latest(snapshot);
        // Where nothing is known here another host of a fleet may know it.
        let duration = latest.as_ref().map_or(Duration::ZERO, |latest| latest.duration);
        let is_own = state.is_own();
        // Whether this process renews it before the others look: not while it fails.
        let is_shared = *check.scope() != Scope::Process;
        let is_first = is_own && !(is_shared && latest.as_deref().is_some_and(is_failing));
        let part = if is_first || !is_own && tick.is_none() { self.part } else { 1.0 };
        // One host of a fleet takes over what another one finds: each process of it as soon as it is due.
        let slack = match &latest {
            Some(latest) if !is_own && check.fleet().is_none() => slack(period, latest),
            _ => Duration::ZERO,
        };
        let age = renewal_age(period, duration, part) + slack;
        let valid = latest.as_ref().filter(|latest| !check.replaced_after(latest));
        let due = valid.map_or(now, |latest| latest.finished + age).max(self.not_before);
        if let Some(at) = look_at(due, now, tick, is_first) {
            let is_followed = !slack.is_zero() && tick.is_some() && check.options.ttl >= FOLLOWED_TTL;
            return if is_followed { NextLook::Followed(at) } else { NextLook::At(at) };
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
        NextLook::At(self.not_before)
    }
}

/// The age at which a result is renewed: so early that a run as long as the last one ends before the result expires,
/// though not before half of its time, and a little earlier by its part.
fn renewal_age(period: Duration, duration: Duration, part: f64) -> Duration {
    let lead = duration.saturating_mul(2).saturating_add(LEAD).min(period / 2);
    (period - lead).mul_f64(part)
}

/// When a result that another process has found is overdue; `None` if none has, so that it is this one's to renew.
pub fn overdue_at(check: &Registered, period: Duration, snapshot: Option<&TableSnapshot>) -> Option<Instant> {
    let state = check.state();
    let latest = state.latest(snapshot).0.filter(|latest| !state.is_own() && !check.replaced_after(latest))?;
    Some(latest.finished + renewal_age(period, latest.duration, 1.0) + slack(period, &latest))
}

/// By how much a result of another process is overdue before this one renews it. What fails is renewed by one process and
/// then by another: whether it fails in each tells a fault of the dependency from one of a process.
fn slack(period: Duration, latest: &Outcome) -> Duration {
    if is_failing(latest) { Duration::ZERO } else { SLACK.min(period * 3 / 4) }
}

fn is_failing(latest: &Outcome) -> bool {
    latest.status == Status::Error
}

/// When to look again at a result that is to be renewed at `due`; `None`: now. At ticks, which the process that renews it
/// first must not miss, since the next look would be too late; the others look once it is due.
fn look_at(due: Instant, now: Instant, tick: Option<Instant>, is_first: bool) -> Option<Instant> {
    match tick {
        Some(tick) if is_first => (due > tick).then(|| tick + whole_ticks(due.saturating_duration_since(tick))),
        Some(tick) => (due > now).then(|| {
            let missing = due.saturating_duration_since(tick);
            let before = whole_ticks(missing);
            tick + if before < missing { before + TICK } else { before }
        }),
        None => (due > now).then_some(due),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::checks::callable::CallableCheck;
    use crate::engine::Engine;
    use crate::model::{CheckError, CheckOptions, Finding};

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
    fn result_of_another_process_is_renewed_before_two_periods_are_over() {
        let now = Instant::now();
        let healthy = Outcome::of(Ok(Finding::new(Status::Healthy, "")), now, Duration::ZERO);
        let failing = Outcome::of(Err(CheckError::Panicked), now, Duration::ZERO);
        for period in [100, 1_000, 4_096, 5_000, 30_000, 300_000].map(Duration::from_millis) {
            assert_eq!(slack(period, &failing), Duration::ZERO);
            let due = now + renewal_age(period, Duration::ZERO, 1.0) + slack(period, &healthy);
            let tick = (period >= 4 * TICK).then_some(now + TICK);
            let at = look_at(due, now, tick, false).unwrap();
            assert!(at - now >= period && at - now < 2 * period, "{period:?}: {:?}", at - now);
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
