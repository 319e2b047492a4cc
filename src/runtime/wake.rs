//! Wakes the background services of this process that sleep until something is due.

use std::sync::Arc;

use tokio::sync::Notify;

use super::PerProcess;

static WAKE_UP: PerProcess<Notify> = PerProcess::new();

/// What wakes the services of this process that sleep until something is due: see [`wake`].
pub fn wake_up() -> Arc<Notify> {
    WAKE_UP.get_or_init(Notify::new)
}

/// Has services look again, since what they look at has changed in this process.
pub fn wake() {
    if let Some(wake_up) = WAKE_UP.get() {
        wake_up.notify_waiters();
    }
}
