//! When a subject of alerts (a check, readiness, the workers) opens an incident, when it is resolved, and what is sent.
//!
//! ```text
//!   ok ──bad──► pending ──N bad in a row, or bad for M seconds──► firing ──N good in a row──► (resolving) ──► ok
//!    ▲             │good                                            │ acknowledged: no reminders
//!    └─────────────┘                                                │ silenced: no trigger until that ends
//!                                                                   │ flapping: one notice until it ends
//! ```
//!
//! Judged is the level, not the edge: each run counts once by its number in the record, in whichever process and however
//! late it is judged, so that no change is lost and none counts twice. Results that are stale, skipped or blocked by a parent say nothing.

pub mod alarm;
mod notice;
mod outgoing;
mod rules;
mod since;
mod step;
mod subject;
#[cfg(test)]
mod tests;

pub use notice::{StoredNotice, dedup_key};
pub use outgoing::{ClaimedNotice, Outgoing, Retried};
pub use rules::{Evidence, Observed, ObservedFleet, ObservedRuns, Rules, severity_of};
pub use since::Since;
pub use step::{abandon, step};
pub use subject::{Acknowledgement, Incident, IncidentState, Subject, TimelineEntry, TimelineKind, truncated};
