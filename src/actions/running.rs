//! Runs an action that this process has acquired the right to run.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, timeout_at};

use super::control::Actions;
use super::scope::ActionScope;
use crate::model::clock::Moment;
use crate::policy::action::{ActionPlan, ActionResult, Started};
use crate::runtime::tasks::run_blocking;
use crate::runtime::{Context, Process, process};

/// A process that has not started to act by then was stopped: the facts may be out of date.
const START_WITHIN: Duration = Duration::from_secs(2);

/// An action that this process has to run.
pub struct ActionRun {
    pub(super) scope: ActionScope,
    pub(super) started: Started,
    pub(super) at: Instant,
}

impl Actions {
    fn record(&self, run: &ActionRun, plan: ActionPlan, result: ActionResult) {
        if run.scope == ActionScope::Fleet {
            // The holder of the fleet's lease stores it: this process, while it is that.
            return self.fleet_runs.get_or_init(Default::default).complete(plan, run.started.fence, result);
        }
        let now = Moment::now();
        let completed = self.change(run.scope, |table| {
            let is_ours = table.complete(&plan, run.started.fence, &result, now);
            (is_ours, std::mem::take(&mut table.handed_on))
        });
        // What cannot be stored is lost once its lease is over.
        if let Ok((_, handed_on)) = completed {
            self.hand_on(run.scope, handed_on);
        }
        self.report(now);
    }
}

/// Runs one action, and stores its outcome.
pub async fn act(actions: Arc<Actions>, run: ActionRun, process: Arc<Process>) {
    let (Some(config), Some(engine)) = (actions.settings.get(&run.started.action), actions.engine()) else { return };
    let plan = config.plan.clone();
    let result = if run.at.elapsed() >= START_WITHIN || process::draining() {
        ActionResult::GivenBack
    } else {
        let context = Context::new(process, plan.timeout);
        let acting = AssertUnwindSafe(config.kind.act(&engine, &context)).catch_unwind();
        match timeout_at(context.deadline(), acting).await {
            Ok(Ok(result)) => result,
            Ok(Err(_panic)) => ActionResult::Failed("InternalError: the action failed, which is a bug".to_owned()),
            Err(_elapsed) => ActionResult::Failed(format!("Timed out after {} s", plan.timeout.as_secs_f64())),
        }
    };
    let stored = actions.clone();
    let _ = run_blocking(move || stored.record(&run, plan, result)).await;
}

pub(super) fn this_process() -> String {
    let host = whoami::hostname().unwrap_or_default();
    format!("{host}:{}", std::process::id())
}
