//! What the log and subscribers are to be told, kept until somebody fetches it: Rust never calls Python.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use crate::breaker::Transition;
use crate::process::{PerProcess, lock};

/// A circuit breaker has changed its state.
#[derive(Clone, Debug)]
pub struct Event {
    pub check: Arc<str>,
    pub transition: Transition,
    pub at: SystemTime,
}

/// The events of an engine that nobody has fetched yet.
pub type Events = Queue<Event>;

/// Something that an operator should know of, though no check has to do with it. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub is_warning: bool,
    pub text: String,
}

static NOTICES: PerProcess<Queue<Notice>> = PerProcess::new();

impl Notice {
    /// Keeps it for whoever fetches notices next.
    pub fn publish(self) {
        NOTICES.get_or_init(Queue::default).push(self);
    }

    /// Whether there are any of this process.
    pub fn are_there() -> bool {
        NOTICES.get().is_some_and(|notices| !notices.is_empty())
    }

    /// Takes all of this process.
    pub fn take() -> Vec<Self> {
        NOTICES.get().map(|notices| notices.take()).unwrap_or_default()
    }
}

/// What nobody has fetched yet, the latest [`Queue::KEPT`] of it.
pub struct Queue<T>(Mutex<VecDeque<T>>);

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Queue<T> {
    const KEPT: usize = 1_000;

    pub fn push(&self, item: T) {
        let mut items = lock(&self.0);
        if items.len() == Self::KEPT {
            items.pop_front();
        }
        items.push_back(item);
    }

    pub fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }

    /// Takes it all.
    pub fn take(&self) -> Vec<T> {
        lock(&self.0).drain(..).collect()
    }
}
