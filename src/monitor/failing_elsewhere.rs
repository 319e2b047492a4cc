//! On how many of the other instances of a fleet a check fails, by what they last announced.

use std::collections::BTreeMap;

use super::instances::Description;
use crate::model::clock;
use crate::state::backend::fleet::instances::{InstanceState, SeenInstances};
use crate::state::fleet_actions::FailuresElsewhere;

/// Counts these checks on all instances but `own`, as they are seen now: of those that serve and know a status.
pub fn failing_elsewhere(seen: &SeenInstances, own: &str, checks: &[&str]) -> FailuresElsewhere {
    let mut view = FailuresElsewhere { at: clock::now(), ..FailuresElsewhere::default() };
    for check in checks {
        view.checks.insert((*check).to_owned(), [0; 3]);
    }
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let serving = |state| state != InstanceState::Draining;
    for instance in seen.instances.iter().filter(|instance| !instance.is_missed && serving(instance.state)) {
        view.instances += 1;
        let Ok(described) = serde_json::from_slice::<Description>(&instance.description) else { continue };
        let Some((hash, names)) = seen.names.get_key_value(&described.settings) else { continue };
        if instance.id == own {
            continue;
        }
        let names = places.entry(hash).or_insert_with(|| serde_json::from_str(names).unwrap_or_default());
        for (name, letter) in names.iter().zip(described.statuses.chars()) {
            let Some([errors, degraded, all]) = view.checks.get_mut(name) else { continue };
            *errors += u32::from(letter == 'e');
            *degraded += u32::from(letter == 'd');
            *all += u32::from(matches!(letter, 'h' | 'd' | 'e'));
        }
    }
    view
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::state::backend::fleet::instances::SeenInstance;

    fn seen(id: &str, state: InstanceState, statuses: &str) -> SeenInstance {
        let description =
            Description { settings: "s".to_owned(), statuses: statuses.to_owned(), ..Description::default() };
        let description = serde_json::to_vec(&description).unwrap_or_default();
        SeenInstance { id: id.to_owned(), state, age: Duration::ZERO, is_missed: id == "gone", description }
    }

    #[test]
    fn others_that_serve_and_know_a_status_count() {
        let seen = SeenInstances {
            instances: vec![
                seen("own", InstanceState::NotReady, "ee"),
                seen("a", InstanceState::Ready, "he"),
                seen("b", InstanceState::NotReady, "dh"),
                seen("c", InstanceState::Ready, "us"),
                seen("draining", InstanceState::Draining, "ee"),
                seen("gone", InstanceState::Ready, "ee"),
                seen("short", InstanceState::Ready, "e"),
            ],
            names: [("s".to_owned(), r#"["first", "second"]"#.to_owned())].into(),
        };
        let view = failing_elsewhere(&seen, "own", &["first", "second", "third"]);
        let counts = ["first", "second", "third"].map(|name| view.checks.get(name).copied());
        assert_eq!(counts, [Some([1, 1, 3]), Some([1, 0, 2]), Some([0, 0, 0])]);
        assert_eq!(view.instances, 5);
    }
}
