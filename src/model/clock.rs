//! Moments as others understand them: processes of this host as nanoseconds since it was booted, people as a time of day.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Nanoseconds since boot, sleep included where the system can tell.
pub fn now() -> u64 {
    #[cfg(unix)]
    {
        use rustix::time::{ClockId, clock_gettime};
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let clock = ClockId::Boottime;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        let clock = ClockId::Monotonic;
        let time = clock_gettime(clock);
        u64::try_from(time.tv_sec)
            .unwrap_or_default()
            .saturating_mul(1_000_000_000)
            .saturating_add(u64::try_from(time.tv_nsec).unwrap_or_default())
    }
    // No store is shared there, so nobody else has to understand it.
    #[cfg(not(unix))]
    {
        use std::sync::LazyLock;
        static START: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
        u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// How long the time of day goes on from what was read, before it is read again.
const READ_AGAIN: Duration = Duration::from_millis(10);

/// The time of day at a moment that has just been. To read it each time would take a tenth of a check that costs
/// nothing.
pub fn time_of_day(instant: Instant) -> SystemTime {
    thread_local!(static READ: Cell<Option<(Instant, SystemTime)>> = const { Cell::new(None) });
    if let Some((before, time)) = READ.get()
        && let Some(since) = instant.checked_duration_since(before)
        && since < READ_AGAIN
    {
        return time + since;
    }
    let time = SystemTime::now();
    READ.set(Some((instant, time)));
    time
}

fn from_instant(instant: Instant) -> u64 {
    let (here, there) = (Instant::now(), now());
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    match here.checked_duration_since(instant) {
        Some(ago) => there.saturating_sub(nanos(ago)),
        None => there.saturating_add(nanos(instant.duration_since(here))),
    }
}

fn to_instant(moment: u64) -> Instant {
    let (here, there) = (Instant::now(), now());
    let shifted = match there.checked_sub(moment) {
        Some(ago) => here.checked_sub(Duration::from_nanos(ago)),
        None => here.checked_add(Duration::from_nanos(moment - there)),
    };
    shifted.unwrap_or(here)
}

/// How an [`Instant`] stands in the store.
pub mod instant {
    use serde::{Deserialize, Deserializer, Serializer};
    use tokio::time::Instant;

    pub fn serialize<S: Serializer>(instant: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(super::from_instant(*instant))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Instant, D::Error> {
        Ok(super::to_instant(u64::deserialize(deserializer)?))
    }
}

/// How an optional [`Instant`] stands in the store.
pub mod optional {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use tokio::time::Instant;

    pub fn serialize<S: Serializer>(instant: &Option<Instant>, serializer: S) -> Result<S::Ok, S::Error> {
        instant.map(super::from_instant).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Instant>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(super::to_instant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_day_goes_on_with_the_moment_and_is_that_of_the_system() {
        let now = Instant::now();
        let (first, second) = (time_of_day(now), time_of_day(now + Duration::from_micros(3)));
        assert_eq!(second.duration_since(first).ok(), Some(Duration::from_micros(3)));
        for moment in [now, now + READ_AGAIN, now - Duration::from_secs(1)] {
            let (time, system) = (time_of_day(moment), SystemTime::now());
            let off = system.duration_since(time).unwrap_or_else(|error| error.duration());
            assert!(off < Duration::from_secs(1), "off by {off:?}");
        }
    }

    #[test]
    fn moments_come_back_as_they_went() {
        let now = Instant::now();
        for instant in [now, now - Duration::from_secs(3), now + Duration::from_secs(3_000)] {
            let back = to_instant(from_instant(instant));
            let off = back.max(instant) - back.min(instant);
            assert!(off < Duration::from_millis(50), "off by {off:?}");
        }
    }
}
