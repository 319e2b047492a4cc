//! The queue between the engine and the threads, owned by Python, that run callables.
//!
//! Rust never calls Python: a thread of Python's asks for the next job, runs it and hands the answer back. A callable
//! that overran keeps the thread it is on and is not started again until it returns; every other job finds a thread,
//! since there are as many as callables that run or wait.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::per_process::lock;
use crate::model::{CheckError, Finding};

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

struct Running {
    token: u64,
    since: Instant,
    reply: oneshot::Sender<Reply>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    /// By callable: those that wait in the queue and those that run.
    busy: BTreeMap<u64, Running>,
    tokens: u64,
    threads: usize,
    /// A thread was woken since the queue was last empty, and has not come for a job yet.
    is_coming: bool,
}

/// The callables of one process that wait or run.
#[derive(Default)]
pub struct CallableQueue {
    state: Mutex<State>,
    filled: Condvar,
}

impl CallableQueue {
    /// Queues a call and waits for its answer. Dropping the future takes the call back if no thread has begun it.
    pub async fn call(&self, callable: u64, timeout: Duration) -> Reply {
        let (sender, receiver) = oneshot::channel();
        let token = self.submit(callable, timeout, sender)?;
        let withdraw = Withdraw { callables: self, token };
        let reply = receiver.await.unwrap_or(Err(CheckError::Withdrawn));
        mem::forget(withdraw);
        reply
    }

    fn submit(&self, callable: u64, timeout: Duration, reply: oneshot::Sender<Reply>) -> Result<u64, CheckError> {
        let mut state = lock(&self.state);
        if let Some(running) = state.busy.get(&callable) {
            return Err(CheckError::StillRunning { seconds: running.since.elapsed().as_secs() });
        }
        state.tokens += 1;
        let token = state.tokens;
        state.busy.insert(callable, Running { token, since: Instant::now(), reply });
        state.queue.push_back(Job { token, callable, timeout });
        self.wake_one(state);
        Ok(token)
    }

    /// Has one more thread come, unless one is on its way. A thread that comes while another holds the interpreter gets
    /// it when that one lets go of it: as soon as a callable waits for something, and not before. So no-ops are all run
    /// by the first, one after the other, and those that wait are run side by side.
    fn wake_one(&self, mut state: MutexGuard<'_, State>) {
        let must_wake = !state.queue.is_empty() && !mem::replace(&mut state.is_coming, true);
        // Whoever is woken wants the lock.
        drop(state);
        if must_wake {
            self.filled.notify_one();
        }
    }

    fn withdraw(&self, token: u64) {
        let mut state = lock(&self.state);
        let index = state.queue.iter().position(|job| job.token == token);
        if let Some(job) = index.and_then(|index| state.queue.remove(index)) {
            state.busy.remove(&job.callable);
            state.is_coming &= !state.queue.is_empty();
        }
    }

    /// The next job, if one waits.
    pub fn take(&self) -> Option<Job> {
        let mut state = lock(&self.state);
        let job = state.queue.pop_front()?;
        if let Some(running) = state.busy.get_mut(&job.callable) {
            running.since = Instant::now();
        }
        // Whoever was woken for the last job finds none and waits again.
        state.is_coming &= !state.queue.is_empty();
        self.wake_one(state);
        Some(job)
    }

    /// Waits until there is a job to [`take`](Self::take). It is not taken yet: the thread that waited has to wait for
    /// the interpreter, too, and another that has it may be quicker.
    pub fn wait(&self) {
        let waiting = self.filled.wait_while(lock(&self.state), |state| state.queue.is_empty());
        drop(waiting.unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes the next job, if it still waits, after [`wait`](Self::wait).
    pub fn arrive(&self) -> Option<Job> {
        lock(&self.state).is_coming = false;
        self.take()
    }

    /// Hands in the answer of a job, and goes on with what follows from it on this thread. An answer that comes too
    /// late only ends the run.
    pub fn done(&self, token: u64, callable: u64, answer: Reply) {
        if let Some(running) = self.end(token, callable) {
            // Fails when nobody waits any more.
            drop(running.reply.send(answer));
        }
    }

    fn end(&self, token: u64, callable: u64) -> Option<Running> {
        let mut state = lock(&self.state);
        let is_this = state.busy.get(&callable).is_some_and(|running| running.token == token);
        if is_this { state.busy.remove(&callable) } else { None }
    }

    /// How many more threads it takes so that `callables` can all run at once, beside those that run already. The
    /// caller starts them: they count from now on.
    pub fn reserve_threads(&self, callables: &[u64]) -> usize {
        let mut state = lock(&self.state);
        if state.busy.len() + callables.len() <= state.threads {
            return 0;
        }
        let wanted: HashSet<u64> = state.busy.keys().copied().chain(callables.iter().copied()).collect();
        let missing = wanted.len().saturating_sub(state.threads);
        state.threads += missing;
        missing
    }
}

struct Withdraw<'a> {
    callables: &'a CallableQueue,
    token: u64,
}

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        self.callables.withdraw(self.token);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;
    use crate::model::Outcome;

