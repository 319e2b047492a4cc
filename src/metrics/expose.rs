//! A snapshot as OpenMetrics or Prometheus text.

use std::fmt;
use std::time::UNIX_EPOCH;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::findings::DETAIL_METRICS;
use super::{CheckMetrics, MetricsSnapshot};
use crate::model::{CircuitState, Severity, Status};
use crate::policy::report::Health;
use crate::state::backend::fleet::instances::InstanceState;
use crate::state::counters::{BUCKETS, Histogram, StatusSeconds};
use crate::state::delivery_counts::DeliveryCounts;

/// In which text metrics are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Prometheus,
    OpenMetrics,
}

impl Format {
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// What an `Accept` header prefers: OpenMetrics only where it is named.
    pub fn accepted(accept: &str) -> Self {
        let prefers = |range: &str| {
            let mut parts = range.split(';').map(str::trim);
            let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/openmetrics-text"));
            let weight = |part: &str| part.strip_prefix("q=").and_then(|weight| weight.parse::<f64>().ok());
            named && parts.filter_map(weight).all(|weight| weight > 0.0)
        };
        if accept.split(',').any(prefers) { Self::OpenMetrics } else { Self::Prometheus }
    }
}

/// The metrics of a snapshot.
pub fn expose(snapshot: MetricsSnapshot, format: Format) -> String {
    let mut text = String::new();
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Exposition { snapshot, format }));
    // Writing to a string cannot fail.
    let _ = encode_registry(&mut text, &registry);
    if format == Format::OpenMetrics {
        let _ = encode_eof(&mut text);
    }
    text
}

#[derive(Debug)]
struct Exposition {
    snapshot: MetricsSnapshot,
    format: Format,
}

type Labels<'a> = Vec<(&'a str, &'a str)>;

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let encoder = &mut encoder;
        self.overall(encoder)?;
        self.statuses(encoder)?;
        self.options(encoder)?;
        self.runs(encoder)?;
        self.durations(encoder)?;
        self.objectives(encoder)?;
        self.alerts(encoder)?;
        self.lags(encoder)?;
        self.instances(encoder)?;
        self.findings(encoder)
    }
}

impl Exposition {
    fn overall(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let overall = self.snapshot.health();
        let samples = Health::ALL.map(|health| (vec![("status", health.name())], flag(overall == Some(health))));
        gauge(encoder, "health_status", "Overall health status", samples)?;
        let single = |value| [(Labels::new(), flag(value))];
        gauge(encoder, "health_ready", "Whether every critical check passes", single(self.snapshot.is_ready()))?;
        gauge(encoder, "health_draining", "Whether this process is shutting down", single(self.snapshot.draining))?;
        let build = [(vec![("version", env!("CARGO_PKG_VERSION"))], 1.0)];
        gauge(encoder, "health_build_info", "Version of Lifesigns", build)
    }

    fn statuses(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let known = self.snapshot.checks.iter().filter(|check| check.status.is_some());
        let of_check =
            |check| Status::ALL.map(|each| (named(check, "status", each.as_str()), flag(check.status == Some(each))));
        gauge(encoder, "health_check_status", "Status of a check", known.flat_map(of_check))?;

        let stale = self.checks().map(|check| (of(check), flag(check.status.is_none())));
        gauge(encoder, "health_check_stale", "Whether a check has no result that is recent enough", stale)?;

        let of_circuit = |check| {
            let check: &CheckMetrics = check;
            let circuit = check.circuit()?;
            Some(CircuitState::ALL.map(|each| (named(check, "state", each.as_str()), flag(circuit.state == each))))
        };
        let circuits = self.checks().filter_map(of_circuit).flatten();
        gauge(encoder, "health_check_circuit_state", "State of the circuit breaker of a check", circuits)
    }

