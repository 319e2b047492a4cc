//! How full the memory is that this process may use: the host's, and that of each of its groups with a limit.

use serde::Deserialize;
use std::path::Path;

use async_trait::async_trait;

use super::cgroup::{self, Groups, Version};
use crate::checks::Check;
use crate::checks::thresholds::Thresholds;
use crate::checks::usage::{gigabytes, level, round};
use crate::model::{CheckError, Finding, Phase};
use crate::runtime::Context;
use crate::runtime::blocking::short_single_flight;

/// The share (80%, 90%) of memory in use: of the host, or of the fullest control group with a limit.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryCheck {
    #[serde(default = "percent_thresholds")]
    pub thresholds: Thresholds,
}

#[async_trait]
impl Check for MemoryCheck {
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        context.enter(Phase::Query);
        // memory.stat can block: the kernel collects it from all processors and groups.
        let usage =
            short_single_flight(&context.process, "", || host().map(|host| fullest(host, Path::new("/")))).await?;
        Ok(usage.map_or_else(
            || Finding::skipped("This operating system does not say how much memory there is"),
            |usage| judge(usage, self.thresholds),
        ))
    }
}

/// In bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct MemoryUsage {
    total: u64,
    /// What the kernel cannot reclaim.
    used: u64,
    /// What the kernel gives back before it runs out: page cache, inactive or active, and reclaimable slabs.
    reclaimable: u64,
    source: &'static str,
}

impl MemoryUsage {
    fn percent(self) -> f64 {
        self.used as f64 / self.total as f64 * 100.0
    }
}

/// What sysinfo makes of this file, without the others that it reads first.
#[cfg(target_os = "linux")]
fn host() -> Option<MemoryUsage> {
    let file = cgroup::read(Path::new("/proc/meminfo")).ok()?;
    let bytes = |name: &str| {
        let line = file.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1_024)
    };
    let (total, free) = (bytes("MemTotal")?, bytes("MemFree")?);
    // Linux before 3.14 does not say what is available.
    let available = bytes("MemAvailable").unwrap_or(free);
    let (used, reclaimable) = (total.saturating_sub(available), available.saturating_sub(free));
    (total > 0).then_some(MemoryUsage { total, used, reclaimable, source: "host" })
}

#[cfg(not(target_os = "linux"))]
fn host() -> Option<MemoryUsage> {
    use sysinfo::{MemoryRefreshKind, RefreshKind, System};

    let ram = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(ram).ok()?;
    let total = system.total_memory();
    let used = total.saturating_sub(system.available_memory());
    let reclaimable = system.available_memory().saturating_sub(system.free_memory());
    (total > 0).then_some(MemoryUsage { total, used, reclaimable, source: "host" })
}

/// The fullest of the host's memory and all groups that this process is in and that have a limit.
fn fullest(host: MemoryUsage, root: &Path) -> MemoryUsage {
    let groups = Groups::of_this_process(root, "memory");
    let limits =
        groups.iter().flat_map(|groups| groups.directories.iter().filter_map(|path| limit(path, groups.version)));
    // A limit above the host's memory is none: the host runs out before.
    let limits = limits.filter(|usage| usage.total < host.total);
    limits.fold(host, |fullest, usage| if usage.percent() > fullest.percent() { usage } else { fullest })
}

/// The limit of one group and its usage, if it has one.
fn limit(group: &Path, version: Version) -> Option<MemoryUsage> {
    let (limit, usage, source) = match version {
        Version::V1 => ("memory.limit_in_bytes", "memory.usage_in_bytes", "cgroup v1"),
        Version::V2 => ("memory.max", "memory.current", "cgroup v2"),
    };
    // Active page cache counts: it was read more than once, and the kernel reclaims it all the same.
    let caches: &[&str] = match version {
        Version::V1 => &["total_active_file", "total_inactive_file"],
        Version::V2 => &["active_file", "inactive_file", "slab_reclaimable"],
    };
    let read = |file: &str| cgroup::read(&group.join(file)).ok();
    let number = |file: &str| read(file)?.trim().parse::<u64>().ok();
    // "max" is no number; version 1 says "unlimited" as about 2^63, which exceeds every host.
    let limit = number(limit)?;
    // Only now: the kernel collects it from all processors, and most groups have no limit.
    let stat = read("memory.stat").unwrap_or_default();
    let stat = |key: &str| stat.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse::<u64>().ok());
    // Version 1 also knows the limit of parents that a container does not see.
    let total = limit.min(stat("hierarchical_memory_limit").unwrap_or(u64::MAX));
    // The kernel's statistics are up to two seconds old, its usage is not: page cache that only the latter knows would
    // count as used. So what the statistics do not know yet does not count.
    let kernel = match version {
        Version::V1 => number("memory.kmem.usage_in_bytes"),
        Version::V2 => stat("kernel").map(|kernel| kernel + stat("sock").unwrap_or(0) + stat("zswap").unwrap_or(0)),
    };
    let (process, file) = match version {
        Version::V1 => ("total_rss", "total_cache"),
        Version::V2 => ("anon", "file"),
    };
    let usage = number(usage)?;
    let known = || Some(stat(process)? + stat(file)? + kernel?);
    let usage = known().map_or(usage, |known| usage.min(known));
    let reclaimable = usage.min(caches.iter().filter_map(|key| stat(key)).sum());
    (total > 0).then_some(MemoryUsage { total, used: usage - reclaimable, reclaimable, source })
}