    const LONG: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_call_travels_to_a_thread_and_back() {
        let callables = Arc::new(CallableQueue::default());
        let thread = {
            let callables = callables.clone();
            std::thread::spawn(move || {
                callables.wait();
                let job = callables.arrive().unwrap();
                callables.done(job.token, job.callable, Ok(Finding::healthy(format!("ran {}", job.callable))));
            })
        };
        let answer = callables.call(7, LONG).await.unwrap();
        assert_eq!(answer.message, "ran 7");
        thread.join().unwrap();
        assert!(callables.take().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_nobody_began_is_taken_back() {
        let callables = Arc::new(CallableQueue::default());
        assert!(tokio::time::timeout(LONG, callables.call(1, LONG)).await.is_err());
        assert!(callables.take().is_none());
        assert_eq!(callables.reserve_threads(&[]), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_overran_is_not_begun_again_until_it_returns() {
        let callables = Arc::new(CallableQueue::default());
        let call = tokio::spawn({
            let callables = callables.clone();
            async move { tokio::time::timeout(LONG, callables.call(1, LONG)).await }
        });
        tokio::task::yield_now().await;
        let job = callables.take().unwrap();
        assert!(call.await.unwrap().is_err());
        assert!(matches!(callables.call(1, LONG).await, Err(CheckError::StillRunning { .. })));
        callables.done(job.token, job.callable, Ok(Finding::healthy("late")));
        let again = tokio::time::timeout(LONG, callables.call(1, LONG));
        assert!(again.await.is_err(), "begun again, but no thread took it");
    }

    #[tokio::test]
    async fn a_call_that_cannot_be_made_is_no_run() {
        let callables = Arc::new(CallableQueue::default());
        let call = tokio::spawn({
            let callables = callables.clone();
            async move { callables.call(1, LONG).await }
        });
        tokio::task::yield_now().await;
        let job = callables.take().unwrap();
        callables.done(job.token, job.callable, Err(CheckError::Withdrawn));
        let withdrawn = call.await.unwrap();
        assert_eq!(withdrawn, Err(CheckError::Withdrawn));
        assert!(!Outcome::of(withdrawn, tokio::time::Instant::now()).ran);
    }

    #[test]
    fn a_call_is_begun_though_the_thread_woken_for_the_one_before_came_too_late() {
        let callables = Arc::new(CallableQueue::default());
        let (sender, begun) = std::sync::mpsc::channel();
        std::thread::spawn({
            let callables = callables.clone();
            move || loop {
                callables.wait();
                if let Some(job) = callables.arrive() {
                    callables.done(job.token, job.callable, Err(CheckError::Withdrawn));
                    sender.send(job.token).unwrap();
                }
            }
        });
        let submit = |callable| callables.submit(callable, LONG, oneshot::channel().0).unwrap();
        for round in 0..50 {
            let first = submit(2 * round);
            let taken = callables.take();
            // Time to find none, and to wait again.
            std::thread::sleep(Duration::from_millis(1));
            let second = submit(2 * round + 1);
            let expected = if taken.is_some() { vec![second] } else { vec![first, second] };
            for token in expected {
                assert_eq!(begun.recv_timeout(LONG), Ok(token));
            }
        }
    }

    #[test]
    fn threads_suffice_for_what_runs_and_what_is_to_run() {
        let callables = CallableQueue::default();
        assert_eq!(callables.reserve_threads(&[1, 2, 3]), 3);
        assert_eq!(callables.reserve_threads(&[1, 2]), 0);
        let (sender, _receiver) = oneshot::channel();
        callables.submit(9, LONG, sender).unwrap();
        assert_eq!(callables.reserve_threads(&[1, 2, 3]), 1);
        assert_eq!(callables.reserve_threads(&[1, 2, 3]), 0);
    }
}
