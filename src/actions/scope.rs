//! Which processes share an action.

use serde::Deserialize;

/// Which processes share an action: one of them runs it for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionScope {
    /// None: each acts for itself.
    Process,
    /// Those that share the results of checks.
    Host,
}
