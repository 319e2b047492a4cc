//! What this process knows when it judges actions: the results of their checks, and its own situation.

use tokio::time::Instant;

use super::config::ActionConfig;
use super::control::Actions;
use super::kinds::ActionKind;
use super::scope::ActionScope;
use crate::delivery::WEDGED_WORKER;
use crate::engine::Engine;
use crate::model::Status;
use crate::model::clock::Moment;
use crate::monitor::{Requires, lags_anywhere, wedged};
use crate::policy::action::{CheckEvidence, Facts, FleetPermission, Situation};
use crate::runtime::{Process, process};

impl Actions {
    /// What is known of every check that an action of that scope is about.
    pub(super) fn facts(&self, engine: &Engine, scope: ActionScope) -> Facts {
        let mut facts = Facts::new();
        for trigger in self.settings.triggers(scope) {
            if facts.contains_key(&trigger.check) {
                continue;
            }
            if let Some(known) = self.evidence(engine, &trigger.check) {
                facts.insert(trigger.check.clone(), known);
            }
        }
        facts
    }

    fn evidence(&self, engine: &Engine, name: &str) -> Option<(CheckEvidence, String)> {
        if name == WEDGED_WORKER {
            return self.wedged_worker(engine);
        }
        let check = engine.check(name).ok()?;
        let parent = check.blocking_parent(Instant::now(), None);
        let view = check.state().runs(None);
        let message = view.latest.map(|latest| latest.message.clone()).unwrap_or_default();
        let evidence = CheckEvidence::Runs {
            history: view.runs,
            last: view.settled,
            stale_after: check.stale_after,
            is_blocked: parent.is_some(),
        };
        Some((evidence, message))
    }

    fn wedged_worker(&self, engine: &Engine) -> Option<(CheckEvidence, String)> {
        let after = self.settings.wedged_after()?;
        let wedged = wedged(&lags_anywhere(engine.scope()), after, Requires::All).unwrap_or_default();
        let message = match wedged.first() {
            Some((pid, lag)) => format!("the interpreter of process {pid} has not run for {} s", lag.as_secs()),
            None => String::new(),
        };
        Some((CheckEvidence::Level { is_bad: !wedged.is_empty() }, message))
    }

    /// The situation of this process as far as it is the same for all actions.
    pub(super) fn situation(&self, engine: &Engine) -> Situation {
        Situation {
            is_draining: process::draining(),
            has_started: engine.has_started(engine.is_ready() || has_passed_lately(engine)),
            off: self.guards.off.clone(),
            failing: 1,
            total: 1,
            fleet: FleetPermission::Granted,
            can_act: true,
            forbidden: None,
        }
    }
}

/// Whether each critical check has passed so lately that the service may not have seen it pass.
fn has_passed_lately(engine: &Engine) -> bool {
    let now = Moment::now();
    engine.checks().iter().filter(|check| check.options.critical).all(|check| {
        let runs = check.state().runs(None).runs;
        let passed = runs.latest(|run| !matches!(run.status, Status::Error));
        passed.is_some_and(|run| now.since(run.finished) < check.stale_after)
    })
}

/// The situation as it is for one action.
pub(super) fn situation_of(config: &ActionConfig, engine: &Engine, common: &Situation) -> Situation {
    let mut situation = common.clone();
    match &config.kind {
        ActionKind::Callable { .. } => {
            // An interpreter that does not run can run no callable.
            situation.can_act = Process::current().is_ok_and(|process| process.callables.is_available());
        }
        #[cfg(unix)]
        ActionKind::RestartWedgedWorker { after, .. } => super::wedge::judge(engine, *after, &mut situation),
        #[cfg(unix)]
        ActionKind::ReloadGunicorn => situation.can_act = super::wedge::is_under_gunicorn(),
        _ => {}
    }
    let _ = engine;
    situation
}
