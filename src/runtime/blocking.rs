//! Work that can block in the kernel, in a thread of its own: at most one at a time for each thing that is asked about.
//!
//! A `statvfs` on a dead NFS mount returns when the server does, and nothing can cancel it. So who asks again meanwhile
//! waits for the same answer instead of occupying another thread.

use std::sync::Mutex;

use tokio::sync::watch;

use crate::model::CheckError;
use crate::runtime::{Process, lock};

/// What is under way, or was last: `None` in the channel until the answer is there.
struct Flight<T>(Mutex<Option<watch::Receiver<Option<T>>>>);

impl<T> Default for Flight<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

/// The answer of `work`, or of the same work for this `key` (and type of answer) that has not returned yet.
pub async fn single_flight<T>(
    process: &Process,
    key: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CheckError>
where
    T: Clone + Send + Sync + 'static,
{
    let flight = process.shared::<Flight<T>>(key);
    let mut answer = {
        let mut latest = lock(&flight.0);
        match latest.as_ref().filter(|answer| answer.borrow().is_none() && answer.has_changed().is_ok()) {
            Some(under_way) => under_way.clone(),
            None => {
                let (sender, receiver) = watch::channel(None);
                process.runtime.spawn_blocking(move || sender.send_replace(Some(work())));
                latest.insert(receiver).clone()
            }
        }
    };
    // The sender goes without an answer only if the work panicked.
    let answer = answer.wait_for(Option::is_some).await.map_err(|_| CheckError::Panicked)?;
    answer.clone().ok_or(CheckError::Panicked)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use futures_util::FutureExt;
    use futures_util::future::join;

    #[test]
    fn who_asks_meanwhile_waits_for_the_same_answer() {
        let process = Process::current().unwrap();
        let runs = Arc::new(AtomicUsize::new(0));
        let (release, blocked) = mpsc::channel::<()>();
        let blocked = Arc::new(Mutex::new(blocked));
        let ask = || {
            let (runs, blocked) = (runs.clone(), blocked.clone());
            single_flight(&process, "test", move || {
                blocked.lock().unwrap().recv().unwrap();
                runs.fetch_add(1, Ordering::Relaxed)
            })
        };
        process.runtime.block_on(async {
            // Gives up, as a check does at its timeout; the work goes on.
            assert!(ask().now_or_never().is_none());
            let mut both = pin!(join(ask(), ask()));
            assert!(both.as_mut().now_or_never().is_none());
            release.send(()).unwrap();
            assert_eq!(both.await, (Ok(0), Ok(0)));
            release.send(()).unwrap();
            assert_eq!(ask().await, Ok(1), "the next one is a new run");
        });
    }

    #[test]
    fn panic_is_an_error_once() {
        let process = Process::current().unwrap();
        let ask = |fails: bool| single_flight(&process, "panic", move || if fails { panic!("on purpose") } else { 1 });
        process.runtime.block_on(async {
            assert_eq!(ask(true).await, Err(CheckError::Panicked));
            assert_eq!(ask(false).await, Ok(1));
        });
    }
}
