//! Starts tasks, all of one type.
//!
//! Tokio's code for a task is compiled for every type of future and for each of its schedulers: 200 KB where each task is
//! spawned as what it is. So a future is boxed, which costs an allocation for each task.

use std::pin::Pin;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Starts a task on the runtime that the caller runs on. Panics outside of one.
pub fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    spawn_on(&Handle::current(), task)
}

/// Starts a task on `runtime`.
pub fn spawn_on(runtime: &Handle, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let task: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(task);
    runtime.spawn(task)
}
