//! The state of a circuit breaker, who decides on it, and how it changed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the breaker does with the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CircuitState {
    /// Calls go ahead.
    Closed,
    /// Calls are refused.
    Open,
    /// One call, the trial, goes ahead and decides.
    HalfOpen,
}

impl CircuitState {
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// Who decides on the state: the results, or an operator until a reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CircuitMode {
    #[default]
    Automatic,
    ForcedOpen,
    ForcedClosed,
    Disabled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    pub from: CircuitState,
    pub to: CircuitState,
}

/// The state of a check's circuit breaker, as a result shows it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CircuitStatus {
    pub state: CircuitState,
    pub retry_after: Option<Duration>,
}