    fn options(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let infos = self.checks().map(|check| {
            let critical = if check.critical { "true" } else { "false" };
            let labels = [("check_name", &*check.name), ("critical", critical), ("depends_on", &*check.depends_on)];
            (labels.to_vec(), 1.0)
        });
        gauge(encoder, "health_check_info", "How a check is registered", infos)?;
        let timeouts = self.checks().map(|check| (of(check), check.timeout.as_secs_f64()));
        gauge(encoder, "health_check_timeout_seconds", "Timeout of a check", timeouts)?;
        let ttls = self.checks().map(|check| (of(check), check.ttl.as_secs_f64()));
        gauge(encoder, "health_check_ttl_seconds", "Time for which a result is fresh", ttls)
    }

    fn runs(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let runs = self.checks().flat_map(|check| {
            let total = |status| check.view.counters.runs.get(&status).copied().unwrap_or_default() as f64;
            let counted = Status::ALL.into_iter().filter(|status| *status != Status::Skipped);
            counted.map(move |each| (named(check, "status", each.as_str()), total(each)))
        });
        self.counter(encoder, "health_check_runs", "Runs of a check by the status found", runs)?;

        let errors = self.checks().flat_map(|check| {
            let errors = check.view.counters.errors.iter();
            errors.map(move |(error_type, count)| (named(check, "error_type", error_type), *count as f64))
        });
        self.counter(encoder, "health_check_errors", "Runs of a check that ended in an error, by its type", errors)?;

        let seconds = self.checks().flat_map(|check| {
            let StatusSeconds { healthy, degraded, error, unknown, .. } = check.view.counters.seconds;
            let by_status = [("healthy", healthy), ("degraded", degraded), ("error", error), ("unknown", unknown)];
            by_status.map(|(status, seconds)| (named(check, "status", status), seconds))
        });
        self.counter(encoder, "health_check_status_seconds", "Seconds that a check spent in each status", seconds)?;

        let last = self.checks().filter_map(|check| {
            let at = check.view.counters.last_run?.duration_since(UNIX_EPOCH).ok()?;
            Some((of(check), at.as_secs_f64()))
        });
        gauge(encoder, "health_check_last_run_timestamp_seconds", "Unix time at which a check last ran", last)
    }

    fn durations(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let name = "health_check_duration_seconds";
        let mut metric =
            encoder.encode_descriptor(name, "Duration of the runs of a check", None, MetricType::Histogram)?;
        for check in self.checks() {
            let Histogram { total, seconds, buckets } = check.view.counters.durations;
            let bounds = BUCKETS.iter().copied().chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(buckets).collect();
            let labels = of(check);
            let mut metric = metric.encode_family(&labels)?;
            metric.encode_histogram::<NoLabelSet>(seconds, total, &buckets, None)?;
        }
        Ok(())
    }

    fn lags(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let pids: Vec<String> = self.snapshot.lags.iter().map(|lag| lag.pid.to_string()).collect();
        let lags = || self.snapshot.lags.iter().zip(&pids);
        let interpreters = lags().map(|(lag, pid)| (vec![("pid", pid.as_str())], lag.interpreter.as_secs_f64()));
        gauge(
            encoder,
            "health_interpreter_lag_seconds",
            "Seconds that a thread has waited for the interpreter",
            interpreters,
        )?;
        let loops = lags().filter_map(|(lag, pid)| Some((vec![("pid", pid.as_str())], lag.event_loop?.as_secs_f64())));
        gauge(encoder, "health_event_loop_lag_seconds", "Seconds by which the slowest event loop is late", loops)
    }

    fn instances(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let Some(counts) = self.snapshot.instances else { return Ok(()) };
        let states = InstanceState::ALL.map(InstanceState::as_str).into_iter().chain(["missed"]);
        let samples = states.zip(counts.states.into_iter().chain([counts.missed]));
        let samples = samples.map(|(state, count)| (vec![("state", state)], count as f64));
        gauge(encoder, "health_fleet_instances", "Instances of the fleet in each state", samples)
    }

