//! What this process runs for the fleet, and their outcomes, until the fleet's table says so.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::model::clock::Moment;
use crate::policy::action::{ActionPlan, ActionResult, ActionTable};
use crate::runtime::lock;

struct Completed {
    plan: ActionPlan,
    fence: u64,
    result: ActionResult,
    at: Moment,
}

/// The runs of this process for the fleet, by the numbers of their leases.
#[derive(Default)]
pub struct FleetRuns(Mutex<Runs>);

#[derive(Default)]
struct Runs {
    running: BTreeSet<u64>,
    completed: Vec<Completed>,
}

impl FleetRuns {
    pub fn start(&self, fence: u64) {
        lock(&self.0).running.insert(fence);
    }

    pub fn complete(&self, plan: ActionPlan, fence: u64, result: ActionResult) {
        lock(&self.0).completed.push(Completed { plan, fence, result, at: Moment::now() });
    }

    /// Whether anything runs, or is not stored yet.
    pub fn are_any(&self) -> bool {
        !lock(&self.0).running.is_empty()
    }

    /// Notes in a table what is completed, and returns the numbers to [`Self::forget`] once it is stored.
    pub fn note_completed(&self, table: &mut ActionTable) -> Vec<u64> {
        let runs = lock(&self.0);
        for Completed { plan, fence, result, at } in &runs.completed {
            table.complete(plan, *fence, result, *at);
        }
        runs.completed.iter().map(|run| run.fence).collect()
    }

    pub fn forget(&self, fences: &[u64]) {
        let mut runs = lock(&self.0);
        runs.running.retain(|fence| !fences.contains(fence));
        runs.completed.retain(|run| !fences.contains(&run.fence));
    }
}
