//! `_core.Engine`: registers checks and starts sweeps.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::Value;

use super::breaker::PyBreaker;
use super::events;
use super::fleet::fleet as parse_fleet;
use super::interpreter::Interpreter;
use super::not_negative;
use super::parse::{parse, parse_check};
use super::register_options::RegisterOptions;
use super::sweep::{Done, PySweep, budget};
use super::waker::PyWaker;
use crate::checks::callable::CallableCheck;
use crate::checks::{Check, default_scope};
use crate::delivery::Alerts;
use crate::engine::claims::WatchedClaims;
use crate::engine::refresh::Refresh;
use crate::engine::watched_results::WatchedResult;
use crate::engine::{self, Selection, UnknownCheck};
use crate::metrics::{self, Format, MetricsSnapshot};
use crate::model::{CheckScope, Diagnostic, SpecError, in_python, positive_seconds};
use crate::monitor::{FleetMembership, Membership};
use crate::policy::group::Group;
use crate::policy::limits::Limits;
use crate::runtime::background::BackgroundServices;
use crate::runtime::diagnostics;
use crate::state::{Scope, history_marks};

/// A set of checks and what is known of them. Safe to use from any thread and after a fork.
#[pyclass(frozen, name = "Engine", module = "lifesigns._core")]
pub struct PyEngine {
    inner: Arc<engine::Engine>,
    services: BackgroundServices,
    refresh: OnceLock<Arc<Refresh>>,
    alerts: OnceLock<Arc<Alerts>>,
    default_timeout: Duration,
    default_ttl: Duration,
}

