//! The control groups that leave this process fewer CPUs than the host has: their pressure and their throttling.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use super::cgroup::{self, Groups, Version};
use crate::runtime::lock;

/// What limits this process, as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct CpuGroup {
    pub source: &'static str,
    pub host_cpus: usize,
    /// In CPUs, of the tightest group; `None` where only the affinity mask is smaller.
    pub quota: Option<f64>,
    /// Pressure stall information of this process's own group; version 1 has none.
    pub pressure: Option<Map<String, Value>>,
    /// Of the periods between two samples those in which a group was throttled, in percent, of the most throttled one.
    pub throttled_percent: Option<f64>,
}

impl CpuGroup {
    /// Whether nothing can be judged before the throttling is read again.
    pub fn needs_second_sample(&self) -> bool {
        self.quota.is_some() && self.pressure.is_none() && self.throttled_percent.is_none()
    }
}

/// The counters of each group as they were when it was last judged.
#[derive(Default)]
pub struct ThrottleSamples(Mutex<BTreeMap<PathBuf, ThrottleSample>>);

#[derive(Clone, Copy, Debug)]
struct ThrottleSample {
    at: Instant,
    periods: u64,
    throttled: u64,
}

/// Samples that are closer than this are compared with the one before.
const MIN_INTERVAL: Duration = Duration::from_millis(200);

/// The groups of this process, if they or its affinity mask leave it fewer than the host's CPUs.
pub fn limited(root: &Path, available: usize, samples: &ThrottleSamples) -> Option<CpuGroup> {
    let host_cpus = online(&cgroup::read(&root.join("sys/devices/system/cpu/online")).ok()?)?;
    let groups = Groups::of_this_process(root, "cpu");
    let (version, directories) = groups
        .as_deref()
        .map_or((Version::V2, [].as_slice()), |groups| (groups.version, groups.directories.as_slice()));
    let limited: Vec<(&PathBuf, f64)> =
        directories.iter().filter_map(|group| Some((group, quota(group, version)?))).collect();
    let quota = limited.iter().map(|(_, quota)| *quota).min_by(f64::total_cmp).filter(|q| *q < host_cpus as f64);
    if quota.is_none() && available >= host_cpus {
        return None;
    }
    let throttled = limited.iter().filter_map(|(group, _)| samples.throttled_percent(group));
    Some(CpuGroup {
        source: match version {
            Version::V1 => "cgroup v1",
            Version::V2 => "cgroup v2",
        },
        host_cpus,
        quota,
        pressure: directories.first().and_then(|group| pressure(&group.join("cpu.pressure"))),
        throttled_percent: throttled.max_by(f64::total_cmp),
    })
}

impl ThrottleSamples {
    fn throttled_percent(&self, group: &Path) -> Option<f64> {
        let text = cgroup::read(&group.join("cpu.stat")).ok()?;
        let number =
            |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse::<u64>().ok());
        let now =
            ThrottleSample { at: Instant::now(), periods: number("nr_periods")?, throttled: number("nr_throttled")? };
        let mut samples = lock(&self.0);
        let Some(last) = samples.get(group).copied() else {
            samples.insert(group.to_path_buf(), now);
            return None;
        };
        if now.at.saturating_duration_since(last.at) >= MIN_INTERVAL {
            samples.insert(group.to_path_buf(), now);
        }
        let periods = now.periods.saturating_sub(last.periods);
        let throttled = now.throttled.saturating_sub(last.throttled);
        Some(if periods == 0 { 0.0 } else { throttled as f64 / periods as f64 * 100.0 })
    }
}

