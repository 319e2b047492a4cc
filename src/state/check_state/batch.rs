//! The records of several checks, changed together.

use std::sync::Mutex;

use super::CheckState;
use crate::runtime::{PerProcess, lock, try_lock};
use crate::state::backend::HostBackend;
use crate::state::record::Record;

/// Held by the one thread that does so: another one would find the records locked, and change each by itself.
static TURN: PerProcess<Mutex<()>> = PerProcess::new();

/// Changes those records that no other thread or process has, and stores the ones of which `change`
/// returns true, or a result was not stored yet. It is called with the number of each; returns for which it was.
pub fn transact_all(states: &[&CheckState], change: &mut dyn FnMut(usize, &mut Record) -> bool) -> Vec<bool> {
    let turn = TURN.get_or_init(Mutex::default);
    let _turn = lock(&turn);
    let mut changed = vec![false; states.len()];
    let locked = states.iter().enumerate().filter_map(|(number, state)| {
        let backend = state.backend.as_host()?;
        // Other threads hold that of a check while they look at its parents.
        let local = try_lock(&state.local)?;
        Some((backend, (number, *state, local)))
    });
    let (backends, mut locals): (Vec<_>, Vec<_>) = locked.unzip();
    let done = HostBackend::transact_all(&backends, &mut |at, bytes| {
        let (number, state, local) = locals.get_mut(at)?;
        state.change(local, bytes, &mut |record| change(*number, record))
    });
    for ((number, state, local), done) in locals.iter_mut().zip(done) {
        if let Some(changed) = changed.get_mut(*number).filter(|_| done) {
            *changed = true;
            state.publish_stored(local);
        }
    }
    changed
}
