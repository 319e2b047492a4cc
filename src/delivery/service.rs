//! The background service of alerts: judges all subjects once a second and after each event, and sends what is due, without the interpreter.
//!
//! Every process of a scope runs it, and none leads: all that it decides is stored under a lock, so that a decision is
//! made once, by the first process that comes to it, and no process is missed when it dies. In a fleet one process of each
//! host takes part in deciding for all: see [`super::fleet`].

use std::io;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::select;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

use super::alerts::Alerts;
use super::fleet::FleetMember;
use super::ping::ping_if_due;
use super::senders::Senders;
use super::sending::{Claim, send};
use crate::runtime::background::{BackgroundService, BackgroundTask, next_tick};
use crate::runtime::process::draining;
use crate::runtime::tasks::run_blocking;
use crate::runtime::{PerProcess, Process};

/// How long after an event subjects are judged.
const SETTLE: Duration = Duration::from_millis(20);
/// How often a process that ends checks whether everything is sent.
const FLUSH_TICK: Duration = Duration::from_millis(20);

/// The alerts of one engine, in every process that uses it.
pub struct AlertService {
    alerts: Arc<Alerts>,
    running: PerProcess<BackgroundTask>,
    judges: PerProcess<Mutex<Judge>>,
}

/// What judges in this process: its part in the fleet, if it is in one.
struct Judge(Option<FleetMember>);

impl Judge {
    fn of(alerts: &Alerts) -> Self {
        Self(alerts.engine().and_then(|engine| engine.fleet().cloned()).map(FleetMember::new))
    }

    /// Judges all subjects, and returns what this process has to send, and whether its host decides about incidents.
    async fn tick(&mut self, alerts: &Arc<Alerts>, process: &Arc<Process>) -> (Vec<Claim>, bool) {
        match &mut self.0 {
            // One at a time: a store that blocks holds up no more than this task.
            None => {
                let judged = alerts.clone();
                let step = move || {
                    judged.step();
                    judged.claims()
                };
                (run_blocking(step).await.unwrap_or_default(), true)
            }
            Some(member) => member.tick(alerts, process).await,
        }
    }

    /// Has others take over, for a host that ends.
    async fn release(&mut self, process: &Arc<Process>) {
        if let (Some(member), true) = (&mut self.0, draining()) {
            member.release(process).await;
        }
    }
}

impl AlertService {
    /// One that does not run yet: see [`BackgroundService::resume`]. It ends with the engine.
    pub fn of(alerts: Arc<Alerts>) -> Self {
        Self { alerts, running: PerProcess::new(), judges: PerProcess::new() }
    }

    /// Sends what is due, for a process that is about to end; waits for so long at most. What is left is in the store, and
    /// other processes send it.
    pub fn flush(&self, at_most: Duration) {
        let Some(_running) = self.running.get() else { return };
        let Ok(process) = Process::current() else { return };
        let (sent, waiting) = mpsc::channel();
        let (alerts, running, judge) = (self.alerts.clone(), process.clone(), self.judge());
        // In a task: neither a store that blocks nor a receiver that hangs keeps the process from ending.
        process.spawn(async move {
            let deadline = Instant::now() + at_most;
            send_all(&alerts, &judge, &running, deadline).await;
            // Fails where the process has waited for long enough.
            let _ = sent.send(());
        });
        let _ = waiting.recv_timeout(at_most);
    }

    fn judge(&self) -> Arc<Mutex<Judge>> {
        self.judges.get_or_init(|| Mutex::new(Judge::of(&self.alerts)))
    }
}

/// Sends what is due, until there is nothing more or the deadline.
async fn send_all(alerts: &Arc<Alerts>, judge: &Mutex<Judge>, process: &Arc<Process>, deadline: Instant) {
    let senders = alerts.senders.get_or_init(Senders::default);
    loop {
        let (claims, _) = judge.lock().await.tick(alerts, process).await;
        let is_idle = claims.is_empty() && senders.is_idle();
        start(alerts, claims, process);
        if is_idle || Instant::now() >= deadline {
            judge.lock().await.release(process).await;
            return;
        }
        sleep(FLUSH_TICK).await;
    }
}

impl BackgroundService for AlertService {
    fn resume(&self) -> io::Result<()> {
        let process = Process::current()?;
        self.running
            .get_or_init(|| BackgroundTask::start(&process, run(self.alerts.clone(), self.judge(), process.clone())));
        Ok(())
    }

    fn name(&self) -> String {
        "alerts".to_owned()
    }
}

async fn run(alerts: Arc<Alerts>, judge: Arc<Mutex<Judge>>, process: Arc<Process>) {
    let senders = alerts.senders.get_or_init(Senders::default);
    let reserved = alerts.clone();
    let _ = run_blocking(move || reserved.reserve()).await;
    while let Some(events) = alerts.engine().map(|engine| engine.events()) {
        let (claims, is_holder) = judge.lock().await.tick(&alerts, &process).await;
        start(&alerts, claims, &process);
        if is_holder {
            ping_if_due(&alerts, &process).await;
        }
        select! {
            () = sleep_until(next_tick()) => {}
            () = senders.wake.notified() => {}
            // What comes at once is judged at once.
            () = events.pushed() => sleep(SETTLE).await,
        }
    }
}

fn start(alerts: &Arc<Alerts>, claims: Vec<Claim>, process: &Arc<Process>) {
    for claim in claims {
        process.spawn(send(alerts.clone(), claim, process.clone()));
    }
}
