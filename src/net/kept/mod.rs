//! The connection that a process keeps to one server between runs.
//!
//! A [`Kept`] is empty, or holds one connection that no failure is known of. It is used in one of two ways:
//!
//! - exclusively, where a protocol has one exchange at a time (HTTP/1.1): a run takes the connection out with
//!   [`Kept::take`] and gives it back with [`Kept::put`] once it has read the whole answer. A run that finds none opens
//!   another; of those that are given back, the last one is kept;
//! - shared, where requests are pipelined (Redis): [`Kept::get_or_open`] hands out clones of the one connection, and
//!   [`Kept::forget`] removes one that did not answer, so that the next run opens another.
//!
//! In both, a run that fails or is cancelled leaves no connection behind whose state is unknown. A connection ends with
//! its [`Driver`]: when the server closes it, when it was idle for too long, or when its last owner drops it, which the
//! next run does once it has served for its [`LIFETIME`]. A [`Kept`] lies in
//! [`Process::shared`](crate::runtime::Process::shared), so a forked child starts with none.
//!
//! What is done where a kept connection turns out dead is up to the protocol: see [`hedged`] for requests that may be
//! sent twice, and `http` for those that may not. The sessions of PostgreSQL have a pool of their own, since there are
//! several for each server: see `checks/postgres/pool.rs`.

mod driver;
mod hedged;

use std::sync::Mutex;

use crate::runtime::lock;
pub use driver::{Driver, InUse, LIFETIME};
pub use hedged::hedged;

/// At most one connection to a server. Nothing is closed or awaited under its lock.
pub struct Kept<C> {
    connection: Mutex<Option<C>>,
    /// Held while a shared connection is looked up and opened, so that runs that start together open one.
    opening: tokio::sync::Mutex<()>,
}

impl<C> Default for Kept<C> {
    fn default() -> Self {
        Self { connection: Mutex::new(None), opening: tokio::sync::Mutex::default() }
    }
}

impl<C> Kept<C> {
    /// Take the connection out for one exchange; one that is not usable is closed.
    pub fn take(&self, is_usable: impl FnOnce(&C) -> bool) -> Option<C> {
        let kept = lock(&self.connection).take();
        kept.filter(is_usable)
    }

    /// Keep a connection whose exchange is complete. One that was given back meanwhile is closed.
    pub fn put(&self, connection: C) {
        let replaced = lock(&self.connection).replace(connection);
        drop(replaced);
    }

    /// Keep it no longer, if it is the one that `is_meant`. Runs that share it continue; the last of them closes it.
    pub fn forget(&self, is_meant: impl FnOnce(&C) -> bool) {
        let forgotten = lock(&self.connection).take_if(|kept| is_meant(kept));
        drop(forgotten);
    }
}

impl<C: Clone> Kept<C> {
    /// The kept connection, or else (true) the one that `open` makes. Runs that come while it is opened wait for it.
    pub async fn get_or_open<E>(
        &self,
        is_usable: impl FnOnce(&C) -> bool,
        open: impl Future<Output = Result<C, E>>,
    ) -> Result<(C, bool), E> {
        let _opening = self.opening.lock().await;
        let kept = lock(&self.connection).clone();
        if let Some(usable) = kept.filter(is_usable) {
            return Ok((usable, false));
        }
        self.forget(|_| true);
        let opened = open.await?;
        self.put(opened.clone());
        Ok((opened, true))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::yield_now;

    use super::*;

    #[test]
    fn taken_connection_is_not_taken_twice_and_the_last_given_back_is_kept() {
        let kept = Kept::default();
        assert_eq!(kept.take(|_| true), None);
        let (first, second) = (Arc::new(1), Arc::new(2));
        kept.put(first.clone());
        assert_eq!(kept.take(|_| true), Some(first.clone()));
        assert_eq!(kept.take(|_| true), None);
        kept.put(first.clone());
        kept.put(second.clone());
        assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (1, 2));
        assert_eq!(kept.take(|_| false), None);
        assert_eq!(Arc::strong_count(&second), 1);
    }

    #[tokio::test]
    async fn shared_connection_is_opened_once_and_replaced_when_unusable_or_forgotten() {
        let (kept, opened) = (Kept::default(), AtomicUsize::new(0));
        let get = |usable: bool| {
            let open = async {
                yield_now().await;
                Ok::<_, Infallible>(opened.fetch_add(1, Ordering::Relaxed))
            };
            kept.get_or_open(move |_| usable, open)
        };
        let (first, second) = tokio::join!(get(true), get(true));
        assert_eq!((first.unwrap(), second.unwrap()), ((0, true), (0, false)));
        assert_eq!(get(false).await.unwrap(), (1, true));
        kept.forget(|connection| *connection == 0);
        assert_eq!(get(true).await.unwrap(), (1, false));
        kept.forget(|connection| *connection == 1);
        assert_eq!(get(true).await.unwrap(), (2, true));
    }
}
