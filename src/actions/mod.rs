//! What may heal a failing check: named actions, run beside and never inside a check.
//!
//! Every process that uses the engine runs the service, and none leads: when an action starts, stops or is verified is
//! decided on a table that all of them share, so that one process acts, and none is missed when it dies. An action knows
//! nothing of that: it acts once, and says what it did. The table of a fleet is judged by one host, and is a document that
//! the next one continues with.

mod config;
mod control;
mod fleet_holder;
mod fleet_runs;
mod fleet_table;
mod judging;
mod kinds;
mod note;
mod observe;
mod permission;
mod running;
mod scope;
#[cfg(unix)]
mod server;
pub mod service;
mod settings;
pub mod shown;
#[cfg(unix)]
mod wedge;

pub use config::{ActionConfig, ActionFields, build};
pub use control::{ActionError, Actions, Guards};
pub use settings::ActionSettings;
