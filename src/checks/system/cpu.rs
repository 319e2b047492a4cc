//! Whether there is more work than the processors that this process may use can do.

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value};
use sysinfo::{LoadAvg, System};

use super::cgroup::LAYOUT_KEPT;
use super::cpu_group::{self, CpuGroup, ThrottleSamples};
use crate::checks::Check;
use crate::checks::thresholds::Thresholds;
use crate::checks::usage::{level, round};
use crate::model::{CheckError, Finding, Phase, SpecError, Status, in_python};
use crate::runtime::blocking::short_single_flight;
use crate::runtime::{Context, PerProcess, lock};

/// The one-minute load average per available CPU (0.7, 0.9), while the kernel reports CPU pressure above `pressure_above`
/// (10%). Where this process has fewer CPUs than the host, the load is only shown: the pressure or the throttling of its
/// own control group is judged (25%, 75%).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpuCheck {
    /// One-minute load average per available CPU.
    #[serde(default = "load_thresholds")]
    pub thresholds: Thresholds,
    /// Percent of the last minute in which something waited for a CPU (PSI, `some avg60`): up to here a high load is
    /// healthy.
    #[serde(default = "pressure_above")]
    pub pressure_above: f64,
    /// Of a control group with fewer CPUs than the host: percent of the last minute in which something in it waited for a
    /// CPU, or of its periods in which it was throttled, whichever is more.
    #[serde(default = "group_thresholds")]
    pub group_thresholds: Thresholds,
}

/// Between the first two samples of a group's throttling: more than two periods of 100 ms.
const FIRST_INTERVAL: Duration = Duration::from_millis(250);

#[async_trait]
impl Check for CpuCheck {
    fn validate(&self) -> Result<(), SpecError> {
        if (0.0..=100.0).contains(&self.pressure_above) {
            return Ok(());
        }
        let given = in_python(self.pressure_above);
        Err(SpecError(format!("pressure_above must be a number from 0 to 100, not {given}")))
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        context.enter(Phase::Query);
        let samples = context.process.shared::<ThrottleSamples>("");
        let read = || {
            let samples = samples.clone();
            // These files block while the group is frozen, and lxcfs serves them by FUSE.
            short_single_flight(&context.process, "cpu", move || read(Path::new("/"), &samples))
        };
        let mut reading = read().await?;
        if reading.as_ref().is_some_and(|reading| reading.group.as_ref().is_some_and(CpuGroup::needs_second_sample)) {
            tokio::time::sleep(FIRST_INTERVAL.min(context.time_left() / 2)).await;
            reading = read().await?;
        }
        Ok(reading.map_or_else(
            || Finding::skipped("This operating system has no load average"),
            |reading| judge(&reading, self),
        ))
    }
}

#[derive(Clone, Debug)]
struct CpuReading {
    load: LoadAvg,
    cpus: usize,
    /// Of the host.
    pressure: Option<Map<String, Value>>,
    /// Where this process has fewer CPUs than the host.
    group: Option<CpuGroup>,
}

fn read(root: &Path, samples: &ThrottleSamples) -> Option<CpuReading> {
    // sysinfo makes one up on Windows, from the first call on.
    if cfg!(windows) {
        return None;
    }
    let cpus = available_cpus()?;
    Some(CpuReading {
        load: System::load_average().ok()?,
        cpus,
        pressure: cpu_group::pressure(&root.join("proc/pressure/cpu")),
        group: cpu_group::limited(root, cpus, samples),
    })
}

/// Honours the affinity mask and the quota of every cgroup above, in whole processors and at least one. It takes a dozen
/// system calls, so it is kept as long as the place of the process.
fn available_cpus() -> Option<usize> {
    static KNOWN: PerProcess<Mutex<Option<(Instant, usize)>>> = PerProcess::new();
    let known = KNOWN.get_or_init(Mutex::default);
    let recent = lock(&known).filter(|(at, _)| at.elapsed() < LAYOUT_KEPT);
    if let Some((_, cpus)) = recent {
        return Some(cpus);
    }
    let cpus = std::thread::available_parallelism().ok()?.get();
    *lock(&known) = Some((Instant::now(), cpus));
    Some(cpus)
}

fn judge(reading: &CpuReading, check: &CpuCheck) -> Finding {
    let CpuReading { load, cpus, pressure, group } = reading;
    let normalized = load.one / *cpus as f64;
    let (status, message, pressure, scope) = match group {
        Some(group) => {
            let (status, message) = judge_group(group, check.group_thresholds);
            (status, message, &group.pressure, group.source)
        }
        None => {
            let (status, message) = judge_host(normalized, pressure, check);
            (status, message, pressure, "host")
        }
    };
    let mut finding = Finding::new(status, message)
        .with("load_1min", round(load.one))
        .with("load_5min", round(load.five))
        .with("load_15min", round(load.fifteen))
        .with("cpu_count", *cpus)
        .with("normalized_load", round(normalized))
        .with("scope", scope);
    if let Some(pressure) = pressure {
        finding = finding.with("pressure", pressure.clone());
    }
    if let Some(group) = group {
        finding = finding.with("host_cpu_count", group.host_cpus);
        if let Some(throttled) = group.throttled_percent {
            finding = finding.with("throttled_percent", round(throttled));
        }
    }
    finding
}

