//! `_core.Engine`: registers checks and begins sweeps.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pyo3::prelude::*;
use serde::Deserialize;

use super::breaker::Breaker;
use super::sweep::{Done, Sweep};
use super::waker::Waker;
use super::{not_negative, parse};
use crate::breaker::Transition;
use crate::checks::callable::Callable;
use crate::checks::{self, Check};
use crate::engine::{self, Selection};
use crate::limits::Limits;
use crate::spec::{BreakerSpec, CheckSpec, Kind, SpecError, positive_seconds};

/// A set of checks and what is known of them. Safe to use from any thread and after a fork.
#[pyclass(frozen, module = "lifesigns._core")]
pub struct Engine {
    inner: engine::Engine,
    default_timeout: Duration,
    default_ttl: Duration,
}

/// How a check is run: the options of `register` beside the name and what it does.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    critical: bool,
    timeout: Option<f64>,
    ttl: Option<f64>,
    breaker: Option<BreakerSpec>,
    depends_on: Vec<String>,
    failures_before_error: u32,
    successes_before_healthy: u32,
}

#[pymethods]
impl Engine {
    #[new]
    fn new(default_timeout: f64, default_ttl: f64, max_stale: f64) -> PyResult<Self> {
        Ok(Self {
            inner: engine::Engine::new(positive_seconds("max_stale", max_stale)?),
            default_timeout: positive_seconds("default_timeout", default_timeout)?,
            default_ttl: positive_seconds("default_ttl", default_ttl)?,
        })
    }

    /// Adds a native check from its specification, `{"kind": ...}`.
    fn register_spec(&self, name: &str, spec: &Bound<'_, PyAny>, options: &Bound<'_, PyAny>) -> PyResult<()> {
        let check = build(name, spec)?;
        self.register(name, options, |_| check)
    }

    /// Adds a callable; `id` comes back in each job that calls it.
    fn register_callable(&self, name: &str, id: u64, options: &Bound<'_, PyAny>) -> PyResult<()> {
        self.register(name, options, |timeout| Arc::new(Callable { id, timeout }))
    }

    /// Lets a registered name run another native check.
    fn replace_spec(&self, name: &str, spec: &Bound<'_, PyAny>) -> PyResult<()> {
        Ok(self.inner.replace(name, build(name, spec)?)?)
    }

    /// Lets a registered name run another callable.
    fn replace_callable(&self, name: &str, id: u64) -> PyResult<()> {
        let timeout = self.inner.slot(name)?.spec.timeout;
        Ok(self.inner.replace(name, Arc::new(Callable { id, timeout }))?)
    }

    /// Sets what degrades any check: seconds that a run took, percent of the latest runs that failed.
    fn limit(&self, response_time: Option<f64>, error_rate: Option<f64>) -> PyResult<()> {
        let response_time = response_time.map(|seconds| positive_seconds("response_time", seconds)).transpose()?;
        if let Some(rate) = error_rate.filter(|rate| !(0.0..=100.0).contains(rate)) {
            return Err(SpecError(format!("error_rate must be a number from 0 to 100, not {rate}")).into());
        }
        self.inner.limit(Limits { response_time, error_rate });
        Ok(())
    }

    #[getter]
    fn names(&self) -> Vec<String> {
        self.inner.names()
    }

    /// The circuit breaker of a check.
    fn breaker(&self, name: &str) -> PyResult<Breaker> {
        Breaker::of(self.inner.slot(name)?)
    }

    /// The state changes of circuit breakers since the last call: (check, from, to, seconds since 1970).
    fn take_events(&self) -> Vec<(String, &'static str, &'static str, f64)> {
        let seconds = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let events = self.inner.take_events().into_iter();
        events
            .map(|event| {
                let Transition { from, to } = event.transition;
                (event.check.to_string(), from.as_str(), to.as_str(), seconds(event.at))
            })
            .collect()
    }

    /// Starts a sweep. `waker` is told `token` once every answer is there, unless they are at once.
    #[pyo3(signature = (names, critical_only, refresh, max_age, waker=None, token=0))]
    fn begin(
        &self,
        names: Option<Vec<String>>,
        critical_only: bool,
        refresh: bool,
        max_age: Option<f64>,
        waker: Option<&Bound<'_, Waker>>,
        token: u64,
    ) -> PyResult<Sweep> {
        let max_age = max_age.map(|age| not_negative("max_age", age)).transpose()?;
        let selection = Selection { names, critical_only, refresh, max_age };
        let done = Arc::new(Done::default());
        let waker = waker.map(|waker| waker.get().signal());
        let signal = {
            let done = done.clone();
            move || {
                done.set();
                if let Some(waker) = waker {
                    waker.wake(token);
                }
            }
        };
        Ok(Sweep::new(self.inner.begin(&selection, signal)?, done))
    }
}

impl Engine {
    fn register(
        &self,
        name: &str,
        options: &Bound<'_, PyAny>,
        check: impl FnOnce(Duration) -> Arc<dyn Check>,
    ) -> PyResult<()> {
        let options: Options = parse(name, options)?;
        let seconds = |what: &str, value: Option<f64>, default: Duration| {
            value.map_or(Ok(default), |value| positive_seconds(&format!("{name}: {what}"), value))
        };
        let timeout = seconds("timeout", options.timeout, self.default_timeout)?;
        let ttl = seconds("ttl", options.ttl, self.default_ttl)?;
        let spec = CheckSpec {
            critical: options.critical,
            breaker: options.breaker,
            depends_on: options.depends_on,
            failures_before_error: options.failures_before_error,
            successes_before_healthy: options.successes_before_healthy,
            ..CheckSpec::new(name, timeout, ttl)
        };
        Ok(self.inner.register(spec, check(timeout))?)
    }
}

fn build(name: &str, spec: &Bound<'_, PyAny>) -> PyResult<Arc<dyn Check>> {
    let kind: Kind = parse(name, spec)?;
    Ok(checks::build(kind).map_err(|error| SpecError(format!("{name}: {error}")))?)
}
