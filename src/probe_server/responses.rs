//! The responses to the probes: from known results, and from native checks within the budget of a probe.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use super::access::Caller;
use super::address::ProbeAddress;
use super::media::MediaType;
use super::render::render;
use super::route::Probe;
use crate::delivery::Alerts;
use crate::engine::sweep::Sweep;
use crate::engine::{Engine, Selection, UnknownCheck};
use crate::metrics::{Format, MetricsSnapshot, expose};
use crate::model::{Status, nearest};
use crate::monitor::{self, Requires};
use crate::policy::report::{
    Health, NO_CHECKS, Report, ReportOf, ResultOf, ResultsOf, Row, Shown, are_failing, rounded, timestamp,
};
use crate::runtime::{process, uptime};

/// The part of the budget for all that is not waiting.
const MARGIN: Duration = Duration::from_millis(50);

/// For callers that see statuses only, the same for all.
const HINT: &str = "Messages and details require a bearer token or an allowed network";
/// How much of an unknown name is repeated.
const SHOWN_NAME: usize = 100;

/// Who requests a probe, and how it is to be answered.
#[derive(Clone, Copy)]
pub struct ProbeRequest {
    pub caller: Caller,
    pub media: MediaType,
    pub metrics: Format,
    /// Checks are to be run anew.
    pub refresh: bool,
}

impl ProbeRequest {
    fn respond(self, code: u16, body: &impl Serialize, results: Option<&str>) -> ProbeResponse {
        ProbeResponse { code, content_type: self.media.content_type(), body: render(self.media, body, results) }
    }

    /// A response of which some callers see a part only, beside a hint how to see more.
    fn respond_with_hint(self, code: u16, body: &impl Serialize, results: Option<&str>) -> ProbeResponse {
        let hint = self.caller.is_hinted.then_some(HINT);
        self.respond(code, &WithHint { body, hint }, results)
    }

    fn is_refused(self) -> bool {
        self.refresh && !self.caller.is_authorized
    }

    /// Whatever is shown to whom: a refresh is load on what is checked.
    fn refuse_refresh(self) -> ProbeResponse {
        let message = "A refresh requires a bearer token or an allowed network";
        self.respond(403, &json!({"status": "forbidden", "message": message}), None)
    }

    fn refuse_while_draining(self) -> ProbeResponse {
        self.respond(503, &body("draining", "Service is shutting down", Map::new()), None)
    }

    fn report(self, report: &Report) -> ProbeResponse {
        let code = if report.health() == Health::Unhealthy { 503 } else { 200 };
        self.respond_with_hint(code, &ReportOf(report, self.caller.shown), Some("checks"))
    }

    fn selection(self) -> Selection {
        Selection { refresh: self.refresh, ..Selection::default() }
    }
}

#[derive(Serialize)]
struct WithHint<'a, T> {
    #[serde(flatten)]
    body: &'a T,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
}

/// What is sent back, and with which status code.
pub struct ProbeResponse {
    pub code: u16,
    pub content_type: &'static str,
    pub body: String,
}

/// What the probes report on.
#[derive(Clone)]
pub struct Sources {
    pub engine: Arc<Engine>,
    /// Checks that have to pass once, beside the critical ones, for the start to be over.
    pub startup: Option<Arc<Engine>>,
    /// Those of the engine, for its metrics.
    pub alerts: Option<Arc<Alerts>>,
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
    /// Whether all that has to be there first was there once: what comes later is the business of readiness.
    prepared: AtomicBool,
}

impl Probes {
    pub fn new(sources: Sources, address: &ProbeAddress) -> Self {
        Self { sources, address: address.to_string(), prepared: AtomicBool::default() }
    }

