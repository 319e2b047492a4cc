//! The responses to the probes: from known results, and from native checks within the budget of a probe.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use super::address::ProbeAddress;
use super::route::Probe;
use crate::engine::{Engine, Selection, UnknownCheck};
use crate::metrics::{Format, MetricsSnapshot, expose};
use crate::model::Status;
use crate::monitor::{self, Requires};
use crate::policy::report::{Health, Report, ReportOf, ResultOf, ResultsOf, Row, Shown, rounded, timestamp};
use crate::runtime::process;

/// The part of the budget for all that is not waiting.
const MARGIN: Duration = Duration::from_millis(50);

/// What is sent back, and with which status code.
pub struct ProbeResponse {
    pub code: u16,
    pub content_type: &'static str,
    pub body: String,
}

impl ProbeResponse {
    fn json(code: u16, body: &impl Serialize) -> Self {
        // All keys are strings, so it cannot fail.
        Self { code, content_type: "application/json", body: serde_json::to_string(body).unwrap_or_default() }
    }
}

/// What the probes report on.
#[derive(Clone)]
pub struct Sources {
    pub engine: Arc<Engine>,
    /// Checks that have to pass once, beside the critical ones, for the start to be over.
    pub startup: Option<Arc<Engine>>,
    /// How long a response may take.
    pub budget: Duration,
    /// How old a result may be on which readiness rests.
    pub ready_max_age: Duration,
    /// How long an interpreter may not run before its process counts as dead.
    pub wedged_after: Duration,
    pub alive_requires: Requires,
    /// Sent to this process when it is wedged.
    pub signal_when_wedged: Option<i32>,
    /// What this is a process of: another application is refused the address.
    pub application: String,
}

/// The probes of one process.
pub struct Probes {
    sources: Sources,
    /// Where they are served: the processes that serve there are those that `/alive` is about.
    address: String,
    /// Once started, it stays so: what comes later is the business of readiness.
    started: AtomicBool,
}

impl Probes {
    pub fn new(sources: Sources, address: &ProbeAddress) -> Self {
        Self { sources, address: address.to_string(), started: AtomicBool::default() }
    }

    pub async fn respond(&self, probe: Probe<'_>, shown: Shown, format: Format) -> ProbeResponse {
        let found = match probe {
            Probe::Alive => Ok(self.alive()),
            Probe::Ready => self.ready(shown).await,
            Probe::Startup => self.startup(shown).await,
            Probe::Health => self.health(shown).await,
            Probe::Check(name) => self.check(name, shown).await,
            Probe::Metrics => Ok(self.metrics(shown, format)),
        };
        found.unwrap_or_else(|UnknownCheck { unknown, known }| {
            let message = format!("Unknown check {unknown:?}");
            ProbeResponse::json(404, &json!({"status": "unknown", "message": message, "known": known}))
        })
    }

    fn alive(&self) -> ProbeResponse {
        let seconds = |duration: Duration| rounded(duration.as_secs_f64(), 3);
        let uptime = ("uptime_seconds".to_owned(), json!(seconds(self.sources.engine.uptime())));
        let lags = monitor::lags_of_servers(self.sources.engine.scope(), &self.address);
        match monitor::wedged(&lags, self.sources.wedged_after, self.sources.alive_requires) {
            None => response(200, "alive", "Service is alive", Map::from_iter([uptime])),
            Some(wedged) => {
                let longest = wedged.iter().map(|(_, lag)| lag.as_secs()).max().unwrap_or_default();
                let message = format!("The interpreter has not run for {longest} s");
                let wedged: Vec<Value> =
                    wedged.iter().map(|(pid, lag)| json!({"pid": pid, "seconds": seconds(*lag)})).collect();
                response(503, "wedged", &message, Map::from_iter([uptime, ("wedged".to_owned(), json!(wedged))]))
            }
        }
    }

    async fn ready(&self, shown: Shown) -> Result<ProbeResponse, UnknownCheck> {
        if process::draining() {
            return Ok(response(503, "draining", "Service is shutting down", Map::new()));
        }
        let max_age = Some(self.sources.ready_max_age);
        let rows = self.rows(&self.sources.engine, Selection { max_age, ..critical() }).await?;
        if !are_failing(&rows) {
            return Ok(response(200, "ready", "Service is ready", Map::new()));
        }
        let failing: Vec<Row> = rows.into_iter().filter(|row| row.outcome.status == Status::Error).collect();
        let names: Vec<&str> = failing.iter().map(|row| &*row.name).collect();
        let message = format!("Critical checks failing: {}", names.join(", "));
        let details = json!(ResultsOf(&failing, shown));
        Ok(response(503, "not_ready", &message, Map::from_iter([("details".to_owned(), details)])))
    }

