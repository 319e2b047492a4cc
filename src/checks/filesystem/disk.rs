//! How full the file systems behind the configured paths are, in space and in inodes.

use serde::Deserialize;
use std::path::Path;
use std::path::PathBuf;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use serde_json::{Map, Value, json};

use super::severity;
use crate::checks::Check;
use crate::checks::thresholds::Thresholds;
use crate::checks::usage::{gigabytes, level, round};
use crate::model::{CheckError, Finding, Phase, Status};
use crate::runtime::Context;
use crate::runtime::blocking::single_flight;

/// The share (80%, 90%) of space and of inodes in use where the paths are.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskCheck {
    pub paths: Vec<PathBuf>,
    /// Share of the space, and of the inodes, in use, in percent.
    #[serde(default = "percent_thresholds")]
    pub thresholds: Thresholds,
}

#[async_trait]
impl Check for DiskCheck {
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        context.enter(Phase::Query);
        let readings = try_join_all(self.paths.iter().map(|path| async move {
            let name = path.display().to_string();
            let reading = single_flight(&context.process, &name, {
                let path = path.clone();
                move || read(&path)
            });
            Ok((name.clone(), reading.await?))
        }));
        Ok(judge(readings.await?, self.thresholds))
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Reading {
    Usage(Usage),
    Missing,
    Unreadable(String),
    /// This operating system has no `statvfs`.
    #[cfg_attr(unix, allow(dead_code, reason = "only read elsewhere"))]
    Unsupported,
}

/// In bytes, or in inodes. `free` is what an unprivileged process can still take: less than `total - used` where the
/// file system keeps a reserve for root (74 of 235 GB on one disk).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scope {
    total: u64,
    used: u64,
    free: u64,
}