    pub async fn respond(&self, probe: Probe<'_>, request: ProbeRequest) -> ProbeResponse {
        let found = match probe {
            Probe::Alive => Ok(self.alive(request)),
            Probe::Ready => self.ready(request).await,
            Probe::Startup => self.startup(request).await,
            Probe::Health => self.health(request).await,
            Probe::Check(name) => self.check(&name, request).await,
            Probe::Group(name) => self.group(&name, request).await,
            Probe::Metrics => Ok(self.metrics(request)),
        };
        found.unwrap_or_else(|UnknownCheck { what, unknown, known }| {
            let name: String = unknown.chars().take(SHOWN_NAME).collect();
            let names: Vec<_> = known.iter().map(String::as_str).collect();
            let nearest = nearest(&name, &names).map(|nearest| format!(". Did you mean '{nearest}'?"));
            let message = format!("Unknown {what} '{name}'{}", nearest.unwrap_or_default());
            request.respond(404, &json!({"status": "unknown", "message": message, "known": known}), None)
        })
    }

    fn alive(&self, request: ProbeRequest) -> ProbeResponse {
        let seconds = |duration: Duration| rounded(duration.as_secs_f64(), 3);
        let uptime = ("uptime_seconds".to_owned(), json!(seconds(uptime())));
        let (scope, after, requires) =
            (self.sources.engine.scope(), self.sources.wedged_after, self.sources.alive_requires);
        match monitor::wedged_servers(scope, &self.address, after, requires) {
            None => {
                let body = body("alive", "Service is alive", Map::from_iter([uptime]));
                request.respond(200, &body, None)
            }
            Some(wedged) => {
                let longest = wedged.iter().map(|(_, lag)| lag.as_secs()).max().unwrap_or_default();
                let message = format!("The interpreter has not run for {longest} s");
                let wedged: Vec<Value> =
                    wedged.iter().map(|(pid, lag)| json!({"pid": pid, "seconds": seconds(*lag)})).collect();
                let more = Map::from_iter([uptime, ("wedged".to_owned(), json!(wedged))]);
                request.respond(503, &body("wedged", &message, more), None)
            }
        }
    }

    async fn ready(&self, request: ProbeRequest) -> Result<ProbeResponse, UnknownCheck> {
        if process::draining() {
            return Ok(request.refuse_while_draining());
        }
        let max_age = Some(self.sources.ready_max_age);
        let sweep = self.sweep(&self.sources.engine, Selection { max_age, ..critical() }).await?;
        if sweep.is_void() {
            // As the report says: a mistake in the set-up must not receive traffic.
            return Ok(request.respond(503, &body("not_ready", NO_CHECKS, Map::new()), None));
        }
        let rows = sweep.rows();
        if !are_failing(&rows) {
            return Ok(request.respond(200, &body("ready", "Service is ready", Map::new()), None));
        }
        let failing: Vec<Row> = rows.into_iter().filter(|row| row.outcome.status == Status::Error).collect();
        let names: Vec<&str> = failing.iter().map(|row| &*row.name).collect();
        let message = format!("Critical checks failing: {}", names.join(", "));
        let details = json!(ResultsOf(&failing, request.caller.shown));
        let body = body("not_ready", &message, Map::from_iter([("details".to_owned(), details)]));
        Ok(request.respond_with_hint(503, &body, Some("details")))
    }

    async fn startup(&self, request: ProbeRequest) -> Result<ProbeResponse, UnknownCheck> {
        let critical = self.sweep(&self.sources.engine, critical());
        let (rows, first) = match &self.sources.startup {
            None => (critical.await?.rows(), Vec::new()),
            Some(engine) => {
                if !self.prepared.load(Ordering::Relaxed) {
                    // Callables among them start to run; the next request sees their results.
                    engine.sweep(&Selection::default())?.1.start(|| {});
                }
                let (critical, first) = tokio::try_join!(critical, self.sweep(engine, Selection::default()))?;
                (critical.rows(), first.rows())
            }
        };
        let prepared = !are_failing(&first);
        let prepared = self.prepared.fetch_or(prepared, Ordering::Relaxed) || prepared;
        let started = self.sources.engine.has_started(!are_failing(&rows)) && prepared;
        let rows: Vec<Row> = first.into_iter().chain(rows).collect();
        let checks = Map::from_iter([("checks".to_owned(), json!(ResultsOf(&rows, request.caller.shown)))]);
        let (code, body) = if started {
            (200, body("started", "Service has started", checks))
        } else {
            (503, body("starting", "Service is starting", checks))
        };
        Ok(request.respond_with_hint(code, &body, Some("checks")))
    }

