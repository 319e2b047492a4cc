//! Pins the layout of what processes share under a key that outlives a version of this library.
//!
//! While a new version is rolled out, processes of two versions have one store. The encoding names neither fields nor
//! variants: a value that another layout has written is misread, or cannot be read at all. So each layout has its own key.

#![allow(clippy::expect_used)]

use std::fmt::Write;

use serde::de::DeserializeOwned;
use serde_reflection::{Samples, Tracer, TracerConfig};

use super::scope::key;
use super::{actions, alert_control, fleet_actions, fleet_alerts, incidents, objectives};
use crate::policy::action::ActionTable;

/// The enums in them, each of which the tracer has to be reminded of. It names those that are not here.
const ENUMS: [&str; 12] = [
    "ActionCause",
    "ActionRequest",
    "Arrival",
    "DeliveryState",
    "EntryState",
    "NoticeKind",
    "Request",
    "Severity",
    "Status",
    "Stop",
    "Threshold",
    "TimelineKind",
];
/// More than an enum has variants.
const ROUNDS: usize = 50;

/// A fingerprint of the fields and variants of a type, and of all that are in it, in order.
fn layout<T: DeserializeOwned>() -> String {
    let mut tracer = Tracer::new(TracerConfig::default());
    for _ in 0..ROUNDS {
        // Each round finds another variant of each.
        for name in ENUMS {
            tracer.check_incomplete_enum(name);
        }
        tracer.trace_type_once::<T>(&Samples::new()).expect("traced");
    }
    let registry = tracer.registry().expect("all variants are found");
    key(&format!("{registry:?}")).iter().take(6).fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string");
        text
    })
}

#[test]
fn layout_of_each_key_is_the_one_that_it_had_first() {
    let found = [
        (actions::KEY, layout::<ActionTable>()),
        (fleet_actions::KEY, layout::<fleet_actions::FleetActions>()),
        (fleet_actions::DESK_KEY, layout::<fleet_actions::ActionDesk>()),
        (alert_control::KEY, layout::<alert_control::AlertControl>()),
        (fleet_alerts::KEY, layout::<fleet_alerts::FleetDesk>()),
        (fleet_alerts::DOCUMENT, layout::<fleet_alerts::FleetIncidents>()),
        (incidents::KEY, layout::<incidents::IncidentTable>()),
        (objectives::KEY, layout::<objectives::ObjectiveTable>()),
    ];
    let pinned = [
        ("actions 2", "59310bc13a84"),
        ("fleet actions 1", "8c166e38747c"),
        ("fleet action desk 1", "7b1f00bd87d0"),
        ("alert control 1", "26f1970709af"),
        ("fleet alerts 1", "dd760603e418"),
        ("incidents-1", "69a9acf972ad"),
        ("incidents 1", "0b6d4045d378"),
        ("objectives 2", "4860a10e1c7e"),
    ];
    assert_eq!(
        found.map(|(key, layout)| format!("{key}: {layout}")),
        pinned.map(|(key, layout)| format!("{key}: {layout}")),
        "after a release, another layout takes another number in its key"
    );
}
