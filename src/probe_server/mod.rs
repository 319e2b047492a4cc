//! The probe server: responds over HTTP from a native thread of its own, whatever the interpreter and the checks do.
//!
//! [`Server::start`] listens or fails. From then on the thread keeps the address: where it cannot listen (in a forked
//! child, after the socket's file was removed) it says so once and tries again each second.

mod access;
mod address;
mod capacity;
mod client;
mod connection;
mod http;
mod listener;
mod media;
mod page;
mod render;
mod responses;
mod route;
#[cfg(unix)]
mod unix_connect;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::time::sleep;

pub use access::{Access, ShowDetails};
pub use address::ProbeAddress;
pub use client::request;
#[cfg(unix)]
pub use listener::hold;
pub use responses::Sources;

use crate::monitor;
use crate::runtime::background::BackgroundService;
use crate::runtime::tasks::run_blocking;
#[cfg(unix)]
use crate::runtime::tasks::spawn_on;
use crate::runtime::{PerProcess, diagnostics, lock};
use http::Handler;
use listener::{Listener, OpenListener, open};
use responses::Probes;

/// How soon to listen again after an error, and where another container listens.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const STANDBY: Duration = Duration::from_millis(100);

/// A probe server, in every process that uses its engine.
pub struct Server {
    access: Access,
    sources: Sources,
    requested: ProbeAddress,
    /// Where it listens: with the port that the kernel chose, which children are to have too.
    bound: OnceLock<ProbeAddress>,
    running: PerProcess<ServerThread>,
    closed: AtomicBool,
}

impl Server {
    /// A server that does not listen yet: see [`Self::start`].
    pub fn new(address: ProbeAddress, access: Access, sources: Sources) -> Self {
        monitor::acquire_to_notice(sources.wedged_after);
        Self {
            access,
            sources,
            requested: address,
            bound: OnceLock::new(),
            running: PerProcess::new(),
            closed: AtomicBool::default(),
        }
    }

    pub fn address(&self) -> &ProbeAddress {
        self.bound.get().unwrap_or(&self.requested)
    }

    /// Listens in this process. On a Unix socket that another container listens on it waits for its turn.
    pub fn start(&self) -> io::Result<()> {
        self.running
            .get_or_try_init(|| {
                let opened = open(&self.requested, &self.sources.application)?;
                if let Some(opened) = &opened {
                    // It was set already if this is a child.
                    let _ = self.bound.set(opened.address()?);
                }
                self.spawn(opened, false)
            })
            .map(|_| ())
    }

    /// Serves once it can listen, after [`Self::start`] has failed: another release may have the address until it ends.
    pub fn keep_trying(&self) -> io::Result<()> {
        self.running.get_or_try_init(|| self.spawn(None, true)).map(|_| ())
    }

    /// Stops listening in this process and closes all connections; waits until that is done.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        if let Some(running) = self.running.get() {
            running.stop();
        }
    }

    fn spawn(&self, opened: Option<OpenListener>, is_reported: bool) -> io::Result<ServerThread> {
        // One thread and a runtime apart from that of the checks, so that nothing that a check does holds it up. Before
        // it sleeps it lets others have its core, so that it sleeps less: what they request meanwhile takes no wake-up. With
        // two of them and their clients on two cores that is 120,000 answers a second instead of 85,000.
        let runtime = Builder::new_current_thread().enable_all().on_thread_park(thread::yield_now).build()?;
        #[cfg(unix)]
        if let Some(signal) = self.sources.signal_when_wedged {
            spawn_on(runtime.handle(), monitor::signal_when_wedged(signal, self.sources.wedged_after));
        }
        let address = self.address().clone();
        let probes = Probes::new(self.sources.clone(), &address);
        let handler = Arc::new(Handler { access: self.access.clone(), probes });
        let application = self.sources.application.clone();
        // Here, not in the thread: the first status that this process writes for others already names the address. One
        // without it would leave this server out of what decides whether the service is alive.
        let served = monitor::announce_served(address.to_string());
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            let _served = served;
            serve(&runtime, Keeper { address, application, is_reported }, opened, handler, stopped);
        };
        let thread = thread::Builder::new().name("lifesigns-probe".to_owned()).spawn(run)?;
        Ok(ServerThread(Mutex::new(Some((stop, thread)))))
    }
}

impl BackgroundService for Server {
    /// Starts it in a child; its thread listens as soon as it can.
    fn resume(&self) -> io::Result<()> {
        if self.closed.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.running.get_or_try_init(|| self.spawn(None, false)).map(|_| ())
    }

    fn name(&self) -> String {
        format!("probe server {}", self.address())
    }

    fn served_address(&self) -> Option<String> {
        Some(self.address().to_string())
    }
}

/// Serves until `stop` is dropped.
fn serve(
    runtime: &Runtime,
    keeper: Keeper,
    opened: Option<OpenListener>,
    handler: Arc<Handler>,
    stop: oneshot::Receiver<()>,
) {
    runtime.block_on(async {
        tokio::select! {
            () = keeper.keep(opened, handler) => {}
            () = connection::close_while_draining() => {}
            _ = stop => {}
        }
    });
}

/// Keeps listening on an address.
struct Keeper {
    address: ProbeAddress,
    application: String,
    /// Whether it was said already that it cannot listen.
    is_reported: bool,
}

impl Keeper {
    async fn keep(mut self, mut opened: Option<OpenListener>, handler: Arc<Handler>) {
        loop {
            let listener = match opened.take() {
                Some(opened) => Listener::new(opened),
                None => Listener::new(self.open().await),
            };
            let Ok(listener) = listener else {
                sleep(RETRY_AFTER).await;
                continue;
            };
            tokio::select! {
                () = connection::serve(&listener, handler.clone()) => {}
                () = listener.hand_over() => {}
                () = listener.lost() => {}
            }
            // Where that fails it is opened anew.
            opened = run_blocking(|| listener.renew()).await.and_then(Result::ok);
        }
    }

    /// Tries until it listens.
    async fn open(&mut self) -> OpenListener {
        loop {
            let (address, application) = (self.address.clone(), self.application.clone());
            let opened = run_blocking(move || open(&address, &application)).await;
            let error = match opened {
                Some(Ok(Some(opened))) => {
                    if std::mem::take(&mut self.is_reported) {
                        let text = format!("probe server {}: listening", self.address);
                        diagnostics::publish_of_server(self.address.to_string(), false, text);
                    }
                    return opened;
                }
                Some(Ok(None)) => {
                    sleep(STANDBY).await;
                    continue;
                }
                Some(Err(error)) => error,
                None => io::Error::other("task panicked"),
            };
            if !std::mem::replace(&mut self.is_reported, true) {
                let text = format!("probe server {}: cannot listen ({error}); retrying each second", self.address);
                diagnostics::publish_of_server(self.address.to_string(), true, text);
            }
            sleep(RETRY_AFTER).await;
        }
    }
}

/// The thread that serves in one process.
struct ServerThread(Mutex<Option<(oneshot::Sender<()>, JoinHandle<()>)>>);

impl ServerThread {
    fn stop(&self) {
        let running = lock(&self.0).take();
        if let Some((stop, thread)) = running {
            drop(stop);
            // An error is a panic of the thread, which has ended then, too.
            let _ = thread.join();
        }
    }
}

impl Drop for ServerThread {
    fn drop(&mut self) {
        self.stop();
    }
}
