//! How far what is known of checks is shared: with nobody, or with all processes of the host.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use ring::digest::{SHA256, digest};

use super::Store;
#[cfg(any(target_os = "linux", target_os = "macos"))]
use super::host::Shared;
use super::process::Memory;
use crate::spec::CheckSpec;

/// How far the checks of an engine are shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Share {
    /// Each process for itself.
    #[default]
    Process,
    /// With all processes that name the same file.
    Host(PathBuf),
}

/// The stores that engines of this process were told to use, or those of the process that it was forked from.
static STORES: ArcSwapOption<Vec<PathBuf>> = ArcSwapOption::const_empty();

/// The stores that engines were told to use.
pub fn stores() -> Arc<Vec<PathBuf>> {
    STORES.load_full().unwrap_or_default()
}

impl Share {
    /// Makes the store known to what belongs to no engine, such as heartbeats.
    pub fn announce(&self) {
        let Self::Host(path) = self else { return };
        STORES.rcu(|known| {
            let mut stores = known.as_deref().cloned().unwrap_or_default();
            if !stores.contains(path) {
                stores.push(path.clone());
            }
            Some(Arc::new(stores))
        });
    }

    /// Where the record of a check is kept.
    pub(crate) fn store(&self, spec: &CheckSpec) -> Box<dyn Store> {
        match self {
            Self::Process => Box::new(Memory),
            #[cfg(any(target_os = "linux", target_os = "macos"))]
            Self::Host(path) => Box::new(Shared::new(path, record_key(spec))),
            #[cfg(not(any(target_os = "linux", target_os = "macos")))]
            Self::Host(_) => Box::new(Memory),
        }
    }
}

/// What a record is found by: whoever checks something else, or in another way, finds another one. Whether the check is
/// critical, and for how long its result is fresh, is up to who asks.
fn record_key(spec: &CheckSpec) -> [u8; 16] {
    let CheckSpec { name, identity, timeout, breaker, depends_on, .. } = spec;
    let CheckSpec { failures_before_error, successes_before_healthy, .. } = spec;
    let how = (timeout, breaker, depends_on, failures_before_error, successes_before_healthy);
    key(&format!("check {name} {identity:?} {how:?} {}", env!("CARGO_PKG_VERSION")))
}

/// A key that tells nothing of what it was made from.
pub fn key(of: &str) -> [u8; 16] {
    let mut key = [0; 16];
    for (byte, value) in key.iter_mut().zip(digest(&SHA256, of.as_bytes()).as_ref()) {
        *byte = *value;
    }
    key
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::spec::BreakerSpec;

    #[test]
    fn only_those_who_check_the_same_in_the_same_way_share_a_record() {
        let second = Duration::from_secs(1);
        let spec = || CheckSpec { identity: "x".to_owned(), ..CheckSpec::new("a", second, second) };
        let others = [
            CheckSpec { name: "b".to_owned(), ..spec() },
            CheckSpec { identity: "y".to_owned(), ..spec() },
            CheckSpec { timeout: second * 2, ..spec() },
            CheckSpec { breaker: Some(BreakerSpec::default()), ..spec() },
            CheckSpec { depends_on: vec!["b".to_owned()], ..spec() },
            CheckSpec { failures_before_error: 2, ..spec() },
            CheckSpec { successes_before_healthy: 2, ..spec() },
        ];
        for other in others {
            assert_ne!(record_key(&spec()), record_key(&other), "{other:?}");
        }
        let same = CheckSpec { critical: false, ttl: second * 2, ..spec() };
        assert_eq!(record_key(&spec()), record_key(&same));
    }
}
