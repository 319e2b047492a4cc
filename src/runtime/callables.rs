//! The queue of calls between the engine and the daemon threads, owned by Python, that run callables.
//!
//! Rust never calls Python: a thread of Python's takes a job, runs the callable and completes the call.
//!
//! # States of a call
//!
//! ```text
//! call() ──► queued ──take()──► running ──done()──► completed: the caller receives the reply
//!              │                   │
//!              │                   └─ the caller stops waiting (its deadline): abandoned, still running until done()
//!              ├─ no thread took it within START_TIMEOUT: withdrawn, the caller receives `NotStarted`
//!              └─ the caller stops waiting: withdrawn
//! ```
//!
//! # What is held
//!
//! - `QueueState::active` has one entry for each callable that is queued or running, never two: a callable that overran keeps
//!   its thread and its entry, and every further call of it is refused with `StillRunning` until it returns.
//! - A withdrawn call has no entry. Only a queued call can be withdrawn, under the lock that [`CallableQueue::take`]
//!   takes too, so a call is either run or withdrawn, never both.
//! - The reply is sent at most once, by [`CallableQueue::done`] of the same token; a late one ends the entry and is dropped.
//! - `QueueState::threads` counts the threads that were reserved and not released: at least one for each active callable, up
//!   to [`MAX_THREADS`], as long as Python can start them. A thread that could not be started, or that ends, is released.
//!
//! # Which wake-up is guaranteed
//!
//! - While the queue is not empty, a thread has been notified and has not arrived (`is_thread_coming`), or a thread that
//!   took a job has notified the next one: each thread that takes a job wakes one more while jobs are left.
//! - After a call was withdrawn because no thread took it, one waiting thread is notified although the queue may be empty,
//!   and [`CallableQueue::wait`] returns to it. Once it has attached to the interpreter it arrives, which proves that the
//!   interpreter runs again: [`CallableQueue::is_available`] is false exactly from that withdrawal to the next arrival.
//!
//! A call that no thread started is no run: it says nothing about the check, only about this process.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::per_process::lock;
use crate::model::{CheckError, Finding};

/// How long a call waits for a thread to take it. Threads that run are woken in microseconds: this long only a held
/// interpreter or a missing thread takes.
const START_TIMEOUT: Duration = Duration::from_secs(1);

/// Threads of one process at most. To start one takes a millisecond or two: thousands of them would take longer than what
/// waits for them may.
const MAX_THREADS: usize = 1_000;

/// One call that a Python thread is to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    pub token: u64,
    /// Which callable.
    pub callable: u64,
    /// How long the check waits for it.
    pub timeout: Duration,
}

type Reply = Result<Finding, CheckError>;

/// A call that is queued or running.
struct ActiveCall {
    token: u64,
    /// When it was queued, then when it was started.
    since: Instant,
    reply: oneshot::Sender<Reply>,
}

#[derive(Default)]
struct QueueState {
    queue: VecDeque<Job>,
    /// By callable.
    active: BTreeMap<u64, ActiveCall>,
    last_token: u64,
    threads: usize,
    /// A thread was notified since the queue was last empty, and has not arrived yet.
    is_thread_coming: bool,
    /// No thread took a call in time, and none has arrived since.
    is_unavailable: bool,
}

/// The callables of one process that are queued or running.
#[derive(Default)]
pub struct CallableQueue {
    state: Mutex<QueueState>,
    filled: Condvar,
}

impl CallableQueue {
    /// Queues a call and waits for its reply. Dropping the future withdraws the call if no thread has started it.
    pub async fn call(&self, callable: u64, timeout: Duration) -> Reply {
        self.call_observed(callable, timeout, || ()).await
    }

    /// The same; `on_start` is called once the call is known to have been started by a thread, at the latest when the
    /// time that it may wait for one is over.
    ///
    /// # Errors
    /// `NotStarted` if no thread took it within one second, or half of `timeout` if that is less; `StillRunning` while an
    /// earlier call of this callable has not returned.
    pub async fn call_observed(&self, callable: u64, timeout: Duration, on_start: impl FnOnce() + Send) -> Reply {
        let (sender, mut receiver) = oneshot::channel();
        let token = self.submit(callable, timeout, sender)?;
        let withdraw = WithdrawOnDrop { queue: self, token };
        let start_timeout = START_TIMEOUT.min(timeout / 2);
        let reply = match tokio::time::timeout(start_timeout, &mut receiver).await {
            Ok(reply) => reply,
            Err(_elapsed) => {
                if self.give_up(token) {
                    mem::forget(withdraw);
                    return Err(CheckError::NotStarted { after: start_timeout });
                }
                on_start();
                receiver.await
            }
        };
        mem::forget(withdraw);
        reply.unwrap_or(Err(CheckError::Withdrawn))
    }

    /// Whether a call would find a thread that can run Python. False after a call that no thread took in time, until a
    /// thread arrives: such a process learns nothing by running callables.
    pub fn is_available(&self) -> bool {
        !lock(&self.state).is_unavailable
    }

