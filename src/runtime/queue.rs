//! A bounded queue of what Python will fetch: Rust never calls Python.

use std::collections::VecDeque;
use std::sync::Mutex;

use tokio::sync::Notify;

use super::per_process::lock;
use super::wake::wake;

/// The latest [`Queue::CAPACITY`] items that were not fetched yet.
pub struct Queue<T> {
    items: Mutex<VecDeque<T>>,
    pushed: Notify,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { items: Mutex::default(), pushed: Notify::new() }
    }
}

impl<T> Queue<T> {
    const CAPACITY: usize = 1_000;

    pub fn push(&self, item: T) {
        let mut items = lock(&self.items);
        if items.len() == Self::CAPACITY {
            items.pop_front();
        }
        items.push_back(item);
        drop(items);
        self.pushed.notify_one();
        wake();
    }

    /// Waits until there was an item since the last call, fetched or not. For one caller.
    pub async fn pushed(&self) {
        self.pushed.notified().await;
    }

    pub fn is_empty(&self) -> bool {
        lock(&self.items).is_empty()
    }

    /// Removes and returns all of them.
    pub fn take(&self) -> Vec<T> {
        lock(&self.items).drain(..).collect()
    }
}
