//! The background service of actions: judges all of them once a second, and runs what this process is to run.

use std::io;
use std::sync::Arc;

use tokio::time::sleep_until;

use super::control::Actions;
use super::fleet_holder::FleetHolder;
use super::running::act;
use crate::runtime::background::{BackgroundService, BackgroundTask, next_tick};
use crate::runtime::tasks::run_blocking;
use crate::runtime::{PerProcess, Process};

/// The actions of one engine, in every process that uses it.
pub struct ActionService {
    actions: Arc<Actions>,
    running: PerProcess<BackgroundTask>,
    for_fleet: PerProcess<BackgroundTask>,
}

impl ActionService {
    /// One that does not run yet: see [`BackgroundService::resume`]. It ends with the engine.
    pub fn of(actions: Arc<Actions>) -> Self {
        Self { actions, running: PerProcess::new(), for_fleet: PerProcess::new() }
    }
}

impl BackgroundService for ActionService {
    fn resume(&self) -> io::Result<()> {
        let process = Process::current()?;
        self.running.get_or_init(|| BackgroundTask::start(&process, run(self.actions.clone(), process.clone())));
        if self.actions.engine().is_some_and(|engine| engine.fleet().is_some()) {
            let for_fleet = || run_for_fleet(self.actions.clone(), process.clone());
            self.for_fleet.get_or_init(|| BackgroundTask::start(&process, for_fleet()));
        }
        Ok(())
    }

    fn name(&self) -> String {
        "actions".to_owned()
    }
}

async fn run(actions: Arc<Actions>, process: Arc<Process>) {
    while actions.engine().is_some() {
        let permissions = actions.permissions(&process).await;
        let judged = actions.clone();
        // One at a time: a store that blocks holds up no more than this task.
        let runs = run_blocking(move || judged.step(&permissions)).await.unwrap_or_default();
        for run in runs {
            process.spawn(act(actions.clone(), run, process.clone()));
        }
        sleep_until(next_tick()).await;
    }
}

async fn run_for_fleet(actions: Arc<Actions>, process: Arc<Process>) {
    let mut holder = FleetHolder::new(actions.clone(), process.clone());
    while actions.engine().is_some() {
        if let Some(run) = holder.turn().await {
            process.spawn(act(actions.clone(), run, process.clone()));
        }
        sleep_until(next_tick()).await;
    }
}
