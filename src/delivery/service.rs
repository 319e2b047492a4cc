//! The background service of alerts: judges all subjects once a second and after each event, and sends what is due, without the interpreter.
//!
//! Every process of a scope runs it, and none leads: all that it decides is stored under a lock, so that a decision is
//! made once, by the first process that comes to it, and no process is missed when it dies.

use std::io;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::select;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until};

use super::alerts::Alerts;
use super::ping::ping_if_due;
use super::senders::Senders;
use super::sending::{Claim, send};
use crate::runtime::background::{BackgroundService, BackgroundTask, next_tick};
use crate::runtime::{PerProcess, Process};

/// How long after an event subjects are judged.
const SETTLE: Duration = Duration::from_millis(20);
/// How often a process that ends checks whether everything is sent.
const FLUSH_TICK: Duration = Duration::from_millis(20);

/// The alerts of one engine, in every process that uses it.
pub struct AlertService {
    alerts: Arc<Alerts>,
    running: PerProcess<BackgroundTask>,
}

impl AlertService {
    /// One that does not run yet: see [`BackgroundService::resume`]. It ends with the engine.
    pub fn of(alerts: Arc<Alerts>) -> Self {
        Self { alerts, running: PerProcess::new() }
    }

    /// Sends what is due, for a process that is about to end; waits for so long at most. What is left is in the store, and
    /// other processes send it.
    pub fn flush(&self, at_most: Duration) {
        let Some(_running) = self.running.get() else { return };
        let Ok(process) = Process::current() else { return };
        let (sent, waiting) = mpsc::channel();
        let (alerts, running) = (self.alerts.clone(), process.clone());
        // In a task: neither a store that blocks nor a receiver that hangs keeps the process from ending.
        process.runtime.spawn(async move {
            let deadline = Instant::now() + at_most;
            send_all(&alerts, &running, deadline).await;
            // Fails where the process has waited for long enough.
            let _ = sent.send(());
        });
        let _ = waiting.recv_timeout(at_most);
    }
}

/// Sends what is due, until there is nothing more or the deadline.
async fn send_all(alerts: &Arc<Alerts>, process: &Arc<Process>, deadline: Instant) {
    let senders = alerts.senders.get_or_init(Senders::default);
    loop {
        let judged = alerts.clone();
        let claims = spawn_blocking(move || tick(&judged)).await.unwrap_or_default();
        let is_idle = claims.is_empty() && senders.is_idle();
        start(alerts, claims, process);
        if is_idle || Instant::now() >= deadline {
            return;
        }
        sleep(FLUSH_TICK).await;
    }
}

impl BackgroundService for AlertService {
    fn resume(&self) -> io::Result<()> {
        let process = Process::current()?;
        self.running.get_or_init(|| BackgroundTask::start(&process, run(self.alerts.clone(), process.clone())));
        Ok(())
    }

    fn name(&self) -> String {
        "alerts".to_owned()
    }
}

async fn run(alerts: Arc<Alerts>, process: Arc<Process>) {
    let senders = alerts.senders.get_or_init(Senders::default);
    let reserved = alerts.clone();
    let _ = spawn_blocking(move || reserved.reserve()).await;
    while let Some(events) = alerts.engine().map(|engine| engine.events()) {
        let judged = alerts.clone();
        // One at a time: a store that blocks holds up no more than this task.
        let claims = spawn_blocking(move || tick(&judged)).await.unwrap_or_default();
        start(&alerts, claims, &process);
        ping_if_due(&alerts, &process).await;
        select! {
            () = sleep_until(next_tick()) => {}
            () = senders.wake.notified() => {}
            // What comes at once is judged at once.
            () = events.pushed() => sleep(SETTLE).await,
        }
    }
}

/// Judges all subjects, and returns what this process has to send.
fn tick(alerts: &Alerts) -> Vec<Claim> {
    alerts.step();
    alerts.claims()
}

fn start(alerts: &Arc<Alerts>, claims: Vec<Claim>, process: &Arc<Process>) {
    for claim in claims {
        process.runtime.spawn(send(alerts.clone(), claim, process.clone()));
    }
}
