//! The probe server: answers over HTTP from a native thread of its own, whatever the interpreter and the checks do.

mod access;
mod address;
mod ask;
mod connection;
mod probes;
mod route;
mod socket;
#[cfg(unix)]
mod unix;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};

use tokio::runtime::Builder;
use tokio::sync::oneshot;

pub use access::{Access, ShowDetails};
pub use address::Address;
pub use ask::ask;
pub use probes::Sources;

#[cfg(unix)]
use crate::monitor;
use crate::runtime::background::BackgroundService;
use crate::runtime::{PerProcess, lock};
use connection::Handler;
use probes::Probes;
use socket::Socket;

/// A probe server, in every process that uses its engine.
pub struct Server {
    access: Access,
    sources: Sources,
    asked_for: Address,
    /// Where it listens: with the port that the kernel chose, which children are to have too.
    bound: OnceLock<Address>,
    running: PerProcess<Running>,
    closed: AtomicBool,
}

impl Server {
    /// A server that does not listen yet: see [`BackgroundService::resume`].
    pub fn new(address: Address, access: Access, sources: Sources) -> Self {
        Self {
            access,
            sources,
            asked_for: address,
            bound: OnceLock::new(),
            running: PerProcess::new(),
            closed: AtomicBool::default(),
        }
    }

    pub fn address(&self) -> &Address {
        self.bound.get().unwrap_or(&self.asked_for)
    }

    /// Stops listening in this process and ends all connections; waits until that is done.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        if let Some(running) = self.running.get() {
            running.stop();
        }
    }

    fn start(&self) -> io::Result<Running> {
        // One thread and a runtime apart from that of the checks, so that nothing that a check does holds it up. Before
        // it sleeps it lets others have its core, so that it sleeps less: what they ask meanwhile takes no wake-up. With
        // two of them and their clients on two cores that is 120,000 answers a second instead of 85,000.
        let runtime = Builder::new_current_thread().enable_all().on_thread_park(thread::yield_now).build()?;
        let socket = {
            let _entered = runtime.enter();
            Socket::listen(self.address())?
        };
        // It was set already if this is a child.
        let _ = self.bound.set(socket.address()?);
        #[cfg(unix)]
        if let Some(signal) = self.sources.signal_when_wedged {
            runtime.spawn(monitor::signal_when_wedged(signal, self.sources.wedged_after));
        }
        let handler = Handler { access: self.access.clone(), probes: Probes::new(self.sources.clone()) };
        let (stop, stopped) = oneshot::channel();
        let serve = move || runtime.block_on(connection::serve(socket, Arc::new(handler), stopped));
        let thread = thread::Builder::new().name("lifesigns-probe".to_owned()).spawn(serve)?;
        Ok(Running(Mutex::new(Some((stop, thread)))))
    }
}

impl BackgroundService for Server {
    fn resume(&self) -> io::Result<()> {
        if self.closed.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.running.get_or_try_init(|| self.start()).map(|_| ())
    }
}

/// The thread that serves in one process.
struct Running(Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>);

impl Running {
    fn stop(&self) {
        let running = lock(&self.0).take();
        if let Some((stop, thread)) = running {
            drop(stop);
            // An error is a panic of the thread, which has ended then, too.
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}
