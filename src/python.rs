//! The boundary to Python: the only file that knows pyo3.
//!
//! Every call here came from Python. No thread of the engine's ever attaches to the interpreter, since that aborts the
//! process when it happens during interpreter exit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use pyo3::create_exception;
use pyo3::exceptions::{PyLookupError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pythonize::{depythonize, pythonize};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::checks::callable::Callable;
use crate::checks::{self, Check};
use crate::engine::{self, BeginError, Selection};
use crate::outcome::{CheckError, Finding, Status};
use crate::process::{self, Process, lock};
use crate::report;
use crate::spec::{BreakerSpec, CheckSpec, Kind, SpecError, positive_seconds};

/// How long a wait goes on before signals are looked at: Ctrl-C works within this time.
const SLICE: Duration = Duration::from_millis(50);

create_exception!(_core, UnknownCheckError, PyLookupError, "A check name that is not registered.");

impl From<SpecError> for PyErr {
    fn from(error: SpecError) -> Self {
        PyValueError::new_err(error.to_string())
    }
}

fn begin_error(error: BeginError) -> PyErr {
    match error {
        BeginError::UnknownCheck { .. } => UnknownCheckError::new_err(error.to_string()),
        BeginError::Runtime(error) => PyOSError::new_err(error.to_string()),
    }
}

/// Data from Python as a Rust value. Its errors name what was expected, and nothing that was given as a value.
fn parse<T: DeserializeOwned>(what: &str, data: &Bound<'_, PyAny>) -> PyResult<T> {
    depythonize(data).map_err(|error| PyValueError::new_err(format!("{what}: {}", without_values(&error.to_string()))))
}

/// serde quotes a string of the wrong type; it may be a secret that was put in the wrong place.
fn without_values(message: &str) -> String {
    match (message.find("string \""), message.rfind("\", expected")) {
        (Some(start), Some(end)) if start < end => {
            format!(
                "{}a string{}",
                message.get(..start).unwrap_or_default(),
                message.get(end + 1..).unwrap_or_default()
            )
        }
        _ => message.to_owned(),
    }
}

/// A set of checks and what is known of them. Safe to use from any thread and after a fork.
#[pyclass(frozen, module = "lifesigns._core")]
struct Engine {
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
        let kind: Kind = parse(name, spec)?;
        self.register(name, options, |_| checks::build(kind))
    }

    /// Adds a callable; `id` comes back in each job that calls it.
    fn register_callable(&self, name: &str, id: u64, options: &Bound<'_, PyAny>) -> PyResult<()> {
        self.register(name, options, |timeout| Arc::new(Callable { id, timeout }))
    }

    #[getter]
    fn names(&self) -> Vec<String> {
        self.inner.names()
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
        let waker = waker.map(|waker| waker.get().inner.clone());
        let signal = {
            let done = done.clone();
            move || {
                done.set();
                if let Some(waker) = waker {
                    waker.wake(token);
                }
            }
        };
        let sweep = self.inner.begin(&selection, signal).map_err(begin_error)?;
        Ok(Sweep { inner: sweep, done })
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

fn not_negative(what: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| PyValueError::new_err(format!("{what} must be a number of seconds from 0, not {seconds}")))
}

/// A flag that a thread can wait for.
#[derive(Default)]
struct Done {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Done {
    fn set(&self) {
        *lock(&self.set) = true;
        self.changed.notify_all();
    }

    fn wait(&self, at_most: Duration) {
        let waiting = self.changed.wait_timeout_while(lock(&self.set), at_most, |set| !*set);
        drop(waiting.unwrap_or_else(PoisonError::into_inner));
    }
}

/// A sweep under way.
#[pyclass(frozen, module = "lifesigns._core")]
struct Sweep {
    inner: engine::Sweep,
    done: Arc<Done>,
}

#[pymethods]
impl Sweep {
    /// Whether every answer is there.
    #[getter]
    fn done(&self) -> bool {
        self.inner.is_done()
    }

    /// Seconds from now until the sweep has ended, whatever happens.
    #[getter]
    fn remaining(&self) -> f64 {
        self.inner.deadline.saturating_duration_since(Instant::now()).as_secs_f64()
    }

    /// Waits until every answer is there, at most until the sweep's own deadline or for `deadline` seconds.
    #[pyo3(signature = (deadline=None))]
    fn wait(&self, py: Python<'_>, deadline: Option<f64>) -> PyResult<()> {
        let budget = deadline.map(|seconds| not_negative("deadline", seconds)).transpose()?;
        let end = budget.and_then(|budget| Instant::now().checked_add(budget)).unwrap_or(self.inner.deadline);
        let end = end.min(self.inner.deadline);
        while !self.inner.is_done() {
            let remaining = end.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                break;
            }
            py.detach(|| self.done.wait(remaining.min(SLICE)));
            py.check_signals()?;
        }
        Ok(())
    }

    /// The report on what is known now, as a dict.
    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(pythonize(py, &self.inner.report())?)
    }

    /// The result of the first check, as a dict.
    fn result<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let result = self.inner.rows().first().map_or(Value::Null, report::result);
        Ok(pythonize(py, &result)?)
    }
}

