//! A bounded queue of what Python will fetch: Rust never calls Python.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::per_process::lock;

/// The latest [`Queue::CAPACITY`] items that were not fetched yet.
pub struct Queue<T>(Mutex<VecDeque<T>>);

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Queue<T> {
    const CAPACITY: usize = 1_000;

    pub fn push(&self, item: T) {
        let mut items = lock(&self.0);
        if items.len() == Self::CAPACITY {
            items.pop_front();
        }
        items.push_back(item);
    }

    pub fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }

    /// Removes and returns all of them.
    pub fn take(&self) -> Vec<T> {
        lock(&self.0).drain(..).collect()
    }
}
