//! `_core.Alerts`: the alerts of an engine, for Python and the tables.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pyo3::exceptions::{PyLookupError, PyTimeoutError, PyValueError};
use pyo3::prelude::*;
use pythonize::pythonize;
use serde_json::Value;

use super::engine::PyEngine;
use super::not_negative;
use super::parse::{parse, parse_alerts};
use crate::delivery::restore::KeptIncident;
use crate::delivery::service::AlertService;
use crate::delivery::settings::MatcherFields;
use crate::delivery::{AlertError, Alerts, StoreInUse, callable, shown};
use crate::model::Notice;
use crate::model::clock::Moment;
use crate::policy::suppression::Silence;

impl From<StoreInUse> for PyErr {
    fn from(error: StoreInUse) -> Self {
        PyTimeoutError::new_err(error.to_string())
    }
}

impl From<AlertError> for PyErr {
    fn from(error: AlertError) -> Self {
        match error {
            AlertError::Busy(error) => error.into(),
            AlertError::Unknown(error) => error.into(),
            AlertError::Wrong(error) => error.into(),
        }
    }
}

/// The alerts of one engine. Safe to use from any thread and after a fork.
#[pyclass(frozen, name = "Alerts", module = "lifesigns._core")]
pub struct PyAlerts {
    inner: Arc<Alerts>,
    service: Arc<AlertService>,
}

impl PyAlerts {
    pub(super) fn inner(&self) -> Arc<Alerts> {
        self.inner.clone()
    }
}

type PyValueResult<'py> = PyResult<Bound<'py, PyAny>>;

#[pymethods]
impl PyAlerts {
    /// Alerts of `engine` by `settings`, from its first run on. `application` is that of settings which name none, and
    /// `callables` are the numbers of the channels that are written in Python, by name.
    #[new]
    fn new(
        engine: &Bound<'_, PyEngine>,
        application: &str,
        settings: &Bound<'_, PyAny>,
        callables: HashMap<String, u64>,
    ) -> PyResult<Self> {
        let settings = parse_alerts(settings, application, &callables)?;
        let inner = Arc::new(Alerts::new(&engine.get().inner(), settings));
        let service = Arc::new(AlertService::of(inner.clone()));
        engine.get().services().add_later(service.clone());
        engine.get().set_alerts(inner.clone());
        Ok(Self { inner, service })
    }