/// How many CPUs a group may use, if it has a quota.
fn quota(group: &Path, version: Version) -> Option<f64> {
    let read = |file: &str| cgroup::read(&group.join(file)).ok();
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let (quota, period) = match version {
        Version::V1 => (number(&read("cpu.cfs_quota_us")?)?, number(&read("cpu.cfs_period_us")?)?),
        Version::V2 => {
            let text = read("cpu.max")?;
            let (quota, period) = text.trim().split_once(' ')?;
            // "max" is no number.
            (number(quota)?, number(period)?)
        }
    };
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

/// The share of time in which something (`some`) or everything (`full`) waited for a CPU.
pub fn pressure(file: &Path) -> Option<Map<String, Value>> {
    let text = cgroup::read(file).ok()?;
    // some avg10=1.17 avg60=0.75 avg300=1.16 total=13787629
    let averages = text.lines().flat_map(|line| {
        let (scope, values) = line.split_once(' ').unwrap_or_default();
        values.split(' ').filter_map(move |pair| {
            let (name, value) = pair.split_once('=').filter(|(name, _)| name.starts_with("avg"))?;
            Some((format!("{scope}_{name}"), value.parse::<f64>().ok()?.into()))
        })
    });
    Some(averages.collect())
}

/// How many CPUs a list such as `0-3,8` names.
fn online(list: &str) -> Option<usize> {
    let ranges = list.trim().split(',').map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(last.parse::<usize>().ok()?.checked_sub(first.parse().ok()?)? + 1)
    });
    ranges.sum::<Option<usize>>().filter(|count| *count > 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::cgroup::tests::Tree;
    use super::*;
    use serde_json::json;

    const V2: &[(&str, &str)] = &[
        ("proc/self/cgroup", "0::/a/b\n"),
        ("proc/self/mountinfo", "35 31 0:32 / /m rw - cgroup2 cgroup2 rw\n"),
        ("sys/devices/system/cpu/online", "0-15\n"),
    ];
    const V1: &[(&str, &str)] = &[
        ("proc/self/cgroup", "3:cpu,cpuacct:/a/b\n"),
        ("proc/self/mountinfo", "35 31 0:32 / /m rw - cgroup cgroup rw,cpu,cpuacct\n"),
        ("sys/devices/system/cpu/online", "0-15\n"),
    ];

    #[test]
    fn online_counts_ranges() {
        for (list, count) in [("0\n", Some(1)), ("0-3,8", Some(5)), ("0-1", Some(2)), ("", None), ("3-1", None)] {
            assert_eq!(online(list), count, "{list}");
        }
    }

    #[test]
    fn host_without_limits_is_no_group() {
        for layout in [V1, V2] {
            let tree = Tree::new(layout);
            tree.write("m/a/b/cpu.max", "max 100000\n");
            tree.write("m/a/b/cpu.cfs_quota_us", "-1");
            tree.write("m/a/b/cpu.cfs_period_us", "100000");
            assert_eq!(limited(&tree.0, 16, &ThrottleSamples::default()), None);
            assert_eq!(limited(&tree.0, 4, &ThrottleSamples::default()).unwrap().quota, None);
        }
    }

    #[test]
    fn quota_of_a_parent_limits() {
        let tree = Tree::new(V2);
        tree.write("m/a/b/cpu.max", "max 100000\n");
        tree.write("m/a/cpu.max", "50000 100000\n");
        tree.write("m/a/b/cpu.pressure", "some avg10=2.00 avg60=1.50 total=1\nfull avg10=0.50 total=x\nnonsense\n\n");
        let group = limited(&tree.0, 1, &ThrottleSamples::default()).unwrap();
        assert_eq!((group.quota, group.host_cpus, group.source), (Some(0.5), 16, "cgroup v2"));
        let expected = json!({"some_avg10": 2.0, "some_avg60": 1.5, "full_avg10": 0.5});
        assert_eq!(Value::from(group.pressure.clone().unwrap()), expected);
        assert!(!group.needs_second_sample());
    }

    #[test]
    fn throttling_is_the_share_between_two_samples() {
        let tree = Tree::new(V1);
        let samples = ThrottleSamples::default();
        tree.write("m/a/b/cpu.cfs_quota_us", "100000");
        tree.write("m/a/b/cpu.cfs_period_us", "100000");
        tree.write("m/a/b/cpu.stat", "nr_periods 1000\nnr_throttled 900\nthrottled_time 5\n");
        let first = limited(&tree.0, 1, &samples).unwrap();
        assert!(first.needs_second_sample());
        tree.write("m/a/b/cpu.stat", "nr_periods 1010\nnr_throttled 904\nthrottled_time 5\n");
        let second = limited(&tree.0, 1, &samples).unwrap();
        assert_eq!((second.throttled_percent, second.source), (Some(40.0), "cgroup v1"));
    }
}
