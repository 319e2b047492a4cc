//! Judges how full the file systems behind the configured paths are, in space and in inodes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::disk_usage::{Amount, DiskReading, DiskUsage, read};
use super::{each_path, hung, severity};
use crate::checks::Check;
use crate::checks::thresholds::Thresholds;
use crate::checks::usage::{gigabytes, level, round};
use crate::model::{CheckError, Finding, Phase, Status};
use crate::runtime::Context;

/// The share (80%, 90%) of space and of inodes in use where the paths are. Read-only file systems are shown, not judged;
/// a path that does not exist is a warning in the details.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskCheck {
    /// Those on one file system are one entry of the details, under the first of them.
    pub paths: Vec<PathBuf>,
    /// Share of the space, and of the inodes, in use, in percent.
    #[serde(default = "percent_thresholds")]
    pub thresholds: Thresholds,
}

#[async_trait]
impl Check for DiskCheck {
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        context.enter(Phase::Query);
        let work = self.paths.iter().map(|path| {
            let path = path.clone();
            (path.display().to_string(), move || read(&path))
        });
        let answers = each_path(context, work.collect()).await?;
        let (mut readings, mut missing) = (Vec::new(), Vec::new());
        for (path, reading) in answers.results {
            match reading {
                Some(reading) => readings.push((path, reading)),
                None => missing.push(path),
            }
        }
        if missing.is_empty() {
            return Ok(judge(readings, self.thresholds));
        }
        let mut known = judge(readings, self.thresholds).details;
        Err(hung(&missing, answers.seconds).with("disk_usage", known.remove("disk_usage").unwrap_or_else(|| json!({}))))
    }
}

/// One file system, judged: how bad, how full, and what the message would say of it.
struct Judged {
    status: Status,
    percent: f64,
    words: String,
}

fn judge(readings: Vec<(String, DiskReading)>, thresholds: Thresholds) -> Finding {
    let mut details = Map::new();
    let mut worst: Option<Judged> = None;
    let mut is_read_only = false;
    let mut entries: BTreeMap<u64, String> = BTreeMap::new();
    for (path, reading) in readings {
        if let DiskReading::Usage(usage) = &reading
            && let Some(entry) = entries.get(&usage.device)
        {
            add_path(details.get_mut(entry), path);
            continue;
        }
        let (judged, detail) = match reading {
            DiskReading::Usage(usage) => {
                entries.insert(usage.device, path.clone());
                if usage.is_read_only {
                    // An image is always full, and what cannot be written does not run out.
                    is_read_only = true;
                    details.insert(path, read_only(usage));
                    continue;
                }
                judge_usage(&path, usage, thresholds)
            }
            DiskReading::Unreadable(reason) => {
                let words = format!("Disk usage cannot be read: {path} ({reason})");
                let detail = json!({"status": Status::Error, "problem": reason});
                (Judged { status: Status::Error, percent: f64::INFINITY, words }, detail)
            }
            DiskReading::Missing => {
                details.insert(path, json!({"status": "warning", "problem": "does not exist"}));
                continue;
            }
            DiskReading::Unsupported => return Finding::skipped("This operating system has no disk usage by path"),
        };
        details.insert(path, detail);
        let rank = |judged: &Judged| (severity(judged.status), judged.percent);
        if worst.as_ref().is_none_or(|worst| rank(&judged) > rank(worst)) {
            worst = Some(judged);
        }
    }
    let finding = match worst {
        Some(Judged { status, words, .. }) => Finding::new(status, words),
        None if is_read_only => Finding::healthy("Disk usage is not judged: every file system is read-only"),
        None if details.is_empty() => return Finding::skipped("No path is configured"),
        None => Finding::degraded("Disk usage is unknown: none of the configured paths exists"),
    };
    finding.with("disk_usage", details)
}

fn judge_usage(path: &str, usage: DiskUsage, thresholds: Thresholds) -> (Judged, Value) {
    let space = usage.space.percent_used();
    let inodes = usage.inodes.map(Amount::percent_used);
    // The fuller of the two is what the path will run out of first.
    let (percent, of_what) = match inodes {
        Some(inodes) if inodes > space => (inodes, "of the inodes used"),
        _ => (space, "used"),
    };
    let status = thresholds.judge(percent);
    let level = level(status);
    let crossed = thresholds.crossed(status, "%");
    let words = format!("Disk usage is {level}: {path} {percent:.1}% {of_what}{crossed}");
    (Judged { status, percent, words }, detail(usage, json!(status)))
}

fn detail(usage: DiskUsage, status: Value) -> Value {
    let space = usage.space.percent_used();
    let mut detail = json!({
        "total_gb": gigabytes(usage.space.total),
        "used_gb": gigabytes(usage.space.used),
        "free_gb": gigabytes(usage.space.free),
        "percent_used": round(space),
        "status": status,
    });
    if let (Some(inodes), Some(detail)) = (usage.inodes, detail.as_object_mut()) {
        detail.insert("inodes_percent_used".to_owned(), round(inodes.percent_used()).into());
    }
    detail
}

