//! What the sessions of one pool share: whether the server was slow, when one closed, the signal that one may be free.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::runtime::lock;

/// How long slow messages are remembered: longer than the pause between two sweeps.
const SLOW_FOR: Duration = Duration::from_secs(60);
/// How long the first of them is remembered: a busy machine, or a new session for which the server loads catalogs and
/// libraries, says nothing of the next sweep.
const SLOW_ONCE_FOR: Duration = Duration::from_secs(1);

/// What the sessions of one pool share.
#[derive(Default)]
pub struct SessionGroup {
    /// When the last slow message was noted, and until when it is remembered.
    slow: Mutex<Option<(Instant, Instant)>>,
    closed: Mutex<Option<Instant>>,
    /// A message has ended, or a session.
    pub changed: Notify,
}

impl SessionGroup {
    /// Notes a slow message. The second of a minute, in another sweep than the first, is remembered for a minute.
    pub fn note_slow(&self) {
        let now = Instant::now();
        let mut slow = lock(&self.slow);
        *slow = Some(match *slow {
            Some((at, until)) if until > now => (at, if until - now > SLOW_ONCE_FOR { now + SLOW_FOR } else { until }),
            Some((at, _)) if at + SLOW_FOR > now => (now, now + SLOW_FOR),
            _ => (now, now + SLOW_ONCE_FOR),
        });
    }

    pub fn note_closed(&self) {
        *lock(&self.closed) = Some(Instant::now());
    }

    /// Whether the connection of a session was closed so short a time ago.
    pub fn closed_within(&self, duration: Duration) -> bool {
        lock(&self.closed).is_some_and(|at| at.elapsed() < duration)
    }

    pub fn was_slow_recently(&self) -> bool {
        lock(&self.slow).is_some_and(|(_, until)| until > Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn second_slow_message_of_a_minute_is_remembered() {
        let group = SessionGroup::default();
        assert!(!group.was_slow_recently());
        for (pause, remembered) in [(0.5, 0.4), (5.0, 59.0), (30.0, 0.9), (200.0, 0.9)] {
            tokio::time::advance(Duration::from_secs_f64(pause)).await;
            group.note_slow();
            tokio::time::advance(Duration::from_secs_f64(remembered)).await;
            assert!(group.was_slow_recently(), "{pause}");
            tokio::time::advance(Duration::from_secs(2)).await;
            assert!(!group.was_slow_recently(), "{pause}");
        }
    }
}
