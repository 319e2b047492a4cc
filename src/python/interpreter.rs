//! Takes the pulse of the interpreter: the one thread of ours that attaches to it.
//!
//! It attaches once, then only lets go and takes hold again: no Python code runs on it, nor any destructor that pyo3
//! deferred. An `atexit` handler stops it, and waits only while it attaches: an interpreter that has ended cannot be
//! attached to. Should it wait for the interpreter later, while that ends, it is never given it: CPython from 3.14 on, and
//! pyo3-ffi's wrappers below, leave such a thread waiting until the process ends, instead of unwinding it.

use std::io;
use std::thread;
use std::time::Duration;

use pyo3::ffi;
use pyo3::prelude::*;

use crate::model::positive_seconds;
use crate::monitor::{self, BEAT, Pulse};
use crate::runtime::background::BackgroundService;

/// The taking of the pulse, in every process that uses the engine.
pub struct Interpreter;

impl BackgroundService for Interpreter {
    fn resume(&self) -> io::Result<()> {
        let pulse = monitor::pulse();
        if pulse.begin() {
            let taking = pulse.clone();
            let thread = thread::Builder::new().name("lifesigns-pulse".to_owned()).spawn(move || take(&taking));
            // Nobody would ever see it run.
            thread.inspect_err(|_| pulse.stop())?;
        }
        Ok(())
    }
}

fn take(pulse: &Pulse) {
    // SAFETY: the calls alternate as they must, on one thread that nobody else attaches, and nothing between them
    // touches Python. The interpreter is there: `stop_pulse`, which it calls before it ends, waits for the first of them.
    #[allow(unsafe_code, reason = "pyo3's own attach runs deferred destructors, which are Python code")]
    unsafe {
        let attached = pulse.attach(|| {
            ffi::PyGILState_Ensure();
        });
        if !attached {
            return;
        }
        loop {
            pulse.runs();
            let state = ffi::PyEval_SaveThread();
            thread::sleep(BEAT);
            if pulse.is_stopped() {
                return;
            }
            pulse.waits();
            ffi::PyEval_RestoreThread(state);
        }
    }
}

/// Says that the interpreter is about to end.
#[pyfunction]
pub fn stop_pulse(py: Python<'_>) {
    py.detach(|| monitor::pulse().stop());
}

/// Says that an event loop runs, and will say so again after `every` seconds.
#[pyfunction]
pub fn loop_runs(id: u64, every: f64) -> PyResult<()> {
    let every: Duration = positive_seconds("every", every)?;
    monitor::pulse().loop_runs(id, every);
    Ok(())
}

/// Says that an event loop is no more.
#[pyfunction]
pub fn loop_ended(id: u64) {
    monitor::pulse().loop_ended(id);
}