fn read_only(usage: DiskUsage) -> Value {
    let mut detail = detail(usage, json!(Status::Skipped));
    if let Some(detail) = detail.as_object_mut() {
        detail.insert("read_only".to_owned(), true.into());
    }
    detail
}

/// Names one more path on the file system of an entry.
fn add_path(entry: Option<&mut Value>, path: String) {
    if let Some(entry) = entry.and_then(Value::as_object_mut) {
        let paths = entry.entry("also").or_insert_with(|| json!([]));
        if let Some(paths) = paths.as_array_mut() {
            paths.push(path.into());
        }
    }
}

fn percent_thresholds() -> Thresholds {
    Thresholds::new(80.0, 90.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1 << 30;

    fn usage(used: u64, free: u64, inodes: Option<(u64, u64)>) -> DiskReading {
        let share = |(used, free)| Amount { total: used + free, used, free };
        // Another device for each reading: its numbers.
        let device = used * 1000 + free;
        let space = share((used * GB, free * GB));
        DiskReading::Usage(DiskUsage { device, is_read_only: false, space, inodes: inodes.map(share) })
    }

    #[test]
    fn judges_the_worst_path() {
        use Status::{Degraded, Error, Healthy, Skipped};
        let table = [
            (vec![], Skipped, "No path is configured"),
            (vec![("/", usage(80, 20, None))], Healthy, "Disk usage is normal: / 80.0% used"),
            (vec![("/", usage(801, 199, None))], Degraded, "Disk usage is high: / 80.1% used (above 80%)"),
            (vec![("/", usage(90, 10, None))], Degraded, "Disk usage is high: / 90.0% used (above 80%)"),
            (
                vec![("/", usage(85, 15, None)), ("/var/log", usage(931, 69, None))],
                Error,
                "Disk usage is critical: /var/log 93.1% used (above 90%)",
            ),
            (
                vec![("/", usage(10, 90, Some((99, 1))))],
                Error,
                "Disk usage is critical: / 99.0% of the inodes used (above 90%)",
            ),
            (vec![("/", usage(0, 0, None))], Healthy, "Disk usage is normal: / 0.0% used"),
            (
                vec![("/a", DiskReading::Missing), ("/", usage(1, 99, Some((0, 5))))],
                Healthy,
                "Disk usage is normal: / 1.0% used",
            ),
            (
                vec![("/a", DiskReading::Missing)],
                Degraded,
                "Disk usage is unknown: none of the configured paths exists",
            ),
            (
                vec![("/", usage(99, 1, None)), ("/mnt", DiskReading::Unreadable("stale network file handle".into()))],
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
        let space = Amount { total: 100 * GB, used: 20 * GB, free: 75 * GB };
        let inodes = Some(Amount { total: 300, used: 100, free: 200 });
        let readings = vec![
            ("/".to_owned(), DiskReading::Usage(DiskUsage { device: 1, is_read_only: false, space, inodes })),
            ("/a".to_owned(), DiskReading::Missing),
        ];
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

    #[test]
    fn paths_on_one_file_system_are_one_entry() {
        let readings = ["/", "/var/log", "/srv"].map(|path| (path.to_owned(), usage(20, 80, None)));
        let finding = judge(readings.to_vec(), Thresholds::new(80.0, 90.0));
        let expected = json!({"/": {
            "total_gb": 100.0, "used_gb": 20.0, "free_gb": 80.0, "percent_used": 20.0, "status": "healthy",
            "also": ["/var/log", "/srv"],
        }});
        assert_eq!(finding.details.get("disk_usage"), Some(&expected));
    }

    #[test]
    fn read_only_file_system_is_shown_not_judged() {
        let image = || match usage(100, 0, Some((9, 0))) {
            DiskReading::Usage(usage) => DiskReading::Usage(DiskUsage { is_read_only: true, ..usage }),
            other => other,
        };
        let finding = judge(vec![("/".to_owned(), image())], Thresholds::new(80.0, 90.0));
        assert_eq!(finding.status, Status::Healthy);
        assert_eq!(finding.message, "Disk usage is not judged: every file system is read-only");
        let expected = json!({"/": {
            "total_gb": 100.0, "used_gb": 100.0, "free_gb": 0.0, "percent_used": 100.0, "status": "skipped",
            "inodes_percent_used": 100.0, "read_only": true,
        }});
        assert_eq!(finding.details.get("disk_usage"), Some(&expected));
        let readings = vec![("/".to_owned(), image()), ("/data".to_owned(), usage(85, 15, None))];
        let finding = judge(readings, Thresholds::new(80.0, 90.0));
        assert_eq!(finding.message, "Disk usage is high: /data 85.0% used (above 80%)");
    }
}