/// Wakes an event loop from the engine's threads, by making a socket readable.
#[pyclass(frozen, module = "lifesigns._core")]
struct Waker {
    inner: Arc<WakerInner>,
}

struct WakerInner {
    woken: Mutex<Vec<u64>>,
    #[cfg(unix)]
    sockets: (std::os::unix::net::UnixStream, std::os::unix::net::UnixStream),
}

impl WakerInner {
    fn wake(&self, token: u64) {
        let mut woken = lock(&self.woken);
        woken.push(token);
        #[cfg(unix)]
        if woken.len() == 1 {
            use std::io::Write;
            // Full means readable already; closed means that the loop is gone.
            let _ = (&self.sockets.1).write(&[0]);
        }
    }
}

#[pymethods]
impl Waker {
    #[new]
    fn new() -> PyResult<Self> {
        #[cfg(unix)]
        {
            let sockets = std::os::unix::net::UnixStream::pair()?;
            sockets.0.set_nonblocking(true)?;
            sockets.1.set_nonblocking(true)?;
            Ok(Self { inner: Arc::new(WakerInner { woken: Mutex::default(), sockets }) })
        }
        #[cfg(not(unix))]
        Ok(Self { inner: Arc::new(WakerInner { woken: Mutex::default() }) })
    }

    /// What an event loop is to watch for reading.
    #[cfg(unix)]
    fn fileno(&self) -> std::os::fd::RawFd {
        use std::os::fd::AsRawFd;
        self.inner.sockets.0.as_raw_fd()
    }

    /// The tokens of the sweeps that have ended since the last call.
    fn drain(&self) -> Vec<u64> {
        let mut woken = lock(&self.inner.woken);
        #[cfg(unix)]
        {
            use std::io::Read;
            let _ = (&self.inner.sockets.0).read(&mut [0; 8]);
        }
        std::mem::take(&mut woken)
    }
}

/// A number for a callable, unique in this process and its children.
#[pyfunction]
fn new_callable_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// How many more threads have to run `next_job` so that these callables can run at once.
#[pyfunction]
fn reserve_threads(callables: Vec<u64>) -> PyResult<usize> {
    Ok(Process::current()?.lanes.reserve_threads(&callables))
}

/// Says that a thread has left `next_job` for good.
#[pyfunction]
fn thread_ended() -> PyResult<()> {
    Process::current()?.lanes.thread_ended();
    Ok(())
}

/// Waits for the next call to make: (token, callable, timeout in seconds).
#[pyfunction]
fn next_job(py: Python<'_>) -> PyResult<(u64, u64, f64)> {
    let process = Process::current()?;
    // While jobs wait, the next one is taken without letting go of the interpreter.
    let job = match process.lanes.try_next() {
        Some(job) => job,
        None => py.detach(|| process.lanes.next()),
    };
    Ok((job.token, job.callable, job.timeout.as_secs_f64()))
}

/// What a callable answered, as `callables.py` puts it.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Answer {
    Result { status: Status, message: String, details: Map<String, Value> },
    Raised { class: String, location: Option<String> },
    Returned(String),
}

/// Hands in the answer to a call.
#[pyfunction]
fn job_done(token: u64, callable: u64, answer: &Bound<'_, PyAny>) -> PyResult<()> {
    let answer = match depythonize(answer) {
        Ok(Answer::Result { status, message, details }) => Ok(Finding { status, message, details }),
        Ok(Answer::Raised { class, location }) => Err(CheckError::Raised { class, location }),
        Ok(Answer::Returned(what)) => Err(CheckError::Returned(what)),
        // Whatever happens, the call must end: nobody else would ever end it.
        Err(_) => Err(CheckError::Returned("what cannot be shown as JSON".to_owned())),
    };
    Process::current()?.lanes.done(token, callable, answer);
    Ok(())
}

#[pymodule(gil_used = false)]
mod _core {
    use super::*;

    #[pymodule_export]
    use super::{
        Engine, Sweep, UnknownCheckError, Waker, job_done, new_callable_id, next_job, reserve_threads, thread_ended,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        process::watch_forks();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}

#[cfg(test)]
mod tests {
    use super::without_values;

    #[test]
    fn a_string_in_the_wrong_place_is_not_quoted() {
        let message = r#"invalid type: string "postgresql://u:hunter2@h", expected struct PostgresServer"#;
        assert_eq!(without_values(message), "invalid type: a string, expected struct PostgresServer");
        let message = "unknown field `hots`, expected `host`";
        assert_eq!(without_values(message), message);
    }
}