fn judge_host(normalized: f64, pressure: &Option<Map<String, Value>>, check: &CpuCheck) -> (Status, String) {
    let status = check.thresholds.judge(normalized);
    match waiting(pressure) {
        Some(percent) if status != Status::Healthy && percent <= check.pressure_above => {
            let text = format!("CPU load is normal: {normalized:.2} per available CPU, with {percent:.1}% pressure");
            (Status::Healthy, text)
        }
        _ => {
            let (level, crossed) = (level(status), check.thresholds.crossed(status, ""));
            (status, format!("CPU load is {level}: {normalized:.2} per available CPU{crossed}"))
        }
    }
}

fn judge_group(group: &CpuGroup, thresholds: Thresholds) -> (Status, String) {
    let waiting = waiting(&group.pressure);
    let worst = waiting.unwrap_or(0.0).max(group.throttled_percent.unwrap_or(0.0));
    let status = thresholds.judge(worst);
    let parts: Vec<String> = [
        waiting.map(|percent| format!("{percent:.1}% pressure")),
        group.throttled_percent.map(|percent| format!("throttled in {percent:.1}% of its periods")),
    ]
    .into_iter()
    .flatten()
    .collect();
    match parts.as_slice() {
        [] => (status, "CPU load is not judged: it is the host's, and this process has fewer CPUs".to_owned()),
        parts => {
            let (level, crossed) = (level(status), thresholds.crossed(status, "%"));
            (status, format!("CPU usage of the control group is {level}: {}{crossed}", parts.join(", ")))
        }
    }
}

/// PSI's `some avg60`: percent of the last minute in which something waited.
fn waiting(pressure: &Option<Map<String, Value>>) -> Option<f64> {
    pressure.as_ref()?.get("some_avg60")?.as_f64()
}

fn load_thresholds() -> Thresholds {
    Thresholds::new(0.7, 0.9)
}

fn pressure_above() -> f64 {
    10.0
}

fn group_thresholds() -> Thresholds {
    Thresholds::new(25.0, 75.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check() -> CpuCheck {
        CpuCheck {
            thresholds: load_thresholds(),
            pressure_above: pressure_above(),
            group_thresholds: group_thresholds(),
        }
    }

    fn psi(percent: f64) -> Option<Map<String, Value>> {
        Some(Map::from_iter([("some_avg60".to_owned(), percent.into())]))
    }

    #[test]
    fn load_counts_only_under_pressure() {
        use Status::{Degraded, Error, Healthy};
        let table = [
            (1.4, None, Healthy, "CPU load is normal: 0.70 per available CPU"),
            (1.5, None, Degraded, "CPU load is high: 0.75 per available CPU (above 0.7)"),
            (3.0, None, Error, "CPU load is critical: 1.50 per available CPU (above 0.9)"),
            (3.0, psi(10.0), Healthy, "CPU load is normal: 1.50 per available CPU, with 10.0% pressure"),
            (3.0, psi(10.1), Error, "CPU load is critical: 1.50 per available CPU (above 0.9)"),
            (0.2, psi(50.0), Healthy, "CPU load is normal: 0.10 per available CPU"),
        ];
        for (one, pressure, status, message) in table {
            let load = LoadAvg { one, five: 0.125, fifteen: 0.0 };
            let finding = judge(&CpuReading { load, cpus: 2, pressure: pressure.clone(), group: None }, &check());
            assert_eq!((finding.status, finding.message.as_str()), (status, message));
            assert_eq!(finding.details.get("cpu_count"), Some(&2.into()));
            assert_eq!(finding.details.get("load_5min"), Some(&0.13.into()));
            assert_eq!(finding.details.get("scope"), Some(&"host".into()));
            assert_eq!(finding.details.get("pressure").is_some(), pressure.is_some());
        }
    }

    #[test]
    fn group_with_fewer_cpus_is_judged_by_its_own_waiting() {
        use Status::{Degraded, Error, Healthy};
        let of = "CPU usage of the control group is";
        let table = [
            (psi(2.0), None, Healthy, format!("{of} normal: 2.0% pressure")),
            (
                psi(2.0),
                Some(30.0),
                Degraded,
                format!("{of} high: 2.0% pressure, throttled in 30.0% of its periods (above 25%)"),
            ),
            (
                psi(80.0),
                Some(0.0),
                Error,
                format!("{of} critical: 80.0% pressure, throttled in 0.0% of its periods (above 75%)"),
            ),
            (None, Some(90.0), Error, format!("{of} critical: throttled in 90.0% of its periods (above 75%)")),
            (
                None,
                None,
                Healthy,
                "CPU load is not judged: it is the host's, and this process has fewer CPUs".to_owned(),
            ),
        ];
        for (pressure, throttled_percent, status, message) in table {
            let group =
                Some(CpuGroup { source: "cgroup v2", host_cpus: 16, pressure, throttled_percent, quota: Some(1.0) });
            let load = LoadAvg { one: 6.0, five: 6.0, fifteen: 6.0 };
            let finding = judge(&CpuReading { load, cpus: 1, pressure: psi(90.0), group }, &check());
            assert_eq!((finding.status, finding.message), (status, message));
            assert_eq!(finding.details.get("normalized_load"), Some(&6.0.into()));
            assert_eq!(finding.details.get("scope"), Some(&"cgroup v2".into()));
        }
    }
}