/// Events as dicts, and diagnostics (whether a warning, text).
type Pending<'py> = (Vec<Bound<'py, PyDict>>, Vec<LogLine>);
/// The logger, whether it is a warning, the text, the address of the probe server that it is about.
type LogLine = (&'static str, bool, String, Option<String>);

#[pymethods]
impl PyEngine {
    #[new]
    #[pyo3(signature = (default_timeout, default_ttl, max_stale, store=None, fleet=None))]
    fn new(
        default_timeout: f64,
        default_ttl: f64,
        max_stale: f64,
        store: Option<PathBuf>,
        fleet: Option<(Bound<'_, PyAny>, Bound<'_, PyAny>)>,
    ) -> PyResult<Self> {
        let share = store.map_or(Scope::Process, Scope::Host);
        let mut inner = engine::Engine::new(positive_seconds("max_stale", max_stale)?).shared(share.clone());
        if let Some((options, server)) = fleet {
            inner = inner.in_fleet(parse_fleet(&options, &server, share)?);
        }
        Ok(Self {
            inner: Arc::new(inner),
            services: BackgroundServices::default(),
            refresh: OnceLock::new(),
            alerts: OnceLock::new(),
            default_timeout: positive_seconds("default_timeout", default_timeout)?,
            default_ttl: positive_seconds("default_ttl", default_ttl)?,
        })
    }

    /// Adds a native check from its specification, `{"kind": ...}`.
    fn register_spec(&self, name: &str, spec: &Bound<'_, PyAny>, options: &Bound<'_, PyAny>) -> PyResult<()> {
        let check = parse_check(name, spec)?;
        let mut identity: Value = parse(name, spec)?;
        identity.sort_all_objects();
        let kind = identity.get("kind").and_then(Value::as_str).unwrap_or_default();
        self.register(name, options, identity.to_string(), default_scope(kind), |_| check)
    }

    /// Adds a callable; `id` comes back in each job that calls it. `identity` distinguishes it in other processes.
    fn register_callable(&self, name: &str, id: u64, identity: String, options: &Bound<'_, PyAny>) -> PyResult<()> {
        let check = |timeout| Arc::new(CallableCheck { id, timeout }) as Arc<dyn Check>;
        self.register(name, options, identity, CheckScope::Host, check)
    }

    /// Lets a registered name run another native check.
    fn replace_spec(&self, name: &str, spec: &Bound<'_, PyAny>) -> PyResult<()> {
        Ok(self.inner.replace(name, parse_check(name, spec)?)?)
    }

    /// Lets a registered name run another callable.
    fn replace_callable(&self, name: &str, id: u64) -> PyResult<()> {
        let timeout = self.inner.check(name)?.options.timeout;
        Ok(self.inner.replace(name, Arc::new(CallableCheck { id, timeout }))?)
    }

    /// Sets what degrades any check: seconds that a run took, percent of the latest runs that failed.
    fn limit(&self, response_time: Option<f64>, error_rate: Option<f64>) -> PyResult<()> {
        let response_time = response_time.map(|seconds| positive_seconds("response_time", seconds)).transpose()?;
        if let Some(rate) = error_rate.filter(|rate| !(0.0..=100.0).contains(rate)) {
            return Err(SpecError(format!("error_rate must be a number from 0 to 100, not {}", in_python(rate))).into());
        }
        self.inner.limit(Limits { response_time, error_rate });
        Ok(())
    }

    #[getter]
    fn names(&self) -> Vec<String> {
        self.inner.names()
    }

    /// Adds a group, in place of one of the same name. Without `critical` those are that are critical by themselves.
    #[pyo3(signature = (name, checks, critical=None))]
    fn add_group(&self, name: &str, checks: Vec<String>, critical: Option<Vec<String>>) -> PyResult<()> {
        self.inner.add_group(Group::new(name, checks, critical)?);
        Ok(())
    }

    #[getter]
    fn groups(&self) -> Vec<String> {
        self.inner.groups()
    }

    /// The names of the checks of a group, or of those of them that are critical there.
    #[pyo3(signature = (group, critical_only=false))]
    fn names_of(&self, group: &str, critical_only: bool) -> PyResult<Vec<String>> {
        let group = self.inner.group(group)?;
        let checks = self.inner.checks_of(&group);
        let options = checks.iter().map(|check| &check.options);
        let selected = options.filter(|check| !critical_only || group.is_critical(&check.name, check.critical));
        Ok(selected.map(|check| check.name.clone()).collect())
    }

    /// The circuit breaker of a check.
    fn breaker(&self, name: &str) -> PyResult<PyBreaker> {
        PyBreaker::of(self.inner.check(name)?)
    }

    /// The events and diagnostics since the last call, if there are any.
    fn take_events<'py>(&self, py: Python<'py>) -> PyResult<Option<Pending<'py>>> {
        if !self.inner.has_events() {
            return Ok(None);
        }
        let (events, diagnostics) = py.detach(|| (self.inner.take_events(), diagnostics::take()));
        let events = events.iter().map(|event| events::dict(py, event)).collect::<PyResult<_>>()?;
        let line = |it: Diagnostic| (it.logger, it.is_warning, it.text, it.address);
        Ok(Some((events, diagnostics.into_iter().map(line).collect())))
    }

    /// The metrics as Prometheus text or as OpenMetrics.
    fn metrics(&self, py: Python<'_>, openmetrics: bool) -> String {
        let format = if openmetrics { Format::OpenMetrics } else { Format::Prometheus };
        py.detach(|| metrics::expose(MetricsSnapshot::of(&self.inner, self.alerts.get().map(Arc::as_ref)), format))
    }

    /// Renews results shortly before they expire, those of critical checks before they are `critical_max_age` old.
    /// `publisher` is the callable that hands events to the log and to subscribers; `as_member`: announce this process to
    /// those that share, with this engine's readiness.
    #[pyo3(signature = (critical_max_age, publisher, as_member=true))]
    fn start_background(
        &self,
        py: Python<'_>,
        critical_max_age: Option<f64>,
        publisher: u64,
        as_member: bool,
    ) -> PyResult<()> {
        let max_age = critical_max_age.map(|seconds| positive_seconds("critical_max_age", seconds)).transpose()?;
        let made = Arc::new(Refresh::of(&self.inner, publisher));
        let refresh = self.refresh.get_or_init(|| made.clone());
        if let Some(max_age) = max_age {
            refresh.limit_critical(max_age);
        }
        let is_helper = self.is_helper(py);
        py.detach(|| {
            if Arc::ptr_eq(refresh, &made) {
                self.services.add(made)?;
                self.services.add(Arc::new(Interpreter))?;
                if as_member && *self.inner.scope() != Scope::Process {
                    self.services.add(Arc::new(Membership::of(&self.inner)))?;
                }
                if self.inner.fleet().is_some() {
                    self.services.add(Arc::new(FleetMembership::of(&self.inner)))?;
                }
            }
            self.resume_services(is_helper);
            Ok(())
        })
    }

    /// Notes that a history keeps the result of that check and time (seconds since 1970), and says whether no other
    /// process that shares with this one has done so, nor for one within `gap` seconds of it.
    fn note(&self, py: Python<'_>, name: &str, at: f64, gap: f64) -> PyResult<bool> {
        let (at, gap) = (not_negative("at", at)?, not_negative("gap", gap)?);
        let share = self.inner.scope().clone();
        Ok(py.detach(|| history_marks::note(&share, name, at, gap)))
    }

    /// Has a callable called once no process that shares has noted a result of that name for `gap` seconds.
    fn watch_claims(&self, name: &str, gap: f64, callable: u64) -> PyResult<()> {
        let gap = not_negative("gap", gap)?;
        self.inner.watch_claims(WatchedClaims { name: name.to_owned(), gap, callable });
        Ok(())
    }

    /// Has a callable called with each result of a check that differs from the last one, whichever process has found it.
    fn watch_result(&self, name: &str, callable: u64) -> PyResult<()> {
        self.inner.check(name)?;
        self.inner.watch_result(WatchedResult::new(name.to_owned(), callable));
        Ok(())
    }

    /// Whether the critical checks have passed once, here or in a process that shares with this one and still lives.
    fn has_started(&self, py: Python<'_>, passing: bool) -> bool {
        py.detach(|| self.inner.has_started(passing))
    }

    /// Starts again what a fork ended: probe servers and the like. Every sweep does so, too, but for the probe servers of
    /// multiprocessing's children.
    fn resume(&self, py: Python<'_>) {
        py.detach(|| self.services.resume_all());
    }

    /// Starts a sweep. `waker` receives `token` once every answer is there, unless they are at once.
    #[pyo3(signature = (names, critical_only, refresh, max_age, group=None, waker=None, token=0))]
    #[allow(clippy::too_many_arguments, reason = "Python's keywords")]
    fn start(
        &self,
        py: Python<'_>,
        names: Option<Vec<String>>,
        critical_only: bool,
        refresh: bool,
        max_age: Option<f64>,
        group: Option<&str>,
        waker: Option<&Bound<'_, PyWaker>>,
        token: u64,
    ) -> PyResult<PySweep> {
        let max_age = max_age.map(|age| not_negative("max_age", age)).transpose()?;
        let group = group.map(|name| self.inner.group(name)).transpose()?;
        let selection = Selection { names, group, critical_only, refresh, max_age, without_python: false };
        let waker = waker.map(|waker| waker.get().signal());
        let is_helper = self.is_helper(py);
        let (sweep, done) = py.detach(|| {
            self.resume_services(is_helper);
            let (sweep, work) = self.inner.sweep(&selection)?;
            let done = Arc::new(Done::default());
            if !work.is_none() {
                let done = done.clone();
                work.start(move || {
                    done.set();
                    if let Some(waker) = waker {
                        waker.wake(token);
                    }
                });
            }
            Ok::<_, UnknownCheck>((sweep, done))
        })?;
        Ok(PySweep::new(sweep, done))
    }

    /// Starts a sweep, and waits as `Sweep.wait` does.
    #[pyo3(signature = (names, critical_only, refresh, max_age, group=None, deadline=None))]
    #[allow(clippy::too_many_arguments, reason = "Python's keywords")]
    fn run(
        &self,
        py: Python<'_>,
        names: Option<Vec<String>>,
        critical_only: bool,
        refresh: bool,
        max_age: Option<f64>,
        group: Option<&str>,
        deadline: Option<f64>,
    ) -> PyResult<PySweep> {
        let budget = budget(deadline)?;
        let sweep = self.start(py, names, critical_only, refresh, max_age, group, None, 0)?;
        sweep.finish(py, sweep.end(budget))?;
        Ok(sweep)
    }
}

