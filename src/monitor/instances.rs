//! The instances of a fleet: this host announces itself to the others, and follows what operators do anywhere.
//!
//! One process of the host does both, every ten seconds, at once when the host starts to drain, and when a store that was
//! lost is back, for which it looks; another one takes its place when it ends or is stopped. Only processes whose checks run
//! in the background take part: a command that ends after a second is no instance.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Weak};

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

use super::{lags_anywhere, statuses};
use crate::engine::{Engine, hand_over};
use crate::model::Status;
use crate::runtime::background::{BackgroundService, BackgroundTask, next_tick};
use crate::runtime::{PerProcess, Process, process, random, uptime};
use crate::state::Fleet;
use crate::state::backend::fleet::instances::{ANNOUNCE_EVERY, Announcement, InstanceState};
use crate::state::fleet::TURN;
use crate::state::scope::{record_name, short_key};

/// What an instance says of itself, in a few hundred bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Description {
    pub name: String,
    pub zone: Option<String>,
    pub version: String,
    pub settings: String,
    /// In seconds.
    pub uptime: f64,
    pub processes: usize,
    /// Of the interpreter that lags most, in seconds.
    pub lag: Option<f64>,
    /// One letter for each check, in the order of the names: see [`letter`].
    pub statuses: String,
    /// For how many seconds each check that is not well has been so, by its place.
    pub since: BTreeMap<usize, f64>,
}

/// How a status is announced: `u` is unknown.
pub fn letter(status: Option<Status>) -> char {
    match status {
        Some(Status::Healthy) => 'h',
        Some(Status::Degraded) => 'd',
        Some(Status::Error) => 'e',
        Some(Status::Skipped) => 's',
        None => 'u',
    }
}

/// The announcements of one engine, in every process that runs its checks in the background.
pub struct FleetMembership {
    engine: Weak<Engine>,
    running: PerProcess<BackgroundTask>,
}

impl FleetMembership {
    /// One that does not run yet: see [`BackgroundService::resume`]. It ends with the engine.
    pub fn of(engine: &Arc<Engine>) -> Self {
        Self { engine: Arc::downgrade(engine), running: PerProcess::new() }
    }
}

impl BackgroundService for FleetMembership {
    fn resume(&self) -> io::Result<()> {
        let process = Process::current()?;
        let engine = self.engine.clone();
        if let Some(engine) = engine.upgrade()
            && let Some(fleet) = engine.fleet()
        {
            fleet.take_part();
        }
        self.running.get_or_init(|| BackgroundTask::start(&process, take_part(engine, process.clone())));
        Ok(())
    }

    fn name(&self) -> String {
        "fleet membership".to_owned()
    }
}

async fn take_part(engine: Weak<Engine>, process: Arc<Process>) {
    let (mut due, mut was_draining, mut was_lost) = (Instant::now(), false, false);
    loop {
        let Some(engine) = engine.upgrade() else { return };
        let Some(fleet) = engine.fleet() else { return };
        let draining = process::draining();
        let is_back = was_lost && !fleet.is_lost();
        if due <= Instant::now() || draining != was_draining || is_back || fleet.may_retry() {
            due = Instant::now() + ANNOUNCE_EVERY.mul_f64(0.9 + 0.2 * random());
            was_draining = draining;
            if fleet.announces(TURN) && fleet.is_usable() {
                exchange(&engine, fleet, &process).await;
            }
        }
        was_lost = fleet.is_lost();
        drop(engine);
        sleep_until(next_tick()).await;
    }
}

/// Announces this instance, applies what operators have done to breakers, and hands over what the fleet does not know.
async fn exchange(engine: &Engine, fleet: &Fleet, process: &Arc<Process>) {
    let announced = fleet.store.announce(process, &announcement(engine, fleet)).await;
    let operations = match announced {
        Ok(counts) => {
            fleet.saw(counts);
            fleet.store.operations(process).await
        }
        Err(error) => Err(error),
    };
    match operations {
        Ok(operations) => {
            fleet.reached();
            for check in engine.checks().iter().filter(|check| check.fleet().is_some()) {
                let known = operations.get(&fleet.key(&check.options).check).copied();
                if let Err(error) = hand_over::exchange(check, fleet, process, known).await {
                    fleet.lost(&error);
                    break;
                }
            }
        }
        Err(error) => fleet.lost(&error),
    }
}

fn announcement(engine: &Engine, fleet: &Fleet) -> Announcement {
    let checks = engine.checks();
    let (now, snapshot) = (Instant::now(), engine.snapshot());
    let mut described = Description {
        name: fleet.name.clone(),
        zone: fleet.zone.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        settings: settings_hash(engine),
        uptime: uptime().as_secs_f64(),
        lag: lags_anywhere(engine.scope()).iter().map(|lag| lag.worst().as_secs_f64()).reduce(f64::max),
        ..Description::default()
    };
    for (place, check) in checks.iter().enumerate() {
        let status = check.known_status(now, snapshot.as_ref());
        described.statuses.push(letter(status));
        let since = check.failing_since(now, snapshot.as_ref()).and_then(|since| since.elapsed().ok());
        if let (Some(Status::Degraded | Status::Error), Some(since)) = (status, since) {
            described.since.insert(place, since.as_secs_f64().round());
        }
    }
    let processes = statuses(engine);
    described.processes = processes.len().max(1);
    let all_drain = processes.iter().all(|status| status.draining) && process::draining();
    let state = match (all_drain, engine.is_ready()) {
        (true, _) => InstanceState::Draining,
        (false, true) => InstanceState::Ready,
        (false, false) => InstanceState::NotReady,
    };
    let names: Vec<&str> = checks.iter().map(|check| &*check.name).collect();
    Announcement {
        id: fleet.instance(),
        state,
        description: serde_json::to_vec(&described).unwrap_or_default(),
        settings: described.settings,
        names: serde_json::to_string(&names).unwrap_or_default(),
    }
}

/// Identifies which checks there are and how they are run.
fn settings_hash(engine: &Engine) -> String {
    let mut all = String::new();
    for check in engine.checks().iter() {
        all += &format!("{} {} {:?};", record_name(&check.options), check.options.critical, check.options.ttl);
    }
    short_key(&all)
}
