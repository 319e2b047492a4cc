//! Pure decisions: each is given the facts and the time, and holds no clock, lock, log or thread.

pub mod action;
pub mod breaker;
pub mod cron;
pub mod dependencies;
pub mod flapping;
pub mod group;
pub mod hysteresis;
pub mod incident;
pub mod limits;
pub mod outbox;
pub mod report;
pub mod run_history;
pub mod suppression;