fn judge(usage: MemoryUsage, thresholds: Thresholds) -> Finding {
    let MemoryUsage { total, used, reclaimable, source } = usage;
    let percent = usage.percent();
    let status = thresholds.judge(percent);
    let level = level(status);
    let of = if source == "host" { "" } else { " limit" };
    let (total_gb, crossed) = (gigabytes(total), thresholds.crossed(status, "%"));
    Finding::new(status, format!("Memory usage is {level}: {percent:.1}% of the {total_gb} GB{of} used{crossed}"))
        .with("total_gb", total_gb)
        .with("used_gb", gigabytes(used))
        .with("available_gb", gigabytes(total.saturating_sub(used)))
        .with("percent_used", round(percent))
        .with("reclaimable_gb", gigabytes(reclaimable))
        .with("source", source)
}

fn percent_thresholds() -> Thresholds {
    Thresholds::new(80.0, 90.0)
}

#[cfg(test)]
mod tests {
    use super::super::cgroup::tests::Tree;
    use super::*;
    use crate::model::Status;

    const MB: u64 = 1 << 20;
    const HOST: MemoryUsage = MemoryUsage { total: 1000 * MB, used: 300 * MB, reclaimable: 0, source: "host" };
    const V1: &[(&str, &str)] = &[
        ("proc/self/cgroup", "4:memory:/a/b\n0::/\n"),
        ("proc/self/mountinfo", "35 31 0:32 / /m rw - cgroup cgroup rw,memory\n1 1 0:1 / /u rw - cgroup2 cgroup2 rw\n"),
    ];
    const V2: &[(&str, &str)] =
        &[("proc/self/cgroup", "0::/a/b\n"), ("proc/self/mountinfo", "35 31 0:32 / /m rw - cgroup2 cgroup2 rw\n")];

    /// Path, limit, usage, page cache (half of it active); in MB.
    type Group = (&'static str, &'static str, u64, u64);

    fn found(layout: &[(&str, &str)], groups: &[Group]) -> MemoryUsage {
        let (limit, current, prefix) = match layout == V1 {
            true => ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
            false => ("memory.max", "memory.current", ""),
        };
        let in_bytes = |text: &str| text.parse().map_or(text.to_owned(), |mb: u64| mb.saturating_mul(MB).to_string());
        let tree = Tree::new(layout);
        for (group, max, usage, cache) in groups {
            let half = cache * MB / 2;
            let stat =
                format!("anon 1\n{prefix}active_file_x 7\n{prefix}active_file {half}\n{prefix}inactive_file {half}\n");
            for (file, content) in [(limit, in_bytes(max)), (current, (usage * MB).to_string()), ("memory.stat", stat)]
            {
                tree.write(&format!("m{group}/{file}"), &content);
            }
        }
        fullest(HOST, &tree.0)
    }

