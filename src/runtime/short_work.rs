//! Work that seldom blocks, such as reading `/proc`: all of it on one thread, which stays.
//!
//! A sweep reads a dozen files. A thread for each costs several times what reading them does, and more where the threads
//! have ended since the last sweep. So such work is queued for one thread.
//!
//! - A job that waits for longer than [`PATIENCE`] is taken out of the queue by its caller, who runs it on a thread of its
//!   own ([`super::blocking`]): what is in front of it blocks.
//! - While the thread has been with one job for that long, the next job starts another thread, which takes the queue over;
//!   the old one ends once its job returns. There are [`MAX_THREADS`] at most; beyond that a job has a thread of its own,
//!   of which each kind of work has so many.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use super::per_process::lock;

/// How long a job may keep the others waiting.
pub const PATIENCE: Duration = Duration::from_millis(5);

/// How many threads there may be, all but one of which are stuck.
const MAX_THREADS: usize = 8;

/// What is to be done. It gives the permit of its thread back before its result is known, where it has a thread of its own.
pub type ShortJob = Box<dyn FnOnce(Option<OwnedSemaphorePermit>) + Send>;

/// The jobs of one process that wait for the thread.
#[derive(Default)]
pub struct ShortWork {
    state: Mutex<WorkQueue>,
    queued: Condvar,
}

#[derive(Default)]
struct WorkQueue {
    queue: VecDeque<(u64, ShortJob)>,
    last_id: u64,
    /// The thread that takes jobs; 0 before there is one. Others end.
    thread: u64,
    /// How many have not ended.
    running: usize,
    /// Since when it has been with one job.
    busy_since: Option<Instant>,
}

impl ShortWork {
    /// Queues a job, and returns its number; where there can be no further thread, the job itself.
    pub fn submit(self: &Arc<Self>, job: ShortJob) -> Result<u64, ShortJob> {
        let mut state = lock(&self.state);
        let is_stuck = state.busy_since.is_some_and(|since| since.elapsed() >= PATIENCE);
        if state.thread == 0 || is_stuck {
            if state.running >= MAX_THREADS {
                return Err(job);
            }
            let number = state.thread + 1;
            let this = self.clone();
            let started = thread::Builder::new().name("lifesigns-files".to_owned()).spawn(move || this.work(number));
            if started.is_err() {
                return Err(job);
            }
            state.thread = number;
            state.running += 1;
            state.busy_since = None;
        }
        state.last_id += 1;
        let id = state.last_id;
        state.queue.push_back((id, job));
        drop(state);
        self.queued.notify_one();
        Ok(id)
    }

    /// Takes a job out of the queue, if the thread has not started it.
    pub fn withdraw(&self, id: u64) -> Option<ShortJob> {
        let mut state = lock(&self.state);
        let index = state.queue.iter().position(|(queued, _)| *queued == id)?;
        state.queue.remove(index).map(|(_, job)| job)
    }

    fn work(&self, number: u64) {
        let mut state = lock(&self.state);
        while state.thread == number {
            let Some((_, job)) = state.queue.pop_front() else {
                state = self.queued.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.busy_since = Some(Instant::now());
            drop(state);
            // The caller that waits for the job learns that it panicked by what the job has dropped.
            let _ = catch_unwind(AssertUnwindSafe(|| job(None)));
            state = lock(&self.state);
            if state.thread == number {
                state.busy_since = None;
            }
        }
        state.running -= 1;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::sync::mpsc::{self, Receiver, Sender};

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    /// A job that says on which thread it ran.
    fn job(ran: &Sender<thread::ThreadId>) -> ShortJob {
        let ran = ran.clone();
        Box::new(move |_| ran.send(thread::current().id()).unwrap())
    }

    /// A job that blocks until the sender is dropped, after it has said that it runs.
    fn blocked(runs: &Sender<thread::ThreadId>) -> (ShortJob, Sender<()>) {
        let (release, released): (_, Receiver<()>) = mpsc::channel();
        let runs = job(runs);
        let run = move |_| {
            runs(None);
            let _ = released.recv();
        };
        (Box::new(run), release)
    }

    #[test]
    fn jobs_run_on_one_thread_also_after_one_has_panicked() {
        let work = Arc::new(ShortWork::default());
        let (ran, threads) = mpsc::channel();
        assert!(work.submit(job(&ran)).is_ok());
        assert!(work.submit(Box::new(|_| panic!("of the test"))).is_ok());
        assert!(work.submit(job(&ran)).is_ok());
        assert_eq!(threads.recv_timeout(SOON).unwrap(), threads.recv_timeout(SOON).unwrap());
    }

    #[test]
    fn job_behind_one_that_blocks_can_be_withdrawn_and_later_ones_have_another_thread() {
        let work = Arc::new(ShortWork::default());
        let (ran, threads) = mpsc::channel();
        let (stuck, release) = blocked(&ran);
        let started = work.submit(stuck).ok().unwrap();
        let first = threads.recv_timeout(SOON).unwrap();
        let behind = work.submit(job(&ran)).ok().unwrap();
        assert!(work.withdraw(started).is_none(), "it runs");
        work.withdraw(behind).unwrap()(None);
        assert_eq!(threads.recv_timeout(SOON).unwrap(), thread::current().id());
        thread::sleep(PATIENCE);
        assert!(work.submit(job(&ran)).is_ok());
        assert_ne!(threads.recv_timeout(SOON).unwrap(), first);
        drop(release);
    }

    #[test]
    fn threads_are_bounded_however_many_jobs_block() {
        let work = Arc::new(ShortWork::default());
        let (ran, threads) = mpsc::channel();
        let mut blocking = Vec::new();
        for _ in 0..MAX_THREADS {
            let (stuck, release) = blocked(&ran);
            assert!(work.submit(stuck).is_ok());
            threads.recv_timeout(SOON).unwrap();
            blocking.push(release);
            thread::sleep(PATIENCE);
        }
        assert!(work.submit(job(&ran)).is_err(), "it is for its caller to run");
        drop(blocking);
    }
}
