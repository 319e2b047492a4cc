pub mod breaker;
pub mod checks;
pub mod net;
pub mod outcome;
pub mod process;
pub mod spec;
