//! The numbers in the details of checks, as gauges: the only place that knows which detail is which metric.
//!
//! A callable that gives the same details as a native check is in the same gauges.

use serde_json::{Map, Value};

/// Time series of one check and metric at most: a queue for each customer must not fill the scraper.
const MAX_SERIES: usize = 100;

/// One metric, and where its values are in the details.
pub struct DetailMetric {
    pub metric: &'static str,
    pub help: &'static str,
    sources: &'static [Source],
}

/// Where a value is.
enum Source {
    /// In the details themselves: (key, factor).
    Plain(&'static str, f64),
    /// As that, with a label of its own: (key, label, its value).
    Labelled(&'static str, &'static str, &'static str),
    /// In a dict of which each key is the value of a label: (key, label, key within, factor).
    Each(&'static str, &'static str, Option<&'static str>, f64),
    /// As plain, only if another key is present: (key, factor, the other key).
    Beside(&'static str, f64, &'static str),
}

use Source::{Beside, Each, Labelled, Plain};

/// One value and its label, if it has one.
pub type Sample<'a> = (Option<(&'static str, &'a str)>, f64);

const fn metric(metric: &'static str, help: &'static str, sources: &'static [Source]) -> DetailMetric {
    DetailMetric { metric, help, sources }
}

const PERCENT: f64 = 0.01;

pub const DETAIL_METRICS: &[DetailMetric] = &[
    metric(
        "health_disk_used_ratio",
        "Share of the space that is used",
        &[Each("disk_usage", "path", Some("percent_used"), PERCENT)],
    ),
    metric(
        "health_disk_inodes_used_ratio",
        "Share of the inodes that are used",
        &[Each("disk_usage", "path", Some("inodes_percent_used"), PERCENT)],
    ),
    metric(
        "health_memory_used_ratio",
        "Share of the memory of the host or cgroup that is used",
        &[Beside("percent_used", PERCENT, "source")],
    ),
    metric("health_cpu_load_ratio", "Load average of one minute per available CPU", &[Plain("normalized_load", 1.0)]),
    metric(
        "health_cpu_pressure_ratio",
        "Share of time in which tasks waited for a CPU (PSI)",
        &[Each("pressure", "average", None, PERCENT)],
    ),
    metric(
        "health_db_connections",
        "Connections to the database by state",
        &[
            Labelled("active_connections", "state", "active"),
            Labelled("idle_connections", "state", "idle"),
            Labelled("idle_in_transaction_connections", "state", "idle_in_transaction"),
            Labelled("hidden_connections", "state", "hidden"),
        ],
    ),
    metric("health_db_max_connections", "Connections that the server allows", &[Plain("max_connections", 1.0)]),
    metric(
        "health_db_connections_used_ratio",
        "Share of the allowed connections that are in use",
        &[Plain("utilization", 1.0)],
    ),
    metric(
        "health_db_longest_query_seconds",
        "Duration of the longest running query",
        &[Plain("longest_query_seconds", 1.0)],
    ),
    metric(
        "health_db_longest_idle_in_transaction_seconds",
        "Longest time that a transaction has been idle",
        &[Plain("longest_idle_in_transaction_seconds", 1.0)],
    ),
    metric(
        "health_db_slow_query_ratio",
        "Share of the statements that are slow on average",
        &[Plain("slow_query_ratio", 1.0)],
    ),
    metric("health_db_sessions", "Rows of django_session", &[Plain("session_count", 1.0)]),
    metric(
        "health_redis_connected_clients",
        "Clients connected to the Redis server",
        &[Plain("connected_clients", 1.0)],
    ),
    metric(
        "health_redis_uptime_seconds",
        "Uptime of the Redis server",
        &[Beside("uptime_seconds", 1.0, "redis_version")],
    ),
    metric("health_queue_depth", "Tasks waiting in a queue", &[Each("queue_breakdown", "queue", None, 1.0)]),
    metric(
        "health_queue_oldest_task_seconds",
        "Age of the oldest waiting task",
        &[Plain("oldest_pending_seconds", 1.0)],
    ),
    metric(
        "health_queue_tasks",
        "Tasks beside those that wait: with a worker, or not yet due",
        &[Labelled("taken_tasks", "state", "taken"), Labelled("scheduled_tasks", "state", "scheduled")],
    ),
    metric(
        "health_queue_oldest_taken_task_seconds",
        "Time since a worker took the oldest unfinished task",
        &[Plain("oldest_taken_seconds", 1.0)],
    ),
    metric("health_queue_finished_tasks_per_minute", "Flow of the queue", &[Plain("finished_per_minute", 1.0)]),
    metric("health_queue_overdue_schedules", "Schedules whose time is past", &[Plain("overdue_schedules", 1.0)]),
    metric("health_task_running", "Tasks that workers are running", &[Plain("running_tasks", 1.0)]),
    metric(
        "health_task_oldest_running_seconds",
        "Duration of the longest running task",
        &[Plain("oldest_running_seconds", 1.0)],
    ),
    metric("health_task_stuck", "Tasks that will not finish by themselves", &[Plain("stuck_tasks", 1.0)]),
    metric(
        "health_failed_tasks",
        "Tasks that failed within the window of the check",
        &[Plain("failed_count_last_hour", 1.0)],
    ),
    metric("health_task_workers", "Workers with a recent heartbeat", &[Plain("active_workers", 1.0)]),
    metric("health_task_workers_expected", "Expected number of workers", &[Plain("expected_workers", 1.0)]),
];

impl DetailMetric {
    /// The values in the details of a check.
    pub fn samples<'a>(&self, details: &'a Map<String, Value>) -> Vec<Sample<'a>> {
        let samples = self.sources.iter().flat_map(|source| source.samples(details));
        samples.take(MAX_SERIES).collect()
    }
}

impl Source {
    fn samples<'a>(&self, details: &'a Map<String, Value>) -> Vec<Sample<'a>> {
        let plain = |key: &str, factor: f64| details.get(key).and_then(Value::as_f64).map(|value| value * factor);
        match *self {
            Plain(key, factor) => plain(key, factor).map(|value| (None, value)).into_iter().collect(),
            Labelled(key, label, name) => {
                plain(key, 1.0).map(|value| (Some((label, name)), value)).into_iter().collect()
            }
            Beside(key, factor, other) if details.contains_key(other) => Plain(key, factor).samples(details),
            Beside(..) => Vec::new(),
            Each(key, label, within, factor) => {
                let value = |entry: &Value| within.map_or(Some(entry), |key| entry.get(key)).and_then(Value::as_f64);
                let entries = details.get(key).and_then(Value::as_object).into_iter().flatten();
                let samples =
                    entries.filter_map(|(name, entry)| Some((Some((label, name.as_str())), value(entry)? * factor)));
                samples.take(MAX_SERIES).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;

    fn samples(metric: &str, details: &Value) -> Vec<(Option<(&'static str, String)>, f64)> {
        let metric = DETAIL_METRICS.iter().find(|known| known.metric == metric).unwrap();
        let samples = metric.samples(details.as_object().unwrap());
        samples.into_iter().map(|(label, value)| (label.map(|(k, v)| (k, v.to_owned())), value)).collect()
    }

    #[test]
    fn details_become_gauges() {
        let disk = json!({"disk_usage": {"/": {"percent_used": 50.0, "status": "healthy"}, "/gone": {"status": "x"}}});
        assert_eq!(samples("health_disk_used_ratio", &disk), [(Some(("path", "/".to_owned())), 0.5)]);
        assert_eq!(samples("health_disk_inodes_used_ratio", &disk), []);
        let memory = json!({"percent_used": 25.0, "source": "host"});
        assert_eq!(samples("health_memory_used_ratio", &memory), [(None, 0.25)]);
        assert_eq!(samples("health_memory_used_ratio", &json!({"percent_used": 25.0})), []);
        let queues = json!({"queue_breakdown": {"default": 3, "mail": "many"}});
        assert_eq!(samples("health_queue_depth", &queues), [(Some(("queue", "default".to_owned())), 3.0)]);
        let beside = json!({"taken_tasks": 4, "scheduled_tasks": 2, "oldest_taken_seconds": null, "stuck_tasks": 1});
        let expected = [(Some(("state", "taken".to_owned())), 4.0), (Some(("state", "scheduled".to_owned())), 2.0)];
        assert_eq!(samples("health_queue_tasks", &beside), expected);
        assert_eq!(samples("health_queue_oldest_taken_task_seconds", &beside), []);
        assert_eq!(samples("health_task_stuck", &beside), [(None, 1.0)]);
        let connections = json!({"active_connections": 2, "idle_connections": 1});
        let expected = [(Some(("state", "active".to_owned())), 2.0), (Some(("state", "idle".to_owned())), 1.0)];
        assert_eq!(samples("health_db_connections", &connections), expected);
        assert_eq!(samples("health_db_connections", &json!({})), []);
    }

    #[test]
    fn check_with_many_keys_is_limited() {
        let many: Map<String, Value> = (0..5_000).map(|index| (format!("q{index}"), json!(1))).collect();
        assert_eq!(samples("health_queue_depth", &json!({"queue_breakdown": many})).len(), MAX_SERIES);
    }

    #[test]
    fn metric_names_are_unique() {
        let names: HashSet<_> = DETAIL_METRICS.iter().map(|metric| metric.metric).collect();
        assert_eq!(names.len(), DETAIL_METRICS.len());
    }
}
