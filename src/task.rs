//! A future that goes on where its news arises, instead of on a thread of the runtime's that is to be woken for it.
//!
//! The runs of Python's callables: a thread of Python's hands in one answer after the other, without letting go of the
//! interpreter, and what follows from an answer takes half a microsecond. To wake a thread of the runtime's for it took
//! several, and there it raced with the next answer.

use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::future::BoxFuture;

use crate::process::{Process, lock};

thread_local! {
    /// The tasks that were woken on this thread, while it is [`here`].
    static WOKEN: RefCell<Option<Vec<Arc<Task>>>> = const { RefCell::new(None) };
}

/// A future under way.
pub struct Task {
    /// Not there while it is polled, nor once it has ended.
    future: Mutex<Option<BoxFuture<'static, ()>>>,
    woken: AtomicBool,
    process: Arc<Process>,
}

impl Task {
    /// Begins it on this thread; it goes on wherever it is woken.
    pub fn start(process: Arc<Process>, future: impl Future<Output = ()> + Send + 'static) {
        let future = Mutex::new(Some(Box::pin(future) as BoxFuture<'static, ()>));
        here(|| Arc::new(Self { future, woken: AtomicBool::new(false), process }).wake());
    }

    fn poll(self: Arc<Self>) {
        // Whoever wakes it from now on has it polled once more, after this.
        self.woken.store(false, Ordering::Release);
        let waker = Waker::from(self.clone());
        let _runtime = self.process.runtime.enter();
        let mut future = lock(&self.future);
        let Some(mut running) = future.take() else { return };
        // If it panics it has ended, as any task of the runtime's; it must not take along who has only woken it.
        let poll = AssertUnwindSafe(|| running.as_mut().poll(&mut Context::from_waker(&waker)));
        if let Ok(Poll::Pending) = catch_unwind(poll) {
            *future = Some(running);
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if self.woken.swap(true, Ordering::AcqRel) {
            return;
        }
        let elsewhere = WOKEN.with_borrow_mut(|woken| match woken {
            Some(woken) => {
                woken.push(self);
                None
            }
            None => Some(self),
        });
        if let Some(task) = elsewhere {
            let process = task.process.clone();
            process.runtime.spawn(async move { task.poll() });
        }
    }
}

/// Does something that wakes tasks, and goes on with them on this thread.
pub fn here(something: impl FnOnce()) {
    let next = || WOKEN.with_borrow_mut(|woken| woken.as_mut().and_then(Vec::pop));
    // What an outer one has yet to go on with stays its own.
    let outer = WOKEN.replace(Some(Vec::new()));
    something();
    // They may wake others in turn, or themselves.
    while let Some(task) = next() {
        task.poll();
    }
    WOKEN.set(outer);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc::{Sender, channel};
    use std::thread::{self, ThreadId};

    use tokio::sync::oneshot;

    use super::*;

    /// Says on which threads it was polled.
    async fn say(answer: oneshot::Receiver<()>, said: Sender<ThreadId>) {
        said.send(thread::current().id()).unwrap();
        answer.await.unwrap();
        said.send(thread::current().id()).unwrap();
    }

    #[test]
    fn it_goes_on_where_it_is_woken_or_else_on_a_thread_of_the_runtime() {
        let process = Process::current().unwrap();
        let this = thread::current().id();
        for is_here in [true, false] {
            let (answer, answered) = oneshot::channel();
            let (said, hear) = channel();
            Task::start(process.clone(), say(answered, said));
            assert_eq!(hear.try_recv(), Ok(this), "it begins at once");
            if is_here {
                here(|| answer.send(()).unwrap());
                assert_eq!(hear.try_recv(), Ok(this), "it has gone on before this returns");
            } else {
                answer.send(()).unwrap();
                assert_ne!(hear.recv().unwrap(), this);
            }
            assert!(hear.recv().is_err(), "it has ended, and is dropped");
        }
    }

    #[test]
    fn it_is_polled_again_if_it_wakes_itself() {
        let process = Process::current().unwrap();
        let (said, hear) = channel();
        Task::start(process, async move {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            said.send(()).unwrap();
        });
        assert_eq!(hear.recv(), Ok(()));
    }
}
