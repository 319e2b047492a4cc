//! How much more work there is than the processors that this process may use can do.

use serde::Deserialize;
use std::path::Path;

use async_trait::async_trait;
use serde_json::{Map, Value};
use sysinfo::{LoadAvg, System};

use super::cgroup::{self, Groups, Version};
use crate::checks::Check;
use crate::checks::thresholds::Thresholds;
use crate::checks::usage::{level, round};
use crate::model::{CheckError, Finding, Phase};
use crate::runtime::Context;

/// The one-minute load average per available CPU (0.7, 0.9).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpuCheck {
    /// One-minute load average per available CPU.
    #[serde(default = "load_thresholds")]
    pub thresholds: Thresholds,
}

#[async_trait]
impl Check for CpuCheck {
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        context.enter(Phase::Query);
        // At once: no file of these is on a disk.
        Ok(read().map_or_else(
            || Finding::skipped("This operating system has no load average"),
            |reading| judge(reading, self.thresholds),
        ))
    }
}

#[derive(Clone, Debug)]
struct Reading {
    load: LoadAvg,
    cpus: usize,
    pressure: Option<Map<String, Value>>,
}

fn read() -> Option<Reading> {
    // sysinfo makes one up on Windows, from the first call on.
    if cfg!(windows) {
        return None;
    }
    // Honours the affinity mask and the quota of every cgroup above, in whole processors and at least one.
    let cpus = std::thread::available_parallelism().ok()?.get();
    Some(Reading { load: System::load_average().ok()?, cpus, pressure: pressure(Path::new("/")) })
}

/// Pressure stall information: the share of time in which something (`some`) or everything (`full`) waited for a
/// processor, of this process's group where version 2 tells it, else of the host.
fn pressure(root: &Path) -> Option<Map<String, Value>> {
    let groups = Groups::of_this_process(root, "cpu").filter(|groups| groups.version == Version::V2);
    let own = groups.and_then(|groups| cgroup::read(&groups.directories.first()?.join("cpu.pressure")).ok());
    let text = own.or_else(|| cgroup::read(&root.join("proc/pressure/cpu")).ok())?;
    // some avg10=1.17 avg60=0.75 avg300=1.16 total=13787629
    let averages = text.lines().flat_map(|line| {
        let (who, values) = line.split_once(' ').unwrap_or_default();
        values.split(' ').filter_map(move |pair| {
            let (name, value) = pair.split_once('=').filter(|(name, _)| name.starts_with("avg"))?;
            Some((format!("{who}_{name}"), value.parse::<f64>().ok()?.into()))
        })
    });
    Some(averages.collect())
}

fn judge(Reading { load, cpus, pressure }: Reading, thresholds: Thresholds) -> Finding {
    let normalized = load.one / cpus as f64;
    let status = thresholds.judge(normalized);
    let level = level(status);
    let finding = Finding::new(status, format!("CPU load is {level}: {normalized:.2} per available CPU"))
        .with("load_1min", round(load.one))
        .with("load_5min", round(load.five))
        .with("load_15min", round(load.fifteen))
        .with("cpu_count", cpus)
        .with("normalized_load", round(normalized));
    match pressure {
        Some(pressure) => finding.with("pressure", pressure),
        None => finding,
    }
}

fn load_thresholds() -> Thresholds {
    Thresholds::new(0.7, 0.9)
}

#[cfg(test)]
mod tests {
    use super::super::cgroup::tests::Tree;
    use super::*;
    use crate::model::Status;

    fn details(map: Option<Map<String, Value>>) -> Value {
        map.map_or(Value::Null, Value::from)
    }

    #[test]
    fn judges_the_load_per_available_cpu() {
        let thresholds = Thresholds { degraded_above: 0.7, error_above: 0.9 };
        let table = [
            (1.4, Status::Healthy, "CPU load is normal: 0.70 per available CPU"),
            (1.5, Status::Degraded, "CPU load is high: 0.75 per available CPU"),
            (3.0, Status::Error, "CPU load is critical: 1.50 per available CPU"),
        ];
        for (one, status, message) in table {
            let load = LoadAvg { one, five: 0.125, fifteen: 0.0 };
            let finding = judge(Reading { load, cpus: 2, pressure: None }, thresholds);
            assert_eq!((finding.status, finding.message.as_str()), (status, message));
            assert_eq!(finding.details.get("cpu_count"), Some(&2.into()));
            assert_eq!(finding.details.get("load_5min"), Some(&0.13.into()));
            assert_eq!(finding.details.get("pressure"), None);
        }
    }

    #[test]
    fn pressure_is_the_groups_where_there_is_one() {
        const MOUNT: &str = "35 31 0:32 / /m rw - cgroup2 cgroup2 rw\n";
        let tree = Tree::new(&[("proc/self/cgroup", "0::/a\n"), ("proc/self/mountinfo", MOUNT)]);
        assert_eq!(pressure(&tree.0), None);
        tree.write("proc/pressure/cpu", "some avg10=1.17 avg60=0.75 avg300=1.16 total=13787629\n");
        let host = serde_json::json!({"some_avg10": 1.17, "some_avg60": 0.75, "some_avg300": 1.16});
        assert_eq!(details(pressure(&tree.0)), host);
        tree.write("m/a/cpu.pressure", "some avg10=2.00 total=1\nfull avg10=0.50 total=x\nnonsense\n\n");
        let own = serde_json::json!({"some_avg10": 2.0, "full_avg10": 0.5});
        assert_eq!(details(pressure(&tree.0)), own);
    }
}
