//! Lifesigns: health checks that answer within their budget under every fault.
//!
//! ```text
//!  settings ──► Check + options ──► Engine ──► Runner ──► Record ──► Report ──► view
//!  Django or     validated,          runs many   one run    the only     worst-of,   JSON, HTML, text,
//!  plain Python  immutable           at once     of one     place where  computed    metrics, probe server,
//!                values                          check      a run meets  per answer  exit code
//!                                                           the policies
//!                                                               │
//!                                                               ├─► Event (a status changed, once per scope) ──► log,
//!                                                               │   subscribers, history
//!                                                               ├─► Incident ──► outbox ──► channels (delivery/)
//!                                                               └─► Action (actions/): runs beside the checks, verified by them
//!
//!  runner, top to bottom:  lease (one run for all) ─► breaker permit ─► deadline ─► catch panic ─► Check::run ─► settle
//!  computed per answer, never stored:  fresh? · blocked by a parent · still running · pending · circuit open · unknown
//!  Python callable:  checks/callable.rs ──job──► runtime/callables.rs ──► a daemon thread that Python owns ──reply──► back
//! ```
//!
//! One direction: nothing on the left knows what is on its right. Rust never calls Python; Python requests work from Rust.
//!
//! The floors, from the ground; each module imports only from floors below its own (`tests/unit/test_structure.py`):
//! `model` · `policy`, `runtime` · `net`, `state` · `checks` · `engine` · `monitor` · `delivery` · `actions` · `metrics` · `probe_server` · `python`.

pub mod actions;
pub mod checks;
pub mod delivery;
pub mod engine;
pub mod metrics;
pub mod model;
pub mod monitor;
pub mod net;
pub mod policy;
pub mod probe_server;
pub mod runtime;
pub mod state;

#[cfg(feature = "python")]
mod python;