    async fn startup(&self, shown: Shown) -> Result<ProbeResponse, UnknownCheck> {
        let critical = self.rows(&self.sources.engine, critical());
        let (rows, first) = match &self.sources.startup {
            None => (critical.await?, Vec::new()),
            Some(engine) => {
                if !self.started.load(Ordering::Relaxed) {
                    // Callables among them start to run; the next request sees their results.
                    engine.sweep(&Selection::default())?.1.start(|| {});
                }
                tokio::try_join!(critical, self.rows(engine, Selection::default()))?
            }
        };
        let passed = !are_failing(&rows) && !are_failing(&first);
        let started = self.started.fetch_or(passed, Ordering::Relaxed) || passed;
        let rows: Vec<Row> = first.into_iter().chain(rows).collect();
        let checks = Map::from_iter([("checks".to_owned(), json!(ResultsOf(&rows, shown)))]);
        Ok(if started {
            response(200, "started", "Service has started", checks)
        } else {
            response(503, "starting", "Service is starting", checks)
        })
    }

    async fn health(&self, shown: Shown) -> Result<ProbeResponse, UnknownCheck> {
        let engine = &self.sources.engine;
        let rows = self.rows(engine, Selection::default()).await?;
        let report = Report { is_void: engine.checks().is_empty(), ..Report::now(rows, engine.uptime()) };
        let code = if report.health() == Health::Unhealthy { 503 } else { 200 };
        Ok(ProbeResponse::json(code, &ReportOf(&report, shown)))
    }

    async fn check(&self, name: &str, shown: Shown) -> Result<ProbeResponse, UnknownCheck> {
        let selection = Selection { names: Some(vec![name.to_owned()]), ..Selection::default() };
        let rows = self.rows(&self.sources.engine, selection).await?;
        let failing = rows.iter().any(|row| row.outcome.status == Status::Error);
        let result = rows.first().map(|row| ResultOf(row, shown));
        Ok(ProbeResponse::json(if failing { 503 } else { 200 }, &result))
    }

    /// From known results; runs nothing. All of it is details.
    fn metrics(&self, shown: Shown, format: Format) -> ProbeResponse {
        match shown {
            Shown::Everything => ProbeResponse {
                code: 200,
                content_type: format.content_type(),
                body: expose(MetricsSnapshot::of(&self.sources.engine), format),
            },
            Shown::Statuses => {
                response(401, "unauthorized", "Metrics require a bearer token or an allowed network", Map::new())
            }
        }
    }

    /// The known results of the selected checks once the native ones have completed, at the latest at the end of the budget.
    async fn rows(&self, engine: &Engine, selection: Selection) -> Result<Vec<Row>, UnknownCheck> {
        let deadline = tokio::time::Instant::now() + self.sources.budget.saturating_sub(MARGIN);
        let (done, known) = oneshot::channel();
        let selection = Selection { without_python: true, ..selection };
        let (sweep, work) = engine.sweep(&selection)?;
        if !work.is_none() {
            work.start(|| {
                let _ = done.send(());
            });
            let _ = timeout_at(deadline, known).await;
        }
        Ok(sweep.rows())
    }
}

/// Whether a critical one is in error. Unlike a report, a process without critical checks is ready.
fn are_failing(rows: &[Row]) -> bool {
    rows.iter().any(|row| row.critical && row.outcome.status == Status::Error)
}

fn critical() -> Selection {
    Selection { critical_only: true, ..Selection::default() }
}

/// A response of the usual shape, with `more` behind it.
fn response(code: u16, status: &str, message: &str, more: Map<String, Value>) -> ProbeResponse {
    let mut body = Map::new();
    body.insert("status".to_owned(), json!(status));
    body.insert("timestamp".to_owned(), json!(timestamp(SystemTime::now())));
    body.insert("message".to_owned(), json!(message));
    body.extend(more);
    ProbeResponse::json(code, &Value::Object(body))
}