impl Scope {
    /// As `df` computes it: the reserve counts neither as used nor as free.
    fn percent_used(self) -> f64 {
        let usable = self.used.saturating_add(self.free);
        if usable == 0 { 0.0 } else { self.used as f64 / usable as f64 * 100.0 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Usage {
    space: Scope,
    /// None where the file system makes inodes as it needs them (btrfs).
    inodes: Option<Scope>,
}

#[cfg(unix)]
fn read(path: &Path) -> Reading {
    use rustix::io::Errno;
    match rustix::fs::statvfs(path) {
        Ok(stat) => {
            let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
            let space = Scope {
                total: bytes(stat.f_blocks),
                used: bytes(stat.f_blocks.saturating_sub(stat.f_bfree)),
                free: bytes(stat.f_bavail),
            };
            let inodes =
                Scope { total: stat.f_files, used: stat.f_files.saturating_sub(stat.f_ffree), free: stat.f_favail };
            Reading::Usage(Usage { space, inodes: (inodes.total > 0).then_some(inodes) })
        }
        Err(Errno::NOENT | Errno::NOTDIR) => Reading::Missing,
        Err(errno) => Reading::Unreadable(errno.kind().to_string()),
    }
}

#[cfg(not(unix))]
fn read(_: &Path) -> Reading {
    Reading::Unsupported
}

/// One path, judged: how bad, how full, and what the message would say of it.
struct Verdict {
    status: Status,
    percent: f64,
    words: String,
}

fn judge(readings: Vec<(String, Reading)>, thresholds: Thresholds) -> Finding {
    let mut details = Map::new();
    let mut worst: Option<Verdict> = None;
    for (path, reading) in readings {
        let (verdict, detail) = match reading {
            Reading::Usage(usage) => judge_usage(&path, usage, thresholds),
            Reading::Unreadable(reason) => {
                let words = format!("Disk usage cannot be read: {path} ({reason})");
                let detail = json!({"status": Status::Error, "problem": reason});
                (Verdict { status: Status::Error, percent: f64::INFINITY, words }, detail)
            }
            Reading::Missing => {
                details.insert(path, json!({"status": "warning", "problem": "does not exist"}));
                continue;
            }
            Reading::Unsupported => return Finding::skipped("This operating system does not tell disk usage by path"),
        };
        details.insert(path, detail);
        let rank = |verdict: &Verdict| (severity(verdict.status), verdict.percent);
        if worst.as_ref().is_none_or(|worst| rank(&verdict) > rank(worst)) {
            worst = Some(verdict);
        }
    }
    let finding = match worst {
        Some(Verdict { status, words, .. }) => Finding::new(status, words),
        None if details.is_empty() => return Finding::skipped("No path is configured"),
        None => Finding::degraded("Disk usage is unknown: none of the configured paths exists"),
    };
    finding.with("disk_usage", details)
}

fn judge_usage(path: &str, usage: Usage, thresholds: Thresholds) -> (Verdict, Value) {
    let space = usage.space.percent_used();
    let inodes = usage.inodes.map(Scope::percent_used);
    // The fuller of the two is what the path will run out of first.
    let (percent, of_what) = match inodes {
        Some(inodes) if inodes > space => (inodes, "of the inodes used"),
        _ => (space, "used"),
    };
    let status = thresholds.judge(percent);
    let level = level(status);
    let words = format!("Disk usage is {level}: {path} {percent:.1} % {of_what}");
    let mut detail = json!({
        "total_gb": gigabytes(usage.space.total),
        "used_gb": gigabytes(usage.space.used),
        "free_gb": gigabytes(usage.space.free),
        "percent_used": round(space),
        "status": status,
    });
    if let (Some(inodes), Some(detail)) = (inodes, detail.as_object_mut()) {
        detail.insert("inodes_percent_used".to_owned(), round(inodes).into());
    }
    (Verdict { status, percent, words }, detail)
}

fn percent_thresholds() -> Thresholds {
    Thresholds::new(80.0, 90.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1 << 30;

    fn usage(used: u64, free: u64, inodes: Option<(u64, u64)>) -> Reading {
        let share = |(used, free)| Scope { total: used + free, used, free };
        Reading::Usage(Usage { space: share((used * GB, free * GB)), inodes: inodes.map(share) })
    }

    #[test]
    fn judges_the_worst_path() {
        use Status::{Degraded, Error, Healthy, Skipped};
        let table = [
            (vec![], Skipped, "No path is configured"),
            (vec![("/", usage(80, 20, None))], Healthy, "Disk usage is normal: / 80.0 % used"),
            (vec![("/", usage(801, 199, None))], Degraded, "Disk usage is high: / 80.1 % used"),
            (vec![("/", usage(90, 10, None))], Degraded, "Disk usage is high: / 90.0 % used"),
            (
                vec![("/", usage(85, 15, None)), ("/var/log", usage(931, 69, None))],
                Error,
                "Disk usage is critical: /var/log 93.1 % used",
            ),
            (vec![("/", usage(10, 90, Some((99, 1))))], Error, "Disk usage is critical: / 99.0 % of the inodes used"),
            (vec![("/", usage(0, 0, None))], Healthy, "Disk usage is normal: / 0.0 % used"),
            (
                vec![("/a", Reading::Missing), ("/", usage(1, 99, Some((0, 5))))],
                Healthy,
                "Disk usage is normal: / 1.0 % used",
            ),
            (vec![("/a", Reading::Missing)], Degraded, "Disk usage is unknown: none of the configured paths exists"),
            (
                vec![("/", usage(99, 1, None)), ("/mnt", Reading::Unreadable("stale network file handle".into()))],
                Error,
                "Disk usage cannot be read: /mnt (stale network file handle)",
            ),
        ];
        for (readings, status, message) in table {
            let readings = readings.into_iter().map(|(path, reading): (&str, _)| (path.to_owned(), reading)).collect();
            let finding = judge(readings, Thresholds::new(80.0, 90.0));
            assert_eq!((finding.status, finding.message.as_str()), (status, message));
        }
    }

    #[test]
    fn details_hold_what_was_read() {
        let space = Scope { total: 100 * GB, used: 20 * GB, free: 75 * GB };
        let inodes = Some(Scope { total: 300, used: 100, free: 200 });
        let readings =
            vec![("/".to_owned(), Reading::Usage(Usage { space, inodes })), ("/a".to_owned(), Reading::Missing)];
        let finding = judge(readings, Thresholds::new(80.0, 90.0));
        let expected = json!({
            "/": {
                "total_gb": 100.0, "used_gb": 20.0, "free_gb": 75.0, "percent_used": 21.05, "status": "healthy",
                "inodes_percent_used": 33.33,
            },
            "/a": {"status": "warning", "problem": "does not exist"},
        });
        assert_eq!(finding.details.get("disk_usage"), Some(&expected));
    }
}
