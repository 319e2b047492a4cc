//! Monitors the interpreter: the one thread of the engine that attaches to it.
//!
//! It attaches once, then only releases and acquires the interpreter: no Python code runs on it, nor any destructor that pyo3
//! deferred. An `atexit` handler stops it, and waits only while it attaches: an interpreter that has ended cannot be
//! attached to. Should it wait for the interpreter later, while that ends, it never gets it: CPython from 3.14 on, and
//! pyo3-ffi's wrappers below, leave such a thread waiting until the process ends, instead of unwinding it.

use std::io;
use std::thread;
use std::time::Duration;

use pyo3::ffi;
use pyo3::prelude::*;

use crate::model::positive_seconds;
use crate::monitor::{self, InterpreterMonitor};
use crate::runtime::background::BackgroundService;

/// The thread that monitors the interpreter, in every process that uses the engine.
pub struct Interpreter;

impl BackgroundService for Interpreter {
    fn resume(&self) -> io::Result<()> {
        let monitor = monitor::interpreter_monitor();
        if monitor.start() {
            let watched = monitor.clone();
            let thread = thread::Builder::new().name("lifesigns-monitor".to_owned()).spawn(move || watch(&watched));
            // Without its thread the interpreter would seem to be wedged.
            thread.inspect_err(|_| monitor.stop())?;
        }
        Ok(())
    }
}

fn watch(monitor: &InterpreterMonitor) {
    // SAFETY: the calls alternate as they must, on one thread that no other code attaches, and nothing between them
    // touches Python. The interpreter is there: `stop_interpreter_monitor`, which it calls before it ends, waits for the
    // first of them.
    #[allow(unsafe_code, reason = "pyo3's own attach runs deferred destructors, which are Python code")]
    unsafe {
        let attached = monitor.attach(|| {
            ffi::PyGILState_Ensure();
        });
        if !attached {
            return;
        }
        loop {
            monitor.acquired();
            let state = ffi::PyEval_SaveThread();
            monitor.pause();
            if monitor.is_stopped() {
                return;
            }
            monitor.wait_started();
            ffi::PyEval_RestoreThread(state);
        }
    }
}

/// Stops the monitor before the interpreter ends.
#[pyfunction]
pub fn stop_interpreter_monitor(py: Python<'_>) {
    py.detach(|| monitor::interpreter_monitor().stop());
}

/// Records a heartbeat of an event loop, which sends the next one after `every` seconds.
#[pyfunction]
pub fn loop_runs(id: u64, every: f64) -> PyResult<()> {
    let every: Duration = positive_seconds("every", every)?;
    monitor::interpreter_monitor().loop_runs(id, every);
    Ok(())
}

/// Forgets an event loop that was closed.
#[pyfunction]
pub fn loop_ended(id: u64) {
    monitor::interpreter_monitor().loop_ended(id);
}
