//! When an action that may heal a check starts, what keeps it from starting, and what follows it.
//!
//! ```text
//!   idle ──failed for N runs and M seconds, or the rung before has not helped, or a person──► due
//!    ▲                                                                                         │ a stop: noted once
//!    │                                                                                         ▼
//!    │                       one holder of the lease of the scope, with a fencing number ──► running
//!    │                                                                                         │ completed
//!    └── healed · not healed: next rung, at last a person · unverified ◄──V seconds── verifying ◄─┘
//! ```
//!
//! Guarantees: of all processes that share a table one runs an action at a time, and what is completed with the number
//! of an earlier lease changes nothing; an action never starts more often than `per_hour` in an hour and `per_incident`
//! in one incident, each time after a longer pause; nothing starts while the process drains, before the application has
//! started, on a result that is stale or was never found, nor while more than half of the instances fail, nor while a
//! quarter of them act.
//!
//! An incident is here what lasts from the first bad run until two good ones in a row, whether or not it alerts.

mod entry;
mod follow;
mod plan;
mod run;
mod stop;
mod table;
#[cfg(test)]
mod tests;
mod watch;

pub use entry::{ActionCause, ActionEntry, EntryState};
pub use follow::ActionResult;
pub use plan::{ActionPlan, MAX_PER_HOUR, Threshold, Trigger};
pub use run::{Facts, Started};
pub use stop::{FleetPermission, Situation, Stop, at_once};
pub use table::{ActionTable, HandedOn, Switch};
pub use watch::CheckEvidence;
