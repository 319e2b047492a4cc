//! What one process runs checks with: the runtime, its threads, kept connections, the queue to Python's threads.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::io;
use std::mem;
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::background::next_tick;
use super::callables::CallableQueue;
use super::per_process::{PerProcess, lock};
use super::short_work::ShortWork;
use super::tasks;
use super::wake::wake;

const WORKERS: usize = 2;
/// Threads for blocking calls: each is started when a call needs it. `blocking` bounds each kind of work, so that
/// only four kinds stuck on 128 targets each use up all.
const BLOCKING_THREADS: usize = 4 * super::blocking::THREADS_PER_KIND;
/// How long a thread for blocking calls waits for the next. It is made anew in 30 µs, and those that a fault had brought
/// up (a resolver or a disk that did not answer) are gone soon after it.
const BLOCKING_IDLE: Duration = Duration::from_secs(2);

static CURRENT: PerProcess<Process> = PerProcess::new();
static DRAINING: PerProcess<Draining> = PerProcess::new();

#[derive(Default)]
struct Draining {
    is_draining: AtomicBool,
    started: Notify,
}

/// Marks this process as about to end: it is no longer ready, though alive.
pub fn drain() {
    let draining = DRAINING.get_or_init(Draining::default);
    draining.is_draining.store(true, Ordering::SeqCst);
    draining.started.notify_waiters();
    wake();
}

/// Whether this process, or the system, has no descriptor left: nothing can be connected to.
pub fn has_no_descriptor() -> bool {
    std::fs::File::open("/dev/null").is_err_and(|error| is_out_of_descriptors(&error))
}

/// Whether an error is that this process, or the system, has no descriptor left.
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    #[cfg(unix)]
    return matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE));
    #[cfg(not(unix))]
    return error.kind() == io::ErrorKind::Other;
}

/// Reverts [`drain`], for tests.
pub fn undrain() {
    DRAINING.get_or_init(Draining::default).is_draining.store(false, Ordering::SeqCst);
}

/// Whether [`drain`] was called in this process.
pub fn draining() -> bool {
    DRAINING.get().is_some_and(|draining| draining.is_draining.load(Ordering::Relaxed))
}

/// Waits until this process is draining.
pub async fn drained() {
    let draining = DRAINING.get_or_init(Draining::default);
    loop {
        // Made before the flag is read: what is set in between wakes it all the same.
        let started = draining.started.notified();
        if draining.is_draining.load(Ordering::SeqCst) {
            return;
        }
        started.await;
    }
}

/// Closes the connections that this process keeps between runs, once the runs that use them are done; the next run opens new
/// ones.
pub fn close_connections() {
    if let Some(process) = CURRENT.get() {
        // Taken out first: nothing is dropped under the lock.
        let kept = mem::take(&mut *lock(&process.shared));
        drop(kept);
    }
}

type SharedState = Arc<dyn Any + Send + Sync>;

/// What one process runs checks with.
pub struct Process {
    pub runtime: Runtime,
    pub callables: CallableQueue,
    pub(super) short_work: Arc<ShortWork>,
    shared: Mutex<HashMap<(TypeId, String), SharedState>>,
}

impl Process {
    /// The state of the calling process; the first call starts the runtime's threads.
    pub fn current() -> io::Result<Arc<Self>> {
        CURRENT.get_or_try_init(Self::start)
    }

    /// Starts a task on the runtime.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        tasks::spawn_on(self.runtime.handle(), task)
    }

    fn start() -> io::Result<Self> {
        let runtime = start_runtime().map_err(|error| {
            let advice = "is the limit of processes and threads reached (ulimit -u, TasksMax, pids.max)?";
            io::Error::new(error.kind(), format!("The engine's threads cannot be started: {error}; {advice}"))
        })?;
        let (callables, short_work, shared) = Default::default();
        Ok(Self { runtime, callables, short_work, shared })
    }

    /// State that all checks of one target share in this process, such as a kept connection; made on first use.
    /// `key` distinguishes targets and may hold secrets: it is never shown.
    pub fn shared<T: Default + Send + Sync + 'static>(&self, key: &str) -> Arc<T> {
        let made = self.shared_of(TypeId::of::<T>(), key, || Arc::new(T::default()));
        // The key holds the type, so the downcast cannot fail; a fresh value is the harmless answer if it did.
        made.downcast::<T>().unwrap_or_default()
    }

    fn shared_of(&self, of: TypeId, key: &str, make: fn() -> SharedState) -> SharedState {
        lock(&self.shared).entry((of, key.to_owned())).or_insert_with(make).clone()
    }
}

/// The runtime with its threads. Tokio panics where it cannot start the first of them, and runs short of threads without
/// an error where it cannot start a later one, so there must be room for all of them first.
fn start_runtime() -> io::Result<Runtime> {
    reserve_room(WORKERS + 1)?;
    let build = || {
        Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .max_blocking_threads(BLOCKING_THREADS)
            .thread_keep_alive(BLOCKING_IDLE)
            .thread_name("lifesigns")
            .enable_all()
            .build()
    };
    next_tick();
    // Another process may have taken the room meanwhile.
    catch_unwind(build).unwrap_or_else(|_| Err(io::ErrorKind::WouldBlock.into()))
}

/// Starts that many threads at once, and ends them.
fn reserve_room(threads: usize) -> io::Result<()> {
    let start = |_| {
        let (hold, released) = mpsc::channel::<()>();
        let thread = thread::Builder::new().name("lifesigns-start".to_owned());
        // Waits until `hold` is dropped.
        Ok((thread.spawn(move || released.recv())?, hold))
    };
    let started = (0..threads).map(start).collect::<io::Result<Vec<_>>>()?;
    for (thread, hold) in started {
        drop(hold);
        // It cannot panic.
        drop(thread.join());
    }
    Ok(())
}