    fn incidents<'py>(&self, py: Python<'py>, open_only: bool) -> PyValueResult<'py> {
        let shown = py.detach(|| {
            let now = Moment::now();
            let application = &self.inner.settings.application;
            let (incidents, control) = (self.inner.incidents(open_only), self.inner.control());
            let shown = |incident| shown::incident(incident, application, &control, now);
            incidents.iter().map(shown).collect::<Vec<Value>>()
        });
        Ok(pythonize(py, &shown)?)
    }

    /// Whether this host decides about incidents: without a fleet, or as the holder of those of its fleet.
    fn is_holder(&self, py: Python<'_>) -> bool {
        py.detach(|| self.inner.is_holder())
    }

    /// Notes which revisions of incidents the tables have.
    fn confirm(&self, py: Python<'_>, revisions: BTreeMap<String, u64>) -> PyResult<()> {
        Ok(py.detach(|| self.inner.confirm(&revisions))?)
    }

    /// Takes back incidents that `incidents` has shown before a restart; `retry`: tries again what was given up of them.
    fn restore(&self, py: Python<'_>, incidents: &Bound<'_, PyAny>, retry: bool) -> PyResult<()> {
        let kept: Vec<KeptIncident> = parse("incidents", incidents)?;
        Ok(py.detach(|| self.inner.restore(kept, retry))?)
    }

    fn acknowledge(&self, py: Python<'_>, check: &str, author: &str, comment: &str) -> PyResult<bool> {
        Ok(py.detach(|| self.inner.acknowledge(check, author, comment))?)
    }

    /// Adds a silence, in place of one of the same id. Times in seconds since 1970.
    #[allow(clippy::too_many_arguments, reason = "Python's arguments")]
    fn silence(
        &self,
        py: Python<'_>,
        id: String,
        matchers: &Bound<'_, PyAny>,
        start: f64,
        end: f64,
        author: String,
        comment: String,
    ) -> PyResult<()> {
        let matcher = parse::<MatcherFields>("matchers", matchers)?.matcher()?;
        let time =
            |what, seconds| Ok::<_, PyErr>(UNIX_EPOCH + not_negative(what, seconds)?.min(Duration::from_secs(1 << 36)));
        let (start, end) = (time("start", start)?, time("end", end)?);
        if end <= start {
            return Err(PyValueError::new_err("end must be after start"));
        }
        let silence = Silence { id, matcher, start, end, author, comment };
        Ok(py.detach(|| self.inner.silence(silence))?)
    }

    fn expire_silence(&self, py: Python<'_>, id: &str) -> PyResult<bool> {
        Ok(py.detach(|| self.inner.expire_silence(id))?)
    }

    fn silences<'py>(&self, py: Python<'py>) -> PyValueResult<'py> {
        let silences = py.detach(|| self.inner.silences());
        let now = SystemTime::now();
        let shown: Vec<Value> = silences.iter().map(|silence| shown::silence(silence, now)).collect();
        Ok(pythonize(py, &shown)?)
    }

    /// Attempts to deliver a notice once over a channel, beside all that waits for it, and returns the result.
    #[pyo3(signature = (channel, notice, reference = None))]
    fn attempt<'py>(
        &self,
        py: Python<'py>,
        channel: &str,
        notice: &Bound<'py, PyAny>,
        reference: Option<&str>,
    ) -> PyValueResult<'py> {
        let notice: Notice = parse("notice", notice)?;
        let attempt = py.detach(|| self.inner.attempt(channel, &notice, reference))?;
        let attempt = attempt.ok_or_else(|| {
            let known: Vec<&str> = self.inner.settings.channels.iter().map(|channel| channel.name()).collect();
            PyLookupError::new_err(format!("unknown channel {channel:?}; known are: {}", known.join(", ")))
        })?;
        Ok(pythonize(py, &shown::attempt(&attempt))?)
    }

    /// Has everything of an incident tried again that was given up; returns how many notices are pending then.
    fn retry(&self, py: Python<'_>, id: &str) -> PyResult<usize> {
        let pending = py.detach(|| self.inner.retry(id))?;
        pending.ok_or_else(|| PyLookupError::new_err(format!("unknown incident {id:?}")))
    }

    /// Sends another trigger of an open incident, if it still fails. `after`: the number of the last notice of it that
    /// another scope has sent.
    fn trigger_again(&self, py: Python<'_>, id: &str, after: u32) -> PyResult<()> {
        let is_open = py.detach(|| self.inner.trigger_again(id, after))?;
        if is_open { Ok(()) } else { Err(PyLookupError::new_err(format!("unknown incident {id:?}"))) }
    }

    /// Sends what is due, for a process that is about to end, for so many seconds at most.
    fn flush(&self, py: Python<'_>, at_most: f64) -> PyResult<()> {
        let at_most = not_negative("at_most", at_most)?;
        py.detach(|| self.service.flush(at_most));
        Ok(())
    }
}

/// The notice that a channel's callable of that number is to send now, as a dict.
#[pyfunction]
pub fn notice_for(py: Python<'_>, callable: u64) -> PyResult<Option<Bound<'_, PyAny>>> {
    let notice = py.detach(|| callable::notice_for(callable));
    let shown = notice.map(|(notice, reference)| shown::notice(&notice, reference.as_deref()));
    shown.map(|shown| Ok(pythonize(py, &shown)?)).transpose()
}

/// Fails as `Alerts` would with these settings.
#[pyfunction]
pub fn validate_alerts(settings: &Bound<'_, PyAny>, callables: HashMap<String, u64>) -> PyResult<()> {
    parse_alerts(settings, "application", &callables).map(drop)
}
