//! The queue between the engine and the threads, owned by Python, that run callables.
//!
//! Rust never calls Python: a thread of Python's asks for the next job, runs it and hands the answer back. A callable
//! that overran keeps the thread it is on and is not started again until it returns; every other job finds a thread,
//! since there are as many as callables that run or wait.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::outcome::{CheckError, Finding};
use crate::process::lock;

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
    busy: HashMap<u64, Running>,
    tokens: u64,
    threads: usize,
}

/// The callables of one process that wait or run.
#[derive(Default)]
pub struct Lanes {
    state: Mutex<State>,
    filled: Condvar,
}

impl Lanes {
    /// Queues a call and waits for its answer. Dropping the future takes the call back if no thread has begun it.
    pub async fn call(&self, callable: u64, timeout: Duration) -> Reply {
        let (sender, receiver) = oneshot::channel();
        let token = self.submit(callable, timeout, sender)?;
        let _withdraw = Withdraw { lanes: self, token };
        receiver.await.unwrap_or(Err(CheckError::Panicked))
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
        // One wake for a wave of jobs: whoever takes a job wakes the next thread if there is more.
        if state.queue.len() == 1 {
            self.filled.notify_one();
        }
        Ok(token)
    }

    fn withdraw(&self, token: u64) {
        let mut state = lock(&self.state);
        let index = state.queue.iter().position(|job| job.token == token);
        if let Some(job) = index.and_then(|index| state.queue.remove(index)) {
            state.busy.remove(&job.callable);
        }
    }

    /// The next job, if one waits.
    pub fn try_next(&self) -> Option<Job> {
        self.take(&mut lock(&self.state))
    }

    /// Waits for the next job.
    pub fn next(&self) -> Job {
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = self.take(&mut state) {
                return job;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn take(&self, state: &mut State) -> Option<Job> {
        let job = state.queue.pop_front()?;
        if let Some(running) = state.busy.get_mut(&job.callable) {
            running.since = Instant::now();
        }
        if !state.queue.is_empty() {
            self.filled.notify_one();
        }
        Some(job)
    }

    /// Hands in the answer of a job. An answer that comes too late only ends the run.
    pub fn done(&self, token: u64, callable: u64, answer: Reply) {
        let running = {
            let mut state = lock(&self.state);
            match state.busy.get(&callable) {
                Some(running) if running.token == token => state.busy.remove(&callable),
                _ => None,
            }
        };
        if let Some(running) = running {
            // Fails when nobody waits any more.
            let _ = running.reply.send(answer);
        }
    }

    /// How many more threads it takes so that `callables` can all run at once, beside those that run already. The
    /// caller starts them: they count from now on.
    pub fn reserve_threads(&self, callables: &[u64]) -> usize {
        let mut state = lock(&self.state);
        let wanted: HashSet<u64> = state.busy.keys().copied().chain(callables.iter().copied()).collect();
        let missing = wanted.len().saturating_sub(state.threads);
        state.threads += missing;
        missing
    }
}

struct Withdraw<'a> {
    lanes: &'a Lanes,
    token: u64,
}

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        self.lanes.withdraw(self.token);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;

    const LONG: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn a_call_travels_to_a_thread_and_back() {
        let lanes = Arc::new(Lanes::default());
        let thread = {
            let lanes = lanes.clone();
            std::thread::spawn(move || {
                let job = lanes.next();
                lanes.done(job.token, job.callable, Ok(Finding::healthy(format!("ran {}", job.callable))));
            })
        };
        let answer = lanes.call(7, LONG).await.unwrap();
        assert_eq!(answer.message, "ran 7");
        thread.join().unwrap();
        assert!(lanes.try_next().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_nobody_began_is_taken_back() {
        let lanes = Arc::new(Lanes::default());
        assert!(tokio::time::timeout(LONG, lanes.call(1, LONG)).await.is_err());
        assert!(lanes.try_next().is_none());
        assert_eq!(lanes.reserve_threads(&[]), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_overran_is_not_begun_again_until_it_returns() {
        let lanes = Arc::new(Lanes::default());
        let call = tokio::spawn({
            let lanes = lanes.clone();
            async move { tokio::time::timeout(LONG, lanes.call(1, LONG)).await }
        });
        tokio::task::yield_now().await;
        let job = lanes.try_next().unwrap();
        assert!(call.await.unwrap().is_err());
        assert!(matches!(lanes.call(1, LONG).await, Err(CheckError::StillRunning { .. })));
        lanes.done(job.token, job.callable, Ok(Finding::healthy("late")));
        let again = tokio::time::timeout(LONG, lanes.call(1, LONG));
        assert!(again.await.is_err(), "begun again, but no thread took it");
    }

    #[test]
    fn threads_suffice_for_what_runs_and_what_is_to_run() {
        let lanes = Lanes::default();
        assert_eq!(lanes.reserve_threads(&[1, 2, 3]), 3);
        assert_eq!(lanes.reserve_threads(&[1, 2]), 0);
        let (sender, _receiver) = oneshot::channel();
        lanes.submit(9, LONG, sender).unwrap();
        assert_eq!(lanes.reserve_threads(&[1, 2, 3]), 1);
        assert_eq!(lanes.reserve_threads(&[1, 2, 3]), 0);
    }
}