    async fn health(&self, request: ProbeRequest) -> Result<ProbeResponse, UnknownCheck> {
        if request.is_refused() {
            return Ok(request.refuse_refresh());
        }
        let sweep = self.sweep(&self.sources.engine, request.selection()).await?;
        Ok(request.report(&sweep.report()))
    }

    /// As readiness, by another list of checks: it is what a worker's readiness probe requests.
    async fn group(&self, name: &str, request: ProbeRequest) -> Result<ProbeResponse, UnknownCheck> {
        let group = Some(self.sources.engine.group(name)?);
        if process::draining() {
            return Ok(request.refuse_while_draining());
        }
        if request.is_refused() {
            return Ok(request.refuse_refresh());
        }
        let selection = Selection { group, max_age: Some(self.sources.ready_max_age), ..request.selection() };
        Ok(request.report(&self.sweep(&self.sources.engine, selection).await?.report()))
    }

    async fn check(&self, name: &str, request: ProbeRequest) -> Result<ProbeResponse, UnknownCheck> {
        // First, as Django's: a name that is none is said to all.
        self.sources.engine.check(name)?;
        if request.is_refused() {
            return Ok(request.refuse_refresh());
        }
        let selection = Selection { names: Some(vec![name.to_owned()]), ..request.selection() };
        let rows = self.sweep(&self.sources.engine, selection).await?.rows();
        let failing = rows.iter().any(|row| row.outcome.status == Status::Error);
        let code = if failing { 503 } else { 200 };
        Ok(match rows.first() {
            Some(row) => request.respond_with_hint(code, &ResultOf(row, request.caller.shown), None),
            None => request.respond(code, &Map::new(), None),
        })
    }

    /// From known results; runs nothing. All of it is details.
    fn metrics(&self, request: ProbeRequest) -> ProbeResponse {
        match request.caller.shown {
            Shown::Everything => ProbeResponse {
                code: 200,
                content_type: request.metrics.content_type(),
                body: expose(
                    MetricsSnapshot::of(&self.sources.engine, self.sources.alerts.as_deref()),
                    request.metrics,
                ),
            },
            Shown::Statuses => {
                let message = "Metrics require a bearer token or an allowed network";
                request.respond(401, &json!({"status": "unauthorized", "message": message}), None)
            }
        }
    }

    /// A sweep of the selected checks of which the awaited ones have completed, at the latest at the end of the budget.
    /// Callables are awaited, and started, only where checks are to be run anew.
    async fn sweep(&self, engine: &Engine, selection: Selection) -> Result<Sweep, UnknownCheck> {
        let deadline = tokio::time::Instant::now() + self.sources.budget.saturating_sub(MARGIN);
        let (done, known) = oneshot::channel();
        let selection = Selection { without_python: !selection.refresh, ..selection };
        let (sweep, work) = engine.sweep(&selection)?;
        if !work.is_none() {
            let decided_at = sweep.decided_at();
            work.start(|| {
                let _ = done.send(());
            });
            let _ = timeout_at(decided_at.map_or(deadline, |at| at.min(deadline)), known).await;
        }
        Ok(sweep)
    }
}

fn critical() -> Selection {
    Selection { critical_only: true, ..Selection::default() }
}

/// The body of a response of the usual shape, with `more` behind it.
fn body(status: &str, message: &str, more: Map<String, Value>) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("status".to_owned(), json!(status));
    body.insert("timestamp".to_owned(), json!(timestamp(SystemTime::now())));
    body.insert("message".to_owned(), json!(message));
    body.extend(more);
    body
}
