//! What is known of each check: the latest outcome, who runs it, the breaker, the counters, its incidents.
//!
//! The only place that decides whether an outcome is fresh, who runs a check, and whether its breaker allows it. Callers
//! that request a check at the same time share one run (single flight), in all processes that the [`Scope`] includes; a
//! lease is given back on every way out.
//!
//! Every decision is made on a [`record::Record`] in this process's memory. A backend brings the record up to date before
//! and stores what has changed; where it cannot, the record stays this process's own.

pub mod actions;
pub mod alert_control;
mod applied;
pub mod backend;
mod check_state;
mod completion;
pub mod counters;
pub mod delivery_counts;
pub mod fleet;
pub mod fleet_actions;
pub mod fleet_alerts;
pub mod heartbeats;
mod held_elsewhere;
pub mod history_marks;
mod in_flight;
pub mod incidents;
#[cfg(test)]
mod layout;
mod lease;
pub mod objectives;
pub mod record;
pub mod scope;
#[cfg(all(test, unix))]
mod scratch;
mod stored;
mod unrecorded;
mod unstored;

pub use backend::TableSnapshot;
pub use check_state::{CheckState, Requested, RunsView, View};
pub use completion::Completion;
pub use fleet::Fleet;
pub use in_flight::{InFlightRun, RunResult};
pub use lease::{Acquisition, Lease, acquire, acquire_all};
pub use record::{Operation, Run, Wanted};
pub use scope::Scope;
pub use unrecorded::{UnrecordedResult, UnrecordedResults};
pub use unstored::{StartedRun, store as store_results};
