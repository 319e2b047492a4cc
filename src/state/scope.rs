//! The scope of sharing: one process, or all processes of the host.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use ring::digest::{SHA256, digest};

use super::backend::Backend;
#[cfg(any(target_os = "linux", target_os = "macos"))]
use super::backend::host::HostBackend;
use super::backend::process::ProcessBackend;
use crate::model::CheckOptions;

/// How far the checks of an engine are shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Nothing is shared.
    #[default]
    Process,
    /// With all processes that name the same file.
    Host(PathBuf),
}

/// The stores of all engines of this process, or of the process that it was forked from.
static STORES: ArcSwapOption<Vec<PathBuf>> = ArcSwapOption::const_empty();

/// The stores of all engines.
pub fn stores() -> Arc<Vec<PathBuf>> {
    STORES.load_full().unwrap_or_default()
}

impl Scope {
    /// Announces the store to callers that belong to no engine, such as heartbeats.
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
    pub(crate) fn backend(&self, options: &CheckOptions) -> Box<dyn Backend> {
        self.backend_of(&record_name(options))
    }

    /// Where the record of that name is kept.
    #[cfg_attr(not(any(target_os = "linux", target_os = "macos")), allow(unused_variables, reason = "no host store"))]
    pub(crate) fn backend_of(&self, name: &str) -> Box<dyn Backend> {
        match self {
            Self::Process => Box::new(ProcessBackend),
            #[cfg(any(target_os = "linux", target_os = "macos"))]
            Self::Host(path) => Box::new(HostBackend::new(path, key(name))),
            #[cfg(not(any(target_os = "linux", target_os = "macos")))]
            Self::Host(_) => Box::new(ProcessBackend),
        }
    }
}

/// The name of a check's record: another one for checks that differ in what they check, or in how. Whether the check is
/// critical, and for how long its result is fresh, is up to the caller. Names of other shape belong to
/// [`super::heartbeats`], [`super::history_marks`] and the members.
pub(crate) fn record_name(options: &CheckOptions) -> String {
    let CheckOptions { name, identity, timeout, breaker, depends_on, .. } = options;
    let CheckOptions { failures_before_error, successes_before_healthy, .. } = options;
    let how = (timeout, breaker, depends_on, failures_before_error, successes_before_healthy);
    format!("check {name} {identity:?} {how:?} {}", env!("CARGO_PKG_VERSION"))
}

/// The key of that name in a store, which reveals nothing of it.
pub fn key(of: &str) -> [u8; 16] {
    let mut key = [0; 16];
    for (byte, value) in key.iter_mut().zip(digest(&SHA256, of.as_bytes()).as_ref()) {
        *byte = *value;
    }
    key
}

/// The beginning of the same as text, where people compare it or a key has to be short.
pub fn short_key(of: &str) -> String {
    key(of).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::BreakerOptions;

    #[test]
    fn record_name_differs_with_each_option_that_changes_the_run() {
        let second = Duration::from_secs(1);
        let spec = || CheckOptions { identity: "x".to_owned(), ..CheckOptions::new("a", second, second) };
        let others = [
            CheckOptions { name: "b".to_owned(), ..spec() },
            CheckOptions { identity: "y".to_owned(), ..spec() },
            CheckOptions { timeout: second * 2, ..spec() },
            CheckOptions { breaker: Some(BreakerOptions::default()), ..spec() },
            CheckOptions { depends_on: vec!["b".to_owned()], ..spec() },
            CheckOptions { failures_before_error: 2, ..spec() },
            CheckOptions { successes_before_healthy: 2, ..spec() },
        ];
        for other in others {
            assert_ne!(record_name(&spec()), record_name(&other), "{other:?}");
        }
        let same = CheckOptions { critical: false, ttl: second * 2, ..spec() };
        assert_eq!(record_name(&spec()), record_name(&same));
    }
}
