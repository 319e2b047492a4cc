//! Lifesigns: health checks that answer within their budget under every fault.
//!
//! ```text
//!  settings ──► CheckSpec ──► Engine ──► Outcome ──► Store ──► Report ──► view
//!  Django or     validated,    starts     one run     latest    worst-of,  JSON, HTML, text,
//!  plain Python  immutable     all at     of one      outcome,  immutable  metrics, probe server,
//!                value         once       check       breaker              exit code, history
//!
//!  one check ─► Slot:  fresh in Store? ─► lease (single flight) ─► breaker permit ─► deadline ─► catch panic ─► Check::run
//!
//!  Python callable:  checks/callable.rs ──job──► lane ──► a daemon thread that Python owns ──reply──► checks/callable.rs
//! ```
//!
//! One direction: nothing on the left knows what is on its right. Rust never calls Python; Python asks Rust for work.

pub mod breaker;
pub mod checks;
pub mod clock;
pub mod companions;
pub mod descriptors;
pub mod engine;
pub mod events;
pub mod hysteresis;
pub mod lane;
pub mod limits;
pub mod listener;
pub mod metrics;
pub mod net;
pub mod outcome;
pub mod process;
pub mod refresh;
pub mod report;
pub mod slot;
pub mod spec;
pub mod store;
pub mod sweep;
#[cfg(unix)]
pub mod systemd;
pub mod task;
pub mod watchdog;

#[cfg(feature = "python")]
mod python;
