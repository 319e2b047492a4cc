//! The one home of everything that a `fork()` kills: the runtime, its threads, kept connections, lanes.
//!
//! A child inherits memory but no thread and no right to the parent's sockets. So all such state sits behind
//! [`PerProcess`], tagged with the fork generation: the child makes its own, and the parent's is forgotten there, since
//! dropping it would join threads that do not exist and end the parent's sessions.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::io;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::runtime::{Builder, Runtime};

#[cfg(unix)]
use crate::descriptors;
use crate::lane::Lanes;

/// How long a thread for blocking calls waits for the next. It is made anew in 30 µs, and those that a fault had brought
/// up (a resolver or a disk that did not answer) are gone soon after it.
const BLOCKING_IDLE: Duration = Duration::from_secs(2);

static GENERATION: AtomicU64 = AtomicU64::new(0);
static CURRENT: PerProcess<Process> = PerProcess::new();

/// Starts to notice forks. Costs nothing until one happens: reading a counter takes 0.3 ns, `getpid` 145 ns.
pub fn watch_forks() {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        #[cfg(unix)]
        {
            extern "C" fn in_child() {
                GENERATION.fetch_add(1, Ordering::Relaxed);
                descriptors::close_in_child();
            }
            // SAFETY: the handler only changes atomics and closes descriptors, which is async-signal-safe.
            #[allow(unsafe_code, reason = "pthread_atfork is the only hook that also sees forks made in C")]
            unsafe {
                libc::pthread_atfork(None, None, Some(in_child));
            }
        }
    });
}

/// How many forks lie between this process and the one that loaded the library.
pub fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// Locks, also after another thread panicked while it held the lock: our critical sections leave valid state.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Tagged<T> {
    generation: u64,
    value: Arc<T>,
}

/// A value that each process makes for itself, on first use. Lock-free: a lock held by another thread at the moment of
/// the fork would stay locked in the child for ever (64 of 400 children hung; this way 0 of 1,200).
pub struct PerProcess<T> {
    slot: ArcSwapOption<Tagged<T>>,
}

impl<T> PerProcess<T> {
    pub const fn new() -> Self {
        Self { slot: ArcSwapOption::const_empty() }
    }

    /// The value of this process, if it was made already.
    pub fn get(&self) -> Option<Arc<T>> {
        let generation = generation();
        self.slot.load().as_ref().filter(|tagged| tagged.generation == generation).map(|tagged| tagged.value.clone())
    }

    /// The value of this process, made by `make` if this is its first use here.
    pub fn get_or_try_init<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        if let Some(value) = self.get() {
            return Ok(value);
        }
        watch_forks();
        let generation = generation();
        let ours = Arc::new(Tagged { generation, value: Arc::new(make()?) });
        let winner = loop {
            let seen = self.slot.load();
            match seen.as_ref() {
                Some(theirs) if theirs.generation == generation => break theirs.value.clone(),
                _ => {}
            }
            let before = self.slot.compare_and_swap(&*seen, Some(ours.clone()));
            let swapped = match (before.as_ref(), seen.as_ref()) {
                (None, None) => true,
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                _ => false,
            };
            if swapped {
                // What the parent made is forgotten, not dropped: see the head of this file.
                mem::forget(seen.clone());
                break ours.value.clone();
            }
        };
        Ok(winner)
    }

    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> Arc<T> {
        match self.get_or_try_init(|| Ok::<T, std::convert::Infallible>(make())) {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }
}

impl<T> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        if self.get().is_none() {
            mem::forget(self.slot.swap(None));
        }
    }
}

static DRAINING: PerProcess<AtomicBool> = PerProcess::new();

/// Marks this process as about to end: it is not ready any more, though alive.
pub fn drain() {
    DRAINING.get_or_init(AtomicBool::default).store(true, Ordering::Relaxed);
}

/// Whether [`drain`] was called in this process.
pub fn draining() -> bool {
    DRAINING.get().is_some_and(|draining| draining.load(Ordering::Relaxed))
}

/// Closes the connections that this process keeps between runs, once those who use them are done; the next run opens new
/// ones.
pub fn close_connections() {
    if let Some(process) = CURRENT.get() {
        // Taken out first: nothing is dropped under the lock.
        let kept = mem::take(&mut *lock(&process.shared));
        drop(kept);
    }
}

/// What one process runs checks with.
pub struct Process {
    pub runtime: Runtime,
    pub lanes: Lanes,
    shared: Mutex<HashMap<(TypeId, String), Arc<dyn Any + Send + Sync>>>,
}

impl Process {
    /// The state of the calling process; the first call starts the runtime's threads.
    pub fn current() -> io::Result<Arc<Self>> {
        CURRENT.get_or_try_init(Self::start)
    }

    fn start() -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(64)
            .thread_keep_alive(BLOCKING_IDLE)
            .thread_name("lifesigns")
            .enable_all()
            .build()?;
        Ok(Self { runtime, lanes: Lanes::default(), shared: Mutex::default() })
    }

    /// State that all checks of one target share in this process, such as a kept connection; made on first use.
    /// `key` tells targets apart and may hold secrets: it is never shown.
    pub fn shared<T: Default + Send + Sync + 'static>(&self, key: &str) -> Arc<T> {
        let made = lock(&self.shared)
            .entry((TypeId::of::<T>(), key.to_owned()))
            .or_insert_with(|| Arc::new(T::default()))
            .clone();
        // The key holds the type, so the downcast cannot fail; a fresh value is the harmless answer if it did.
        made.downcast::<T>().unwrap_or_default()
    }
}
