//! What keeps an action that is due from starting.

use serde::{Deserialize, Serialize};

/// Of how many instances of a fleet one may act at a time.
const ONE_OF: u32 = 4;

/// What a fleet allows one of its hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FleetPermission {
    /// The host may act, or is in no fleet.
    #[default]
    Granted,
    /// It was not asked: nothing starts now.
    Unknown,
    /// As many instances act as may at once.
    Full { acting: u32, total: u32 },
    /// It cannot be asked.
    Lost,
}

/// How many of so many instances may act at once: a quarter, and one at least.
pub fn at_once(instances: u32) -> u32 {
    (instances / ONE_OF).max(1)
}

/// What one process knows beside the results when it judges an action.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Situation {
    /// Whether this process is about to end.
    pub is_draining: bool,
    /// Whether the critical checks have passed once.
    pub has_started: bool,
    /// What has switched all actions of this process off, such as its environment.
    pub off: Option<String>,
    /// On how many of the known instances the check fails.
    pub failing: u32,
    pub total: u32,
    pub fleet: FleetPermission,
    /// Whether the action can run in this process.
    pub can_act: bool,
    /// Why the action must not run in this process, though it could.
    pub forbidden: Option<String>,
}

/// Why an action that is due does not start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stop {
    SwitchedOff {
        by: String,
    },
    Disabled {
        by: String,
    },
    Everywhere {
        failing: u32,
        total: u32,
    },
    /// It ran as often as it may, and its check fails in each process that has run it since.
    InEachProcess {
        processes: u32,
        runs: u32,
    },
    Forbidden {
        why: String,
    },
    PerHour {
        limit: u32,
    },
    PerIncident {
        limit: u32,
    },
    /// As many instances of the fleet act as may at once.
    Quarter {
        acting: u32,
        total: u32,
    },
    /// The fleet cannot be asked how many act, and this host has acted within the hour.
    Alone,
}

impl Stop {
    /// Whether two are of one kind: each kind is noted once in an incident.
    pub fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    pub fn in_words(&self) -> String {
        match self {
            Self::SwitchedOff { by } => format!("stopped: actions are switched off by {by}"),
            Self::Disabled { by } => format!("stopped: disabled by {by}"),
            Self::Everywhere { failing, total } => {
                format!("stopped: the dependency fails everywhere ({failing} of {total} instances)")
            }
            Self::InEachProcess { processes, runs } => {
                let times = times(*runs);
                format!(
                    "stopped: the dependency fails everywhere (in each of {processes} processes), though it ran {times}; \
                     a person is needed"
                )
            }
            Self::Forbidden { why } => format!("stopped: {why}"),
            Self::PerHour { limit } => {
                format!("stopped: it ran {} in the last hour; a person is needed", times(*limit))
            }
            Self::PerIncident { limit } => {
                format!("stopped: it ran {} in this incident; a person is needed", times(*limit))
            }
            Self::Quarter { acting, total } => {
                format!("stopped: {acting} of {total} instances act already; it waits for one of them")
            }
            Self::Alone => {
                "stopped: the fleet cannot be asked, and this host has acted within the last hour".to_owned()
            }
        }
    }
}

fn times(number: u32) -> String {
    match number {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{number} times"),
    }
}

impl Situation {
    /// What this process knows that forbids an action.
    pub(super) fn stop(&self) -> Option<Stop> {
        match () {
            () if self.off.is_some() => self.off.clone().map(|by| Stop::SwitchedOff { by }),
            () if self.total > 1 && self.failing.saturating_mul(2) > self.total => {
                Some(Stop::Everywhere { failing: self.failing, total: self.total })
            }
            () => self.forbidden.clone().map(|why| Stop::Forbidden { why }),
        }
    }
}