impl PyEngine {
    pub(super) fn inner(&self) -> Arc<engine::Engine> {
        self.inner.clone()
    }

    pub(super) fn services(&self) -> &BackgroundServices {
        &self.services
    }

    /// Its alerts, if it has any.
    pub(super) fn alerts(&self) -> Option<Arc<Alerts>> {
        self.alerts.get().cloned()
    }

    /// Shows these alerts in its metrics; an engine has one.
    pub(super) fn set_alerts(&self, alerts: Arc<Alerts>) {
        let _ = self.alerts.set(alerts);
    }

    /// Whether this process is a helper of the one that multiprocessing has forked it from. Looks only where services
    /// are stopped.
    fn is_helper(&self, py: Python<'_>) -> bool {
        self.services.are_stopped() && is_multiprocessing_child(py)
    }

    /// Starts what a fork ended, but for the servers of a helper.
    fn resume_services(&self, is_helper: bool) {
        self.services.resume(|service| !(is_helper && service.served_address().is_some()));
    }

    fn register(
        &self,
        name: &str,
        options: &Bound<'_, PyAny>,
        identity: String,
        default_scope: CheckScope,
        check: impl FnOnce(Duration) -> Arc<dyn Check>,
    ) -> PyResult<()> {
        let options = parse::<RegisterOptions>(name, options)?;
        let options = options.check_options(name, identity, self.default_timeout, self.default_ttl, default_scope)?;
        let check = check(options.timeout);
        Ok(self.inner.register(options, check)?)
    }
}

/// Who shares the result of a check of that kind where its registration does not say.
#[pyfunction(name = "default_scope")]
pub fn default_scope_of(kind: &str) -> &'static str {
    default_scope(kind).as_str()
}

/// Whether multiprocessing has forked this process, as `multiprocessing.parent_process()` says. Runs no Python code.
fn is_multiprocessing_child(py: Python<'_>) -> bool {
    let parent = || {
        let modules = py.import("sys")?.getattr("modules")?;
        modules.get_item("multiprocessing.process")?.getattr("_parent_process")
    };
    parent().is_ok_and(|parent| !parent.is_none())
}