    /// For how long a thread has been running a call of a callable, if one is.
    pub fn running_for(&self, callable: u64) -> Option<Duration> {
        let state = lock(&self.state);
        let is_queued = state.queue.iter().any(|job| job.callable == callable);
        state.active.get(&callable).filter(|_| !is_queued).map(|active| active.since.elapsed())
    }

    fn submit(&self, callable: u64, timeout: Duration, reply: oneshot::Sender<Reply>) -> Result<u64, CheckError> {
        let mut state = lock(&self.state);
        if let Some(running) = state.active.get(&callable) {
            return Err(CheckError::StillRunning { seconds: running.since.elapsed().as_secs() });
        }
        state.last_token += 1;
        let token = state.last_token;
        state.active.insert(callable, ActiveCall { token, since: Instant::now(), reply });
        state.queue.push_back(Job { token, callable, timeout });
        self.wake_one(state);
        Ok(token)
    }

    /// Notifies one thread, unless one is on its way. A thread that arrives while another holds the interpreter gets it
    /// when that one releases it: as soon as a callable waits for something, and not before. So callables that wait for
    /// nothing all run on the first thread, one after the other, and those that wait run in parallel.
    fn wake_one(&self, mut state: MutexGuard<'_, QueueState>) {
        let must_wake = !state.queue.is_empty() && !mem::replace(&mut state.is_thread_coming, true);
        // The notified thread needs the lock.
        drop(state);
        if must_wake {
            self.filled.notify_one();
        }
    }

    /// Takes a call out of the queue; false if it is not there, since a thread has started it.
    fn withdraw(state: &mut QueueState, token: u64) -> bool {
        let index = state.queue.iter().position(|job| job.token == token);
        let Some(job) = index.and_then(|index| state.queue.remove(index)) else { return false };
        state.active.remove(&job.callable);
        state.is_thread_coming &= !state.queue.is_empty();
        true
    }

    /// Withdraws a call that no thread has taken in time, and has the next thread that can run Python arrive.
    fn give_up(&self, token: u64) -> bool {
        let mut state = lock(&self.state);
        if !Self::withdraw(&mut state, token) {
            return false;
        }
        state.is_unavailable = true;
        drop(state);
        self.filled.notify_one();
        true
    }

    /// Takes the next job, if there is one, on a thread that is attached to the interpreter.
    pub fn take(&self) -> Option<Job> {
        let mut state = lock(&self.state);
        state.is_unavailable = false;
        let job = state.queue.pop_front()?;
        if let Some(call) = state.active.get_mut(&job.callable) {
            call.since = Instant::now();
        }
        // A thread that was notified for the last job finds none and waits again.
        state.is_thread_coming &= !state.queue.is_empty();
        self.wake_one(state);
        Some(job)
    }

    /// Waits until there is a job to [`take`](Self::take), or until this thread has to prove that it can attach. The job is
    /// not taken yet: the thread has to wait for the interpreter, too, and another that holds it may be quicker.
    pub fn wait(&self) {
        let has_nothing_to_do = |state: &mut QueueState| state.queue.is_empty() && !state.is_unavailable;
        let waiting = self.filled.wait_while(lock(&self.state), has_nothing_to_do);
        drop(waiting.unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes the next job, if there still is one, after [`wait`](Self::wait).
    pub fn arrive(&self) -> Option<Job> {
        lock(&self.state).is_thread_coming = false;
        self.take()
    }

    /// Completes a call with its reply. One that comes too late only ends the run.
    pub fn done(&self, token: u64, callable: u64, reply: Reply) {
        if let Some(call) = self.end(token, callable) {
            // Fails when the caller has stopped waiting.
            drop(call.reply.send(reply));
        }
    }

    fn end(&self, token: u64, callable: u64) -> Option<ActiveCall> {
        let mut state = lock(&self.state);
        let is_this = state.active.get(&callable).is_some_and(|call| call.token == token);
        if is_this { state.active.remove(&callable) } else { None }
    }

    /// How many more threads it takes so that `callables` can all run at once, beside those that run already, up to a
    /// thousand of both. They count from now on: the caller starts them, and [releases](Self::release_threads) those that
    /// it cannot start.
    pub fn reserve_threads(&self, callables: &[u64]) -> usize {
        let mut state = lock(&self.state);
        if state.active.len() + callables.len() <= state.threads {
            return 0;
        }
        let wanted: HashSet<u64> = state.active.keys().copied().chain(callables.iter().copied()).collect();
        let missing = wanted.len().min(MAX_THREADS).saturating_sub(state.threads);
        state.threads += missing;
        missing
    }

    /// Gives back threads that were reserved and could not be started, or that have ended.
    pub fn release_threads(&self, count: usize) {
        let mut state = lock(&self.state);
        state.threads = state.threads.saturating_sub(count);
    }
}

struct WithdrawOnDrop<'a> {
    queue: &'a CallableQueue,
    token: u64,
}

impl Drop for WithdrawOnDrop<'_> {
    fn drop(&mut self) {
        CallableQueue::withdraw(&mut lock(&self.queue.state), self.token);
    }
}

#[cfg(test)]
mod tests;
