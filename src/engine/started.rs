//! Whether the critical checks have passed once: a fact of all processes that share, for as long as one that knows it
//! lives. Workers that are replaced one by one stay started; a restart of all of them starts again.

use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Engine;
use crate::runtime::{PerProcess, lock};
use crate::state::backend::{Backend, Owner};
use crate::state::scope::record_name;

/// How long a thread may wait for another process to unlock the record: short, since the probe server's threads call it.
const LOCK_TIMEOUT: Duration = Duration::from_millis(1);
/// More processes than a host serves one application with.
const MAX_WITNESSES: usize = 100;

/// Whether the engine's processes have started, as far as this one knows.
#[derive(Default)]
pub struct StartState {
    known: PerProcess<Mutex<WitnessedStart>>,
    backend: PerProcess<Box<dyn Backend>>,
}

#[derive(Default)]
struct WitnessedStart {
    has_passed: bool,
    /// This process is among the witnesses.
    is_recorded: bool,
    witnesses: Witnesses,
}

/// The processes that know that the critical checks have passed.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Witnesses(Vec<Owner>);

impl Witnesses {
    fn refresh(&mut self, bytes: Option<Vec<u8>>) {
        if let Some(bytes) = bytes {
            *self = postcard::from_bytes(&bytes).unwrap_or_default();
        }
    }

    /// Adds a process, in place of those that have ended.
    fn add(&mut self, witness: Owner, is_alive: impl Fn(&Owner) -> bool) {
        self.0.retain(is_alive);
        let surplus = (self.0.len() + 1).saturating_sub(MAX_WITNESSES);
        self.0.drain(..surplus);
        self.0.push(witness);
    }
}

impl Engine {
    /// Whether the critical checks have passed once: here, or in a process that shares with this one and still lives.
    /// `passing`: whether they do now.
    pub fn has_started(&self, passing: bool) -> bool {
        // As in a report: nothing is known of an engine without a check.
        if self.checks().is_empty() {
            return false;
        }
        let known = self.start.known.get_or_init(Mutex::default);
        let mut known = lock(&known);
        if known.is_recorded {
            return true;
        }
        let backend = self.start.backend.get_or_init(|| self.scope().backend_of(&self.start_name()));
        known.has_passed |= passing;
        if !known.has_passed {
            known.witnesses.refresh(backend.read_if_changed(None));
            known.has_passed = known.witnesses.0.iter().any(|witness| backend.is_alive(witness));
        }
        if known.has_passed {
            let this = backend.new_owner();
            let witnesses = &mut known.witnesses;
            let recorded = backend.transact(LOCK_TIMEOUT, &mut |bytes| {
                witnesses.refresh(bytes);
                witnesses.add(this, |witness| backend.is_alive(witness));
                postcard::to_allocvec(witnesses).ok()
            });
            // While another process holds the record, the next call tries again.
            known.is_recorded = recorded.is_ok();
        }
        known.has_passed
    }

    /// The name of the record. Other critical checks are another fact, and so are those of the same names that check
    /// something else: a new release beside the old one, or on another database, has not started because that one has.
    fn start_name(&self) -> String {
        let checks = self.checks();
        let critical = checks.iter().filter(|check| check.options.critical);
        let mut records: Vec<String> = critical.map(|check| record_name(&check.options)).collect();
        records.sort_unstable();
        format!("started {records:?}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::checks::callable::CallableCheck;
    use crate::model::CheckOptions;

    /// An engine with critical checks of these names and identities.
    fn engine_of(checks: &[(&str, &str)]) -> Engine {
        let engine = Engine::new(Duration::from_secs(60));
        let timeout = Duration::from_secs(1);
        for (name, identity) in checks {
            let options =
                CheckOptions { identity: (*identity).to_owned(), ..CheckOptions::new(*name, timeout, timeout) };
            engine.register(options, Arc::new(CallableCheck { id: 0, timeout })).unwrap();
        }
        engine
    }

    fn owner(process: u64) -> Owner {
        Owner { member: 0, process, lease: 1 }
    }

    #[test]
    fn witness_takes_the_place_of_those_that_have_ended() {
        let mut witnesses = Witnesses((0..200).map(owner).collect());
        witnesses.add(owner(200), |witness| witness.process % 2 == 1);
        assert_eq!(witnesses.0.len(), MAX_WITNESSES);
        assert_eq!(witnesses.0.last(), Some(&owner(200)));
        witnesses.add(owner(201), |_| false);
        assert_eq!(witnesses.0, [owner(201)]);
    }

    #[test]
    fn process_scope_starts_once_the_checks_have_passed() {
        let engine = engine_of(&[("a", "")]);
        assert!(!engine.has_started(false));
        assert!(engine.has_started(true));
        assert!(engine.has_started(false));
        assert!(!engine_of(&[("a", "")]).has_started(false));
    }

    #[test]
    fn engine_without_a_check_has_not_started() {
        assert!(!Engine::new(Duration::from_secs(60)).has_started(true));
    }

    #[test]
    fn start_name_differs_with_what_is_checked_and_not_with_the_order() {
        let name = |checks: &[(&str, &str)]| engine_of(checks).start_name();
        let both = [("a", "one"), ("b", "two")];
        assert_eq!(name(&both), name(&[("b", "two"), ("a", "one")]));
        assert_ne!(name(&both), name(&[("a", "one"), ("b", "other")]));
        assert_ne!(name(&both), name(&[("a", "one")]));
    }
}
