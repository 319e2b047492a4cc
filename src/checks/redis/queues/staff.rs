//! What was found of the workers of a task queue.

/// A queue in which tasks wait and to which no live worker listens.
pub struct Uncovered {
    pub queue: String,
    pub pending: u64,
}

/// What was found of the workers; `None` is what the queue does not tell.
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
}
