//! The machine that the process runs on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{Thresholds, seconds, yes};

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    pub paths: Vec<PathBuf>,
    /// Share of the space, and of the inodes, in use, in percent.
    #[serde(default = "percent_thresholds")]
    pub thresholds: Thresholds,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    #[serde(default = "percent_thresholds")]
    pub thresholds: Thresholds,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// One-minute load average per available CPU.
    #[serde(default = "load_thresholds")]
    pub thresholds: Thresholds,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    pub path: PathBuf,
    /// Not writable: an error if critical, else degraded.
    #[serde(default = "yes")]
    pub critical: bool,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directories {
    /// By the name under which the directory stands in the details.
    pub directories: BTreeMap<String, Directory>,
}

/// Something that says `beat` now and then.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    pub name: String,
    /// Not heard for longer is an error.
    #[serde(deserialize_with = "seconds")]
    pub max_age: Duration,
}

fn percent_thresholds() -> Thresholds {
    Thresholds::new(80.0, 90.0)
}

fn load_thresholds() -> Thresholds {
    Thresholds::new(0.7, 0.9)
}
