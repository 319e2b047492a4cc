//! Work that can block in the kernel, on a thread of its own: at most one run at a time for each key.
//!
//! A `statvfs` on a dead NFS mount returns when the server does, `open` of a FIFO when another process writes to it,
//! `getaddrinfo` when the resolver answers, and nothing can cancel them. So:
//!
//! - callers of the same key wait for the run that is in flight: a stuck key holds one thread, however often it is requested;
//! - each kind of work (each type of result) has threads of its own, up to [`THREADS_PER_KIND`]: names that do not resolve
//!   leave certificate files and disks alone. Beyond that many stuck keys of one kind, further ones wait for a thread;
//! - a caller that gives up at its deadline leaves the run behind. The next caller after its end starts a new one;
//! - [`short_single_flight`] is for work that seldom blocks: it shares one thread ([`super::short_work`]), unless its last
//!   run was slow, or another run keeps it waiting.

use std::any::Any;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::short_work::{PATIENCE, ShortJob};

use crate::model::CheckError;
use crate::runtime::{Process, lock};

/// How many threads the stuck runs of one kind may hold. Far more than names, files and mounts fail at once; the runtime
/// has room for several kinds in full (`BLOCKING_THREADS`).
pub const THREADS_PER_KIND: usize = 128;

/// What work returns. Of any type: all but the work itself is compiled once.
type BlockingResult = Arc<dyn Any + Send + Sync>;
type BlockingWork = Box<dyn FnOnce() -> BlockingResult + Send>;
type ThreadsOf = fn(&Process) -> Arc<Semaphore>;

/// What is known of one key.
#[derive(Default)]
struct InFlight {
    latest: Mutex<Option<SingleRun>>,
    /// Whether the last run took so long that others must not wait for the next one.
    is_slow: Arc<AtomicBool>,
}

/// A run: `None` in the channel until it has returned.
#[derive(Clone)]
struct SingleRun {
    result: watch::Receiver<Option<BlockingResult>>,
    /// Its number among the short work, if it was queued there.
    queued: Option<u64>,
}

/// What is known of one key and type of result.
struct InFlightOf<T>(InFlight, PhantomData<fn() -> T>);

impl<T> Default for InFlightOf<T> {
    fn default() -> Self {
        Self(InFlight::default(), PhantomData)
    }
}

/// The threads that runs with this type of result may occupy.
struct Threads<T>(Arc<Semaphore>, PhantomData<fn() -> T>);

impl<T> Default for Threads<T> {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(THREADS_PER_KIND)), PhantomData)
    }
}

fn threads_of<T: 'static>(process: &Process) -> Arc<Semaphore> {
    process.shared::<Threads<T>>("").0.clone()
}

/// The result of `work`, or of the run for this `key` (and type of result) that is in flight.
pub async fn single_flight<T>(
    process: &Process,
    key: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CheckError>
where
    T: Clone + Send + Sync + 'static,
{
    let in_flight = process.shared::<InFlightOf<T>>(key);
    result_of(in_flight.0.fly(process, found_by(work), threads_of::<T>, false).await)
}

/// The same, for work that seldom blocks.
pub async fn short_single_flight<T>(
    process: &Process,
    key: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CheckError>
where
    T: Clone + Send + Sync + 'static,
{
    let in_flight = process.shared::<InFlightOf<T>>(key);
    result_of(in_flight.0.fly(process, found_by(work), threads_of::<T>, true).await)
}

fn found_by<T: Send + Sync + 'static>(work: impl FnOnce() -> T + Send + 'static) -> BlockingWork {
    Box::new(move || Arc::new(work()))
}

/// It is of that type, which [`InFlightOf`] has.
fn result_of<T: Clone + 'static>(found: Result<BlockingResult, CheckError>) -> Result<T, CheckError> {
    found?.downcast_ref::<T>().cloned().ok_or(CheckError::Panicked)
}

impl InFlight {
    async fn fly(
        &self,
        process: &Process,
        work: BlockingWork,
        threads: ThreadsOf,
        is_short: bool,
    ) -> Result<BlockingResult, CheckError> {
        let SingleRun { mut result, queued } = {
            let mut latest = lock(&self.latest);
            let is_running = |run: &&mut SingleRun| run.result.borrow().is_none() && run.result.has_changed().is_ok();
            match latest.as_mut().filter(is_running) {
                Some(running) => running.clone(),
                None => latest.insert(self.start(process, work, threads, is_short)).clone(),
            }
        };
        if let Some(id) = queued
            && timeout(PATIENCE, result.wait_for(Option::is_some)).await.is_err()
            && let Some(job) = process.short_work.withdraw(id)
        {
            run_alone(process, threads, job);
        }
        // The sender is dropped without a result only if the work panicked.
        let result = result.wait_for(Option::is_some).await.map_err(|_| CheckError::Panicked)?;
        result.clone().ok_or(CheckError::Panicked)
    }

