//! Pure decisions: each is given the facts and the time, and holds no clock, lock, log or thread.

pub mod breaker;
pub mod dependencies;
pub mod group;
pub mod hysteresis;
pub mod limits;
pub mod report;
