//! The background service of actions: judges all of them once a second, and runs what this process is to run.

use std::io;
use std::sync::Arc;

use tokio::task::spawn_blocking;
use tokio::time::sleep_until;

use super::control::Actions;
use super::running::act;
use crate::runtime::background::{BackgroundService, BackgroundTask, next_tick};
use crate::runtime::{PerProcess, Process};

/// The actions of one engine, in every process that uses it.
pub struct ActionService {
    actions: Arc<Actions>,
    running: PerProcess<BackgroundTask>,
}

impl ActionService {
    /// One that does not run yet: see [`BackgroundService::resume`]. It ends with the engine.
    pub fn of(actions: Arc<Actions>) -> Self {
        Self { actions, running: PerProcess::new() }
    }
}

impl BackgroundService for ActionService {
    fn resume(&self) -> io::Result<()> {
        let process = Process::current()?;
        self.running.get_or_init(|| BackgroundTask::start(&process, run(self.actions.clone(), process.clone())));
        Ok(())
    }

    fn name(&self) -> String {
        "actions".to_owned()
    }
}

async fn run(actions: Arc<Actions>, process: Arc<Process>) {
    while actions.engine().is_some() {
        let judged = actions.clone();
        // One at a time: a store that blocks holds up no more than this task.
        let runs = spawn_blocking(move || judged.step()).await.unwrap_or_default();
        for run in runs {
            process.runtime.spawn(act(actions.clone(), run, process.clone()));
        }
        sleep_until(next_tick()).await;
    }
}
