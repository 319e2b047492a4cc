//! Tests of the queue of calls, on a paused clock where time decides.

#![allow(clippy::unwrap_used)]
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const LONG: Duration = Duration::from_secs(5);

#[tokio::test]
async fn call_taken_by_a_thread_returns_its_reply() {
    let queue = Arc::new(CallableQueue::default());
    let thread = {
        let queue = queue.clone();
        std::thread::spawn(move || {
            queue.wait();
            let job = queue.arrive().unwrap();
            queue.done(job.token, job.callable, Ok(Finding::healthy(format!("ran {}", job.callable))));
        })
    };
    let reply = queue.call(7, LONG).await.unwrap();
    assert_eq!(reply.message, "ran 7");
    thread.join().unwrap();
    assert!(queue.take().is_none());
}

#[tokio::test(start_paused = true)]
async fn call_dropped_while_queued_is_withdrawn() {
    let queue = CallableQueue::default();
    assert!(tokio::time::timeout(START_TIMEOUT / 2, queue.call(1, LONG)).await.is_err());
    assert!(queue.take().is_none());
    assert_eq!(queue.reserve_threads(&[]), 0);
    assert!(queue.is_available(), "the caller stopped waiting before a thread had to be there");
}

#[tokio::test(start_paused = true)]
async fn call_that_no_thread_took_is_no_run() {
    for (timeout, expected) in [(LONG, START_TIMEOUT), (START_TIMEOUT, START_TIMEOUT / 2)] {
        let queue = CallableQueue::default();
        let before = tokio::time::Instant::now();
        let reply = queue.call_observed(1, timeout, || unreachable!("no thread took it")).await;
        assert_eq!(reply, Err(CheckError::NotStarted { after: expected }));
        assert!(before.elapsed() < expected + Duration::from_millis(50));
        assert!(reply.is_err_and(|error| !error.is_run()));
        assert!(queue.take().is_none(), "it was withdrawn");
    }
}

#[tokio::test(start_paused = true)]
async fn queue_without_a_thread_is_unavailable_until_one_arrives() {
    let queue = Arc::new(CallableQueue::default());
    assert!(queue.is_available());
    assert!(queue.call(1, LONG).await.is_err());
    assert!(!queue.is_available());
    assert!(queue.take().is_none());
    assert!(queue.is_available());
}

#[tokio::test(start_paused = true)]
async fn waiting_thread_arrives_after_a_call_was_withdrawn() {
    let queue = Arc::new(CallableQueue::default());
    assert!(queue.call(1, LONG).await.is_err());
    // It was waiting for the interpreter all the time, or comes only now: it need not find a job to arrive.
    let thread = std::thread::spawn({
        let queue = queue.clone();
        move || {
            queue.wait();
            queue.arrive()
        }
    });
    assert_eq!(thread.join().unwrap(), None);
    assert!(queue.is_available());
}

#[tokio::test(start_paused = true)]
async fn call_in_progress_after_the_start_timeout_is_started_and_waits_on() {
    let queue = Arc::new(CallableQueue::default());
    let is_started = Arc::new(AtomicBool::default());
    let call = tokio::spawn({
        let (queue, is_started) = (queue.clone(), is_started.clone());
        async move { queue.call_observed(1, LONG, || is_started.store(true, Ordering::Relaxed)).await }
    });
    tokio::task::yield_now().await;
    let job = queue.take().unwrap();
    tokio::time::sleep(START_TIMEOUT * 2).await;
    assert!(is_started.load(Ordering::Relaxed));
    queue.done(job.token, job.callable, Ok(Finding::healthy("late")));
    assert_eq!(call.await.unwrap().unwrap().message, "late");
}

#[tokio::test(start_paused = true)]
async fn call_that_overran_is_refused_until_it_returns() {
    let queue = Arc::new(CallableQueue::default());
    let call = tokio::spawn({
        let queue = queue.clone();
        async move { tokio::time::timeout(LONG, queue.call(1, LONG)).await }
    });
    tokio::task::yield_now().await;
    let job = queue.take().unwrap();
    assert!(call.await.unwrap().is_err());
    assert!(matches!(queue.call(1, LONG).await, Err(CheckError::StillRunning { .. })));
    queue.done(job.token, job.callable, Ok(Finding::healthy("late")));
    let again = queue.call(1, LONG).await;
    assert!(matches!(again, Err(CheckError::NotStarted { .. })), "it was queued again, but no thread took it");
}

#[tokio::test]
async fn call_that_cannot_be_made_is_no_run() {
    let queue = Arc::new(CallableQueue::default());
    let call = tokio::spawn({
        let queue = queue.clone();
        async move { queue.call(1, LONG).await }
    });
    tokio::task::yield_now().await;
    let job = queue.take().unwrap();
    queue.done(job.token, job.callable, Err(CheckError::Withdrawn));
    let withdrawn = call.await.unwrap();
    assert_eq!(withdrawn, Err(CheckError::Withdrawn));
    assert!(withdrawn.is_err_and(|error| !error.is_run()));
}

#[test]
fn call_is_started_though_the_thread_notified_for_the_one_before_came_too_late() {
    let queue = Arc::new(CallableQueue::default());
    let (sender, started) = std::sync::mpsc::channel();
    std::thread::spawn({
        let queue = queue.clone();
        move || loop {
            queue.wait();
            if let Some(job) = queue.arrive() {
                queue.done(job.token, job.callable, Err(CheckError::Withdrawn));
                sender.send(job.token).unwrap();
            }
        }
    });
    let submit = |callable| queue.submit(callable, LONG, oneshot::channel().0).unwrap();
    for round in 0..50 {
        let first = submit(2 * round);
        let taken = queue.take();
        // Time to find none, and to wait again.
        std::thread::sleep(Duration::from_millis(1));
        let second = submit(2 * round + 1);
        let expected = if taken.is_some() { vec![second] } else { vec![first, second] };
        for token in expected {
            assert_eq!(started.recv_timeout(LONG), Ok(token));
        }
    }
}

#[test]
fn threads_suffice_for_what_runs_and_what_is_to_run() {
    let queue = CallableQueue::default();
    assert_eq!(queue.reserve_threads(&[1, 2, 3]), 3);
    assert_eq!(queue.reserve_threads(&[1, 2]), 0);
    let (sender, _receiver) = oneshot::channel();
    queue.submit(9, LONG, sender).unwrap();
    assert_eq!(queue.reserve_threads(&[1, 2, 3]), 1);
    assert_eq!(queue.reserve_threads(&[1, 2, 3]), 0);
}

#[test]
fn threads_are_a_thousand_at_most() {
    let queue = CallableQueue::default();
    let all: Vec<u64> = (0..4_000).collect();
    assert_eq!(queue.reserve_threads(&all), MAX_THREADS);
    assert_eq!(queue.reserve_threads(&all), 0);
}

#[test]
fn thread_that_could_not_be_started_is_reserved_again() {
    let queue = CallableQueue::default();
    assert_eq!(queue.reserve_threads(&[1, 2, 3]), 3);
    queue.release_threads(2);
    assert_eq!(queue.reserve_threads(&[1, 2, 3]), 2);
    queue.release_threads(usize::MAX);
    assert_eq!(queue.reserve_threads(&[1]), 1);
}
