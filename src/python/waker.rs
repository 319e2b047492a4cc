//! `_core.Waker`: wakes an event loop of Python's when a sweep has ended.

use std::sync::{Arc, Mutex};

use pyo3::prelude::*;

use crate::runtime::lock;

/// Wakes an event loop from the engine's threads, by making a socket readable.
#[pyclass(frozen, name = "Waker", module = "lifesigns._core")]
pub struct PyWaker(Arc<Signal>);

pub(super) struct Signal {
    woken: Mutex<Vec<u64>>,
    #[cfg(unix)]
    sockets: (std::os::unix::net::UnixStream, std::os::unix::net::UnixStream),
}

impl PyWaker {
    pub(super) fn signal(&self) -> Arc<Signal> {
        self.0.clone()
    }
}

impl Signal {
    pub(super) fn wake(&self, token: u64) {
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
impl PyWaker {
    #[new]
    fn new() -> PyResult<Self> {
        #[cfg(unix)]
        {
            let sockets = std::os::unix::net::UnixStream::pair()?;
            sockets.0.set_nonblocking(true)?;
            sockets.1.set_nonblocking(true)?;
            Ok(Self(Arc::new(Signal { woken: Mutex::default(), sockets })))
        }
        #[cfg(not(unix))]
        Ok(Self(Arc::new(Signal { woken: Mutex::default() })))
    }

    /// What an event loop is to watch for reading.
    #[cfg(unix)]
    fn fileno(&self) -> std::os::fd::RawFd {
        use std::os::fd::AsRawFd;
        self.0.sockets.0.as_raw_fd()
    }

    /// The tokens of the sweeps that have ended since the last call.
    fn drain(&self) -> Vec<u64> {
        let mut woken = lock(&self.0.woken);
        #[cfg(unix)]
        {
            use std::io::Read;
            let _ = (&self.0.sockets.0).read(&mut [0; 8]);
        }
        std::mem::take(&mut woken)
    }
}