    fn objectives(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let objectives = &self.snapshot.objectives;
        let of = |name| vec![("check_name", name)];
        let ratios = objectives.iter().map(|(name, objective)| (of(name.as_str()), objective.ratio));
        gauge(encoder, "health_objective_ratio", "Share of time in which a check is to be good", ratios)?;
        let left =
            objectives.iter().filter_map(|(name, objective)| Some((of(name.as_str()), objective.budget_remaining?)));
        gauge(encoder, "health_error_budget_remaining_ratio", "Share of the error budget that is left", left)?;
        let rates = objectives.iter().flat_map(|(name, objective)| {
            let rates = objective.burn_rates.iter();
            rates.map(move |(window, rate)| (vec![("check_name", name.as_str()), ("window", window.as_str())], *rate))
        });
        gauge(encoder, "health_burn_rate", "Speed at which the error budget is spent: 1 spends it in its period", rates)
    }

    fn alerts(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let Some(alerts) = &self.snapshot.alerts else { return Ok(()) };
        let open = Severity::ALL.map(|severity| {
            let count = alerts.open.get(&severity).copied().unwrap_or_default();
            (vec![("severity", severity.as_str())], count as f64)
        });
        gauge(encoder, "health_incidents_open", "Incidents that are open", open)?;
        let pending =
            alerts.channels.iter().map(|(name, channel)| (vec![("channel", name.as_str())], channel.pending as f64));
        gauge(encoder, "health_alert_deliveries_pending", "Notices of alerts that wait to be delivered", pending)?;
        let attempts = alerts.channels.iter().flat_map(|(name, channel)| {
            let DeliveryCounts { delivered, failed, refused } = channel.attempts;
            let by_outcome = [("delivered", delivered), ("failed", failed), ("refused", refused)];
            by_outcome.map(|(outcome, count)| (vec![("channel", name.as_str()), ("outcome", outcome)], count as f64))
        });
        self.counter(encoder, "health_alert_deliveries", "Attempts to deliver notices of alerts", attempts)
    }

    fn findings(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        for finding in DETAIL_METRICS {
            let samples = self.checks().flat_map(|check| {
                // On what was found too long ago a rule would fire though nothing runs.
                let latest = check.view.latest.as_deref().filter(|_| check.status.is_some());
                let samples = latest.map(|latest| finding.samples(&latest.details)).unwrap_or_default();
                samples.into_iter().map(|(label, value)| {
                    let labels = [("check_name", &*check.name)].into_iter().chain(label).collect::<Labels>();
                    (labels, value)
                })
            });
            gauge(encoder, finding.metric, finding.help, samples)?;
        }
        Ok(())
    }

    /// All checks that apply: a skipped one has nothing but its status.
    fn checks(&self) -> impl Iterator<Item = &CheckMetrics> {
        self.snapshot.checks.iter().filter(|check| !check.is_skipped())
    }

    /// OpenMetrics names a counter without its `_total`, Prometheus text with it.
    fn counter<'a>(
        &self,
        encoder: &mut DescriptorEncoder,
        name: &str,
        help: &str,
        samples: impl Iterator<Item = (Labels<'a>, f64)>,
    ) -> fmt::Result {
        let total = format!("{name}_total");
        let name = if self.format == Format::OpenMetrics { name } else { &total };
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in samples {
            let mut metric = metric.encode_family(&labels)?;
            match self.format {
                Format::OpenMetrics => metric.encode_counter::<NoLabelSet, f64, f64>(&value, None)?,
                Format::Prometheus => metric.encode_gauge(&value)?,
            }
        }
        Ok(())
    }
}

fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

fn of(check: &CheckMetrics) -> Labels<'_> {
    vec![("check_name", &*check.name)]
}

fn named<'a>(check: &'a CheckMetrics, label: &'a str, value: &'a str) -> Labels<'a> {
    vec![("check_name", &*check.name), (label, value)]
}

/// A gauge, unless there is no value for it.
fn gauge<'a>(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = (Labels<'a>, f64)>,
) -> fmt::Result {
    let mut samples = samples.into_iter().peekable();
    if samples.peek().is_none() {
        return Ok(());
    }
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in samples {
        // Prometheus would read `name{}`, but it is not what the format shows.
        match labels.is_empty() {
            true => metric.encode_gauge(&value)?,
            false => metric.encode_family(&labels)?.encode_gauge(&value)?,
        }
    }
    Ok(())
}
