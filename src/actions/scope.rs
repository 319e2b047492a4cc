//! Which processes share an action.

use serde::Deserialize;

/// Which processes share an action: one of them runs it for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionScope {
    /// None: each acts for itself.
    Process,
    /// Those that share the results of checks.
    Host,
    /// Those of all hosts that meet in one server.
    Fleet,
}

impl ActionScope {
    /// Those whose tables the store of the host holds.
    pub const ON_HOST: [Self; 2] = [Self::Process, Self::Host];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Host => "host",
            Self::Fleet => "fleet",
        }
    }
}
