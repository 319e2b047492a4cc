//! The flow of a task queue beside its depth: how many tasks finish a minute, and how long a new one waits by that.

use serde_json::Value;

use super::fields::tenths;
use crate::model::Finding;

pub const FINISHED: &str = "finished_per_minute";

/// The finding, which tells how many tasks are pending, with the flow, and with the wait that is depth by flow: unknown
/// while nothing finishes.
pub fn with_flow(finding: Finding, per_minute: f64) -> Finding {
    let pending = finding.details.get("total_pending").and_then(Value::as_u64).unwrap_or_default();
    let wait = match pending {
        0 => Some(0.0),
        _ if per_minute > 0.0 => Some(tenths(pending as f64 * 60.0 / per_minute)),
        _ => None,
    };
    finding.with(FINISHED, tenths(per_minute)).with("expected_wait_seconds", wait)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wait_is_depth_by_flow() {
        for (pending, flow, wait) in
            [(90, 30.0, json!(180.0)), (0, 30.0, json!(0.0)), (0, 0.0, json!(0.0)), (1, 0.0, json!(null))]
        {
            let details = with_flow(Finding::healthy("").with("total_pending", pending), flow).details;
            assert_eq!((&details[FINISHED], &details["expected_wait_seconds"]), (&json!(flow), &wait));
        }
    }
}