    #[test]
    fn fullest_of_host_and_groups_counts() {
        let unlimited = "9223372036854771712";
        for (layout, source, none) in [(V1, "cgroup v1", unlimited), (V2, "cgroup v2", "max")] {
            let of = |total: u64, used: u64, cache: u64| MemoryUsage {
                total: total * MB,
                used: used * MB,
                reclaimable: cache * MB,
                source,
            };
            let table: &[(&str, &[Group], MemoryUsage)] = &[
                ("no files", &[], HOST),
                ("no limit", &[("/a/b", none, 900, 0), ("/a", none, 900, 0)], HOST),
                ("own limit", &[("/a/b", "512", 400, 150), ("/a", none, 500, 0)], of(512, 250, 150)),
                ("parent is fuller", &[("/a/b", "800", 300, 0), ("/a", "600", 590, 10)], of(600, 580, 10)),
                ("own is fuller", &[("/a/b", "800", 700, 0), ("/a", "600", 500, 20)], of(800, 700, 0)),
                ("host is fuller", &[("/a/b", "800", 100, 0), ("/a", "900", 200, 0)], HOST),
                ("equal limits", &[("/a/b", "512", 200, 0), ("/a", "512", 300, 0)], of(512, 300, 0)),
                ("mount point", &[("/a/b", none, 100, 0), ("", "700", 650, 0)], of(700, 650, 0)),
                ("more than the host", &[("/a/b", "2000", 1900, 0)], HOST),
                ("nothing allowed", &[("/a/b", "0", 0, 0)], HOST),
                ("nonsense", &[("/a/b", "-1", 0, 0)], HOST),
                ("only cache", &[("/a/b", "512", 500, 500)], HOST),
                ("cache above usage", &[("/a/b", "512", 10, 20)], HOST),
            ];
            for (name, groups, expected) in table {
                assert_eq!(found(layout, groups), *expected, "{source}: {name}");
            }
        }
    }

    #[test]
    fn version_1_limit_of_a_parent_out_of_sight_counts() {
        let tree = Tree::new(V1);
        tree.write("m/a/b/memory.limit_in_bytes", "9223372036854771712");
        tree.write("m/a/b/memory.usage_in_bytes", "3000");
        tree.write(
            "m/a/b/memory.stat",
            "hierarchical_memory_limit 4000\ntotal_inactive_file 60\ntotal_active_file 40\n",
        );
        assert_eq!(
            fullest(HOST, &tree.0),
            MemoryUsage { total: 4000, used: 2900, reclaimable: 100, source: "cgroup v1" }
        );
    }

    #[test]
    fn what_the_statistics_do_not_know_yet_does_not_count() {
        let (limit, now) = ("500000", "400000");
        let v1 = Tree::new(V1);
        for (file, text) in [
            ("limit_in_bytes", limit),
            ("usage_in_bytes", now),
            ("kmem.usage_in_bytes", "1000"),
            ("stat", "total_cache 20000\ntotal_rss 50000\ntotal_inactive_file 15000\ntotal_active_file 0\n"),
        ] {
            v1.write(&format!("m/a/b/memory.{file}"), text);
        }
        let v2 = Tree::new(V2);
        for (file, text) in [
            ("max", limit),
            ("current", now),
            ("stat", "anon 50000\nfile 20000\nkernel 700\nsock 200\nzswap 100\ninactive_file 15000\n"),
        ] {
            v2.write(&format!("m/a/b/memory.{file}"), text);
        }
        for (tree, source) in [(v1, "cgroup v1"), (v2, "cgroup v2")] {
            let expected = MemoryUsage { total: 500_000, used: 56_000, reclaimable: 15_000, source };
            let idle = MemoryUsage { used: 0, ..HOST };
            assert_eq!(fullest(idle, &tree.0), expected);
        }
    }

    #[test]
    fn judges_the_share_in_use() {
        let table = [
            (80, Status::Healthy, "Memory usage is normal: 80.0% of the 2 GB limit used"),
            (81, Status::Degraded, "Memory usage is high: 81.0% of the 2 GB limit used (above 80%)"),
            (91, Status::Error, "Memory usage is critical: 91.0% of the 2 GB limit used (above 90%)"),
        ];
        for (percent, status, message) in table {
            let total = 2048 * MB;
            let finding = judge(
                MemoryUsage { total, used: total / 100 * percent, reclaimable: 0, source: "cgroup v2" },
                Thresholds::new(80.0, 90.0),
            );
            assert_eq!((finding.status, finding.message.as_str()), (status, message));
        }
        let finding = judge(
            MemoryUsage { total: 2048 * MB, used: 512 * MB, reclaimable: 256 * MB, source: "host" },
            Thresholds::new(80.0, 90.0),
        );
        assert_eq!(finding.message, "Memory usage is normal: 25.0% of the 2 GB used");
        let details = serde_json::json!({
            "total_gb": 2.0, "used_gb": 0.5, "available_gb": 1.5, "percent_used": 25.0, "reclaimable_gb": 0.25,
            "source": "host",
        });
        assert_eq!(serde_json::Value::from(finding.details), details);
    }
}
