//! The task that drives a kept connection, and ends it when it is idle for too long.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::runtime::{lock, tasks};

/// How long a kept connection serves new runs: whether a login, a certificate or an address still holds, only a new one
/// shows.
pub const LIFETIME: Duration = Duration::from_secs(300);

/// Drives a connection until it ends, was not in use for so long, or this is dropped.
pub struct Driver {
    task: JoinHandle<()>,
    started: Instant,
    usage: Arc<Mutex<Usage>>,
}

/// How many runs use a connection, and when the last use ended.
struct Usage {
    users: usize,
    ended: Instant,
}

impl Driver {
    pub fn spawn(connection: impl Future<Output = ()> + Send + 'static, idle: Duration) -> Self {
        let started = Instant::now();
        let usage = Arc::new(Mutex::new(Usage { users: 0, ended: started }));
        let unused = until_unused(usage.clone(), idle);
        // The task would hold it twice: for select!, and as it was captured. That of an HTTP connection takes 2 KB.
        let connection = Box::pin(connection);
        let task = tasks::spawn(async move {
            tokio::select! {
                () = connection => {}
                () = unused => {}
            }
        });
        Self { task, started, usage }
    }

    /// Whether a run may use the connection: it has neither ended, nor served for its [`LIFETIME`].
    pub fn serves(&self) -> bool {
        !self.task.is_finished() && self.started.elapsed() < LIFETIME
    }

    /// Note that the connection is in use, until the guard is dropped.
    pub fn in_use(&self) -> InUse {
        lock(&self.usage).users += 1;
        InUse(self.usage.clone())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One use of a connection.
pub struct InUse(Arc<Mutex<Usage>>);

impl Drop for InUse {
    fn drop(&mut self) {
        let mut usage = lock(&self.0);
        usage.users = usage.users.saturating_sub(1);
        usage.ended = Instant::now();
    }
}

/// Looks once for each time that it could have been idle for so long, so that a use wakes no task.
async fn until_unused(usage: Arc<Mutex<Usage>>, idle: Duration) {
    loop {
        let since = {
            let usage = lock(&usage);
            if usage.users == 0 { usage.ended } else { Instant::now() }
        };
        if since.elapsed() >= idle {
            return;
        }
        sleep_until(since + idle).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::future::pending;

    use tokio::time::sleep;

    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    /// When the driver ends, in seconds from `start`.
    async fn ends(mut driver: Driver, start: Instant) -> u64 {
        (&mut driver.task).await.unwrap();
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn unused_for_long_ends() {
        let start = Instant::now();
        let driver = Driver::spawn(pending(), IDLE);
        sleep(IDLE / 2).await;
        drop(driver.in_use());
        assert_eq!(ends(driver, start).await, (IDLE / 2 + IDLE).as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn in_use_for_long_does_not_end() {
        let start = Instant::now();
        let driver = Driver::spawn(pending(), IDLE);
        let use_of_two = [driver.in_use(), driver.in_use()];
        sleep(IDLE * 5).await;
        let [first, second] = use_of_two;
        drop(first);
        sleep(IDLE * 2).await;
        assert!(!driver.task.is_finished());
        drop(second);
        assert_eq!(ends(driver, start).await, (IDLE * 8).as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn ends_with_the_connection() {
        let start = Instant::now();
        assert_eq!(ends(Driver::spawn(sleep(IDLE / 2), IDLE), start).await, (IDLE / 2).as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn serves_for_its_lifetime_however_often_it_is_used() {
        let driver = Driver::spawn(pending(), IDLE);
        for _ in 0..9 {
            sleep(LIFETIME / 10).await;
            drop(driver.in_use());
            assert!(driver.serves());
        }
        sleep(LIFETIME / 10).await;
        assert!(!driver.serves());
    }

    #[tokio::test(start_paused = true)]
    async fn dropped_closes_the_connection() {
        let connection = Arc::new(());
        let held = connection.clone();
        let driver = Driver::spawn(
            async move {
                pending::<()>().await;
                drop(held)
            },
            IDLE,
        );
        drop(driver);
        while Arc::strong_count(&connection) > 1 {
            sleep(Duration::from_secs(1)).await;
        }
    }
}
