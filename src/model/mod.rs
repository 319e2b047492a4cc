//! Pure data: statuses, outcomes, errors, events, options, secrets.

mod alert_options;
mod breaker_options;
mod circuit;
pub mod clock;
mod error;
mod event;
mod incident;
#[cfg(test)]
pub(crate) mod loops;
mod options;
mod ordered;
mod outcome;
mod owner;
mod secret;
mod spec;
mod status;

pub use alert_options::{AlertOptions, in_a_row, seconds_from_0};
pub use breaker_options::{BreakerOptions, MAX_WINDOW_CALLS};
pub use circuit::{CircuitMode, CircuitState, CircuitStatus, Transition};
pub use error::{CheckError, Phase};
pub use event::{Diagnostic, Event, EventKind, IncidentEvent};
pub use incident::{Instances, Notice, NoticeKind, OBJECTIVE, Severity, check_of};
pub use options::{CheckOptions, CheckScope};
pub use ordered::{CollectOrdered, largest_first};
pub use outcome::{Finding, LastError, NotRun, Outcome, pending};
pub use owner::Owner;
pub use secret::Secret;
pub use spec::{SpecError, in_python, long_seconds, nearest, positive_seconds, seconds, valid_name};
pub use status::Status;
