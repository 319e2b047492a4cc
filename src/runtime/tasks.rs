//! Starts tasks and blocking work, all of one type each.
//!
//! Tokio compiles its code for a task for every type of future or closure, and that of futures for each of its schedulers:
//! 200 KB where each is spawned as what it is. So they are boxed, which costs an allocation for each.

use std::pin::Pin;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};

/// Starts a task on the runtime that the caller runs on. Panics outside of one.
pub fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    spawn_on(&Handle::current(), task)
}

/// Starts a task on `runtime`.
pub fn spawn_on(runtime: &Handle, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let task: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(task);
    runtime.spawn(task)
}

/// The result of `work` on a thread of the runtime where it may block; `None` where it panicked or could not be started.
/// Once started it continues to its end, also where the caller has stopped waiting.
pub async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, result) = oneshot::channel();
    start_blocking(Box::new(move || drop(sender.send(work()))));
    result.await.ok()
}

fn start_blocking(job: Box<dyn FnOnce() + Send>) {
    spawn_blocking(job);
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    #[allow(clippy::panic)]
    async fn blocking_work_that_panics_has_no_result() {
        assert_eq!(run_blocking(|| 1).await, Some(1));
        assert_eq!(run_blocking(|| -> u8 { panic!("of the test") }).await, None);
    }

    #[tokio::test]
    async fn blocking_work_continues_where_its_caller_has_stopped_waiting() {
        let (done, is_done) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let work = move || {
            let _ = released.recv();
            done.send(())
        };
        assert!(run_blocking(work).now_or_never().is_none());
        drop(release);
        assert_eq!(is_done.recv_timeout(Duration::from_secs(60)), Ok(()));
    }
}
