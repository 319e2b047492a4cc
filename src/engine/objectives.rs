//! The objectives of a fleet: one host at a time works them out, and all others copy what it has found.
//!
//! ```text
//!   due ──► load ──found lately by another host──► copied, with its age
//!             └─older─► hold ──holder──► worked out ──store under the fence──► a document for all
//!                         └─another's──► what is known stays
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use crate::model::CheckError;
use crate::runtime::Process;
use crate::state::Fleet;
use crate::state::backend::fleet::document::{DocumentMark, DocumentTurn};
use crate::state::objectives::Objective;

/// The document: with another number for each layout.
const DOCUMENT: &str = "objectives-1";
/// Objectives that another host has worked out so lately are not worked out again; they are due once a minute.
const LATELY: Duration = Duration::from_secs(45);

/// Whose turn it is to work out the objectives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectivesTurn {
    /// This host's, for itself.
    Alone,
    /// This host's, for all, with the fence of the document.
    Fleet(u64),
    /// Another host's: what it has found is known here, too.
    Other,
}

/// Whose turn it is; what another host has found is taken over.
pub async fn turn(engine: &Engine, process: &Arc<Process>) -> ObjectivesTurn {
    let Some(fleet) = engine.fleet().filter(|fleet| fleet.is_usable()) else { return ObjectivesTurn::Alone };
    match turn_in(engine, fleet, process).await {
        Ok(turn) => {
            fleet.reached();
            turn
        }
        Err(error) => {
            fleet.lost(&error);
            ObjectivesTurn::Alone
        }
    }
}

async fn turn_in(engine: &Engine, fleet: &Fleet, process: &Arc<Process>) -> Result<ObjectivesTurn, CheckError> {
    let key = fleet.store.document(DOCUMENT);
    if let Some(document) = fleet.store.load(process, &key).await?.filter(|document| document.age < LATELY)
        && let Ok(found) = postcard::from_bytes::<BTreeMap<String, Objective>>(&document.value)
    {
        engine.objectives.set(engine.scope(), found, document.age);
        return Ok(ObjectivesTurn::Other);
    }
    let state = fleet.store.hold(process, &key, &token(fleet), true).await?;
    Ok(match state.turn {
        DocumentTurn::Holder(fence) => ObjectivesTurn::Fleet(fence),
        DocumentTurn::Other(_) => ObjectivesTurn::Other,
    })
}

/// Hands what this host has worked out to all others; a host that is late by now changes nothing.
pub async fn hand_out(fleet: &Fleet, process: &Arc<Process>, fence: u64, objectives: &BTreeMap<String, Objective>) {
    let Ok(value) = postcard::to_allocvec(objectives) else { return };
    let key = fleet.store.document(DOCUMENT);
    if let Err(error) = fleet.store.store_document(process, &key, fence, DocumentMark::default(), &value).await {
        fleet.lost(&error);
    }
}

fn token(fleet: &Fleet) -> String {
    format!("{}:{}", fleet.instance(), std::process::id())
}
