//! What a host hands to its fleet once the store can be reached: what operators did here meanwhile, and breakers that
//! have opened.
//!
//! ```text
//!   operator ─► applied here, pending ──handed over──► what stands: this, or what an operator did later elsewhere
//!   the store has lost an operation ─► each host that knows it gives it back, with its number
//!   a run here opens the breaker, and the fleet does not know ─► the result is handed over, unless a later one is well
//! ```

use std::sync::Arc;

use super::registry::Registered;
use crate::model::CheckError;
use crate::runtime::Process;
use crate::state::backend::fleet::{FleetOperation, HandedOver};
use crate::state::{Fleet, Operation};

/// Applies an operator's decision to the breaker of a check: in all hosts of its fleet, at once or when its store can be
/// reached.
pub async fn operate(check: &Registered, operation: Operation, process: &Arc<Process>) {
    operate_here(check, operation);
    let Some(fleet) = check.fleet().filter(|fleet| fleet.is_usable()) else { return };
    match hand_over_operation(check, fleet, process).await {
        Ok(()) => fleet.reached(),
        Err(error) => fleet.lost(&error),
    }
}

/// Applies it in this host; another of its processes hands it to the fleet.
pub fn operate_here(check: &Registered, operation: Operation) {
    match check.fleet() {
        Some(_) => check.state().operate_ahead(operation),
        None => check.state().operate(operation),
    }
}

/// Hands over what an operator did here, if the fleet has not received it.
pub async fn hand_over_operation(check: &Registered, fleet: &Fleet, process: &Arc<Process>) -> Result<(), CheckError> {
    let state = check.state();
    let mark = state.fleet_mark();
    let Some(pending) = mark.pending else { return Ok(()) };
    let stands = fleet.store.operate(process, &fleet.key(&check.options), pending, mark.operation).await?;
    state.handed_over(pending, stands);
    Ok(())
}

/// Brings a check and the fleet to the same: what operators did, of which the fleet has `known`, and the breaker.
pub async fn exchange(
    check: &Registered,
    fleet: &Fleet,
    process: &Arc<Process>,
    known: Option<FleetOperation>,
) -> Result<(), CheckError> {
    hand_over_operation(check, fleet, process).await?;
    let (state, key) = (check.state(), fleet.key(&check.options));
    let followed = state.followed();
    match (known, followed) {
        (Some(known), followed) if followed.is_none_or(|followed| followed.number < known.number) => {
            state.adopt(None, Some(known));
        }
        (known, Some(followed)) if known.is_none_or(|known| known.number < followed.number) => {
            fleet.store.give_back(process, &key, followed).await?;
        }
        _ => {}
    }
    if !state.has_opened_ahead() {
        return Ok(());
    }
    let Some((value, well, age)) = state.for_fleet(&fleet.name) else { return Ok(()) };
    match fleet.store.hand_over(process, &key, (&value, well, age)).await? {
        HandedOver::Stored(fence) => state.published(fence),
        HandedOver::Replaced(later) => state.adopt(Some(&later), None),
        // It is handed over next time, unless that run says otherwise.
        HandedOver::Held => {}
    }
    Ok(())
}
