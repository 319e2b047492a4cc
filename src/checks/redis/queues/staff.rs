//! What was found of the workers of a task queue.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Queues;
use crate::checks::redis::RedisServerOptions;
use crate::checks::worker_sightings::WorkerSightings;
use crate::runtime::{Context, lock};

/// Between the end of the old workers and the start of the new ones of a deploy there is none for less than this.
pub const DEPLOY: Duration = Duration::from_secs(300);

/// A queue in which tasks wait and to which no live worker listens.
pub struct Uncovered {
    pub queue: String,
    pub pending: u64,
}

/// What was found of the workers; `None` is what the queue does not show.
#[derive(Default)]
pub struct Staff {
    pub active: u64,
    pub running: Option<u64>,
    pub oldest_running: Option<f64>,
    /// Tasks that workers had taken which have died since.
    pub abandoned: Option<u64>,
    pub uncovered: Vec<Uncovered>,
    /// How many queues are known beside those that were looked at.
    pub not_measured: u64,
    pub suspended: bool,
    /// How many seconds old a heartbeat may be.
    pub window: Option<f64>,
    /// How many seconds ago the last heartbeat was sent, as far as that is known.
    pub last_heartbeat: Option<f64>,
    /// How long ago a worker was last seen by any process of the scope, if there is none now and a deploy may be under
    /// way.
    pub last_seen: Option<Duration>,
}

/// The sightings of the workers of these queues.
pub fn sightings(context: &Context, server: &RedisServerOptions, queues: &Queues<'_>) -> WorkerSightings {
    WorkerSightings::new(context, &workers_of(server, queues))
}

/// Identifies the workers of these queues.
fn workers_of(server: &RedisServerOptions, queues: &Queues<'_>) -> String {
    let Queues { layout, prefix, names, .. } = queues;
    format!("{server:?} {layout:?} {prefix:?} {names:?}")
}

/// The last heartbeat that this process has seen: what tells of RQ's workers is gone with them.
#[derive(Clone, Default)]
pub struct LastHeartbeat(Arc<Mutex<Option<f64>>>);

impl LastHeartbeat {
    pub fn new(context: &Context, server: &RedisServerOptions, queues: &Queues<'_>) -> Self {
        Self(context.process.shared(&format!("heartbeat {}", workers_of(server, queues))))
    }

    /// Notes heartbeats, and returns the time of the last one.
    pub fn note(&self, seen: impl IntoIterator<Item = f64>) -> Option<f64> {
        let mut last = lock(&self.0);
        *last = seen.into_iter().chain(*last).reduce(f64::max);
        *last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_heartbeat_stays_known_after_the_worker_is_gone() {
        let last = LastHeartbeat::default();
        assert_eq!(last.note([]), None);
        assert_eq!(last.note([7.0, 9.0]), Some(9.0));
        assert_eq!(last.note([8.0]), Some(9.0));
        assert_eq!(last.note([]), Some(9.0));
    }
}