    /// Starts `work` among the short work, or on a thread of its own.
    fn start(&self, process: &Process, work: BlockingWork, threads: ThreadsOf, is_short: bool) -> SingleRun {
        let (sender, result) = watch::channel(None);
        let was_slow = self.is_slow.load(Ordering::Relaxed);
        let is_slow = self.is_slow.clone();
        let job: ShortJob = Box::new(move |permit| {
            let began = Instant::now();
            let found = work();
            is_slow.store(began.elapsed() >= PATIENCE, Ordering::Relaxed);
            // Returned first, so that who has the result can start the next run.
            drop(permit);
            sender.send_replace(Some(found));
        });
        let queued = if is_short && !was_slow { process.short_work.submit(job) } else { Err(job) };
        let queued = queued.map_err(|job| run_alone(process, threads, job)).ok();
        SingleRun { result, queued }
    }
}

/// Runs it on a thread of its own, as soon as its kind has one left.
fn run_alone(process: &Process, threads: ThreadsOf, job: ShortJob) {
    let threads = threads(process);
    match threads.clone().try_acquire_owned() {
        Ok(permit) => drop(process.runtime.spawn_blocking(move || job(Some(permit)))),
        Err(_) => drop(process.spawn(async move {
            // Never closed.
            if let Ok(permit) = threads.acquire_owned().await {
                tokio::task::spawn_blocking(move || job(Some(permit)));
            }
        })),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use futures_util::FutureExt;
    use futures_util::future::join;
    use tokio::time::timeout;

    #[test]
    fn same_key_in_flight_shares_one_run() {
        let process = Process::current().unwrap();
        let runs = Arc::new(AtomicUsize::new(0));
        let (release, blocked) = mpsc::channel::<()>();
        let blocked = Arc::new(Mutex::new(blocked));
        let run = || {
            let (runs, blocked) = (runs.clone(), blocked.clone());
            single_flight(&process, "test", move || {
                blocked.lock().unwrap().recv().unwrap();
                runs.fetch_add(1, Ordering::Relaxed)
            })
        };
        process.runtime.block_on(async {
            // The caller gives up, as a check does at its timeout; the run continues.
            assert!(run().now_or_never().is_none());
            let mut both = pin!(join(run(), run()));
            assert!(both.as_mut().now_or_never().is_none());
            release.send(()).unwrap();
            assert_eq!(both.await, (Ok(0), Ok(0)));
            release.send(()).unwrap();
            assert_eq!(run().await, Ok(1), "the next one is a new run");
        });
    }

    #[test]
    fn panic_is_an_error_once() {
        let process = Process::current().unwrap();
        let run = |fails: bool| single_flight(&process, "panic", move || if fails { panic!("on purpose") } else { 1 });
        process.runtime.block_on(async {
            assert_eq!(run(true).await, Err(CheckError::Panicked));
            assert_eq!(run(false).await, Ok(1));
        });
    }

    /// Holds threads until `release` is called, each for a key of its own.
    #[derive(Clone, Debug, PartialEq)]
    struct Stuck(usize);

    #[test]
    fn stuck_keys_of_one_kind_leave_the_others_their_threads() {
        let process = Process::current().unwrap();
        let (release, blocked) = mpsc::channel::<()>();
        let blocked = Arc::new(Mutex::new(blocked));
        process.runtime.block_on(async {
            for number in 0..100 {
                let blocked = blocked.clone();
                let work =
                    move || blocked.lock().map(|blocked| blocked.recv().ok()).map_or(Stuck(0), |_| Stuck(number));
                assert!(single_flight(&process, &number.to_string(), work).now_or_never().is_none());
            }
            // The 101st key of the same kind, and a key of another kind.
            let same = single_flight(&process, "same", || Stuck(7));
            assert_eq!(timeout(Duration::from_secs(5), same).await, Ok(Ok(Stuck(7))));
            let other = single_flight(&process, "other", || "other");
            assert_eq!(timeout(Duration::from_secs(5), other).await, Ok(Ok("other")));

            for number in 100..THREADS_PER_KIND + 1 {
                let blocked = blocked.clone();
                let work =
                    move || blocked.lock().map(|blocked| blocked.recv().ok()).map_or(Stuck(0), |_| Stuck(number));
                assert!(single_flight(&process, &number.to_string(), work).now_or_never().is_none());
            }
            let mut waiting = pin!(single_flight(&process, "waiting", || Stuck(8)));
            assert!(timeout(Duration::from_millis(50), waiting.as_mut()).await.is_err(), "its kind has no thread left");
            let other = single_flight(&process, "other", || "other again");
            assert_eq!(timeout(Duration::from_secs(5), other).await, Ok(Ok("other again")));
            drop(release);
            assert_eq!(timeout(Duration::from_secs(5), waiting).await, Ok(Ok(Stuck(8))));
        });
    }
}
