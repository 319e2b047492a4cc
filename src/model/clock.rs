//! Instants that other processes of this host understand: nanoseconds since boot.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

/// Nanoseconds since boot, sleep included where the system counts it.
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
    // No store is shared there, so no other process has to understand it. It starts late enough for moments before this
    // process: what another host of a fleet says of itself may be years old.
    #[cfg(not(unix))]
    {
        use std::sync::LazyLock;
        static START: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
        const AT_START: u64 = 1 << 62;
        u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX).saturating_add(AT_START)
    }
}

/// One moment by both clocks: durations count by the time since boot, which is never set; texts have that of the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// In nanoseconds since boot.
    pub boot: u64,
    pub wall: SystemTime,
}

impl Moment {
    pub fn now() -> Self {
        Self { boot: now(), wall: SystemTime::now() }
    }

    /// How long ago something was, by nanoseconds since boot.
    pub fn since(self, boot: u64) -> Duration {
        Duration::from_nanos(self.boot.saturating_sub(boot))
    }

    /// What the wall clock would have shown then, had it not been set since.
    pub fn wall_at(self, boot: u64) -> SystemTime {
        self.wall.checked_sub(self.since(boot)).unwrap_or(self.wall)
    }

    /// The nanoseconds since boot so much later.
    pub fn after(self, duration: Duration) -> u64 {
        self.boot.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// An instant as nanoseconds since boot.
pub fn from_instant(instant: Instant) -> u64 {
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

thread_local! {
    /// How far the clock of the host that has encoded what is decoded now is behind this one's, in nanoseconds.
    static BEHIND: Cell<i128> = const { Cell::new(0) };
}

/// Decodes what another host has encoded, whose clock is so many nanoseconds behind this one's: each host counts from
/// its own boot.
pub fn decoding<T>(behind: i128, decode: impl FnOnce() -> T) -> T {
    struct Restore(i128);
    impl Drop for Restore {
        fn drop(&mut self) {
            BEHIND.set(self.0);
        }
    }
    let _restore = Restore(BEHIND.replace(behind));
    decode()
}

/// The moment of another host, while [`decoding`] what it has encoded, by this one's clock.
fn here(moment: u64) -> u64 {
    match BEHIND.get() {
        0 => moment,
        behind => u64::try_from(i128::from(moment) + behind).unwrap_or_default(),
    }
}

/// How nanoseconds since boot are stored.
pub mod nanos {
    use serde::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub fn serialize<S: Serializer>(moment: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(*moment)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        Ok(super::here(u64::deserialize(deserializer)?))
    }
}

/// How nanoseconds since boot by name are stored.
pub mod nanos_by_name {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::model::CollectOrdered;

    pub fn serialize<S: Serializer>(moments: &BTreeMap<String, u64>, serializer: S) -> Result<S::Ok, S::Error> {
        moments.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, u64>, D::Error> {
        let moments = BTreeMap::<String, u64>::deserialize(deserializer)?;
        Ok(moments.into_iter().map(|(name, moment)| (name, super::here(moment))).collect_ordered())
    }
}

/// How several of them, or one that may be missing, are stored.
pub mod nanos_of {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<T: Serialize, S: Serializer>(moments: &T, serializer: S) -> Result<S::Ok, S::Error> {
        moments.serialize(serializer)
    }

    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: Deserialize<'de>,
        for<'m> &'m mut T: IntoIterator<Item = &'m mut u64>,
        D: Deserializer<'de>,
    {
        let mut moments = T::deserialize(deserializer)?;
        (&mut moments).into_iter().for_each(|moment| *moment = super::here(*moment));
        Ok(moments)
    }
}

/// Encodes a value for another host, which may decode it with [`decode_from_host`].
pub fn encode_for_host<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    Some(for_host(&postcard::to_allocvec(value).ok()?))
}

/// What is encoded, with the clock of this host: see [`encode_for_host`].
pub fn for_host(encoded: &[u8]) -> Vec<u8> {
    let clock = postcard::to_allocvec(&now()).unwrap_or_default();
    [&clock, encoded].concat()
}

/// Decodes what another host has encoded `age` ago: its nanoseconds since boot have the same ages here.
pub fn decode_from_host<T: DeserializeOwned>(bytes: &[u8], age: Duration) -> Option<T> {
    let (there, value) = postcard::take_from_bytes::<u64>(bytes).ok()?;
    let behind = i128::from(now()) - i128::try_from(age.as_nanos()).ok()? - i128::from(there);
    decoding(behind, || postcard::from_bytes(value)).ok()
}

/// How an [`Instant`] is stored.
pub mod instant {
    use serde::{Deserialize, Deserializer, Serializer};
    use tokio::time::Instant;

    pub fn serialize<S: Serializer>(instant: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(super::from_instant(*instant))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Instant, D::Error> {
        Ok(super::to_instant(super::here(u64::deserialize(deserializer)?)))
    }
}

/// How an optional [`Instant`] is stored.
pub mod optional {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use tokio::time::Instant;

    pub fn serialize<S: Serializer>(instant: &Option<Instant>, serializer: S) -> Result<S::Ok, S::Error> {
        instant.map(super::from_instant).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Instant>, D::Error> {
        let moment = Option::<u64>::deserialize(deserializer)?;
        Ok(moment.map(|moment| super::to_instant(super::here(moment))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instant_of_another_host_has_the_same_age_here() {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Stored {
            #[serde(with = "nanos")]
            nanos: u64,
            #[serde(with = "instant")]
            instant: Instant,
        }
        let (now, boot) = (Instant::now(), self::now());
        let stored = postcard::to_allocvec(&Stored { nanos: boot, instant: now }).unwrap_or_default();
        let second = 1_000_000_000;
        let found = decoding(i128::from(2 * second), || postcard::from_bytes::<Stored>(&stored));
        let found = found.unwrap_or(Stored { nanos: 0, instant: now });
        assert_eq!(found.nanos, boot + 2 * second);
        let off = (now + Duration::from_secs(2)).max(found.instant) - (now + Duration::from_secs(2)).min(found.instant);
        assert!(off < Duration::from_millis(50), "off by {off:?}");
        assert_eq!(here(7), 7, "outside of it nothing is moved");
    }

    #[test]
    fn instant_stored_and_loaded_is_the_same() {
        let now = Instant::now();
        for instant in [now, now - Duration::from_secs(3), now + Duration::from_secs(3_000)] {
            let back = to_instant(from_instant(instant));
            let off = back.max(instant) - back.min(instant);
            assert!(off < Duration::from_millis(50), "off by {off:?}");
        }
    }
}
