//! Which requests of hosts a document of the fleet contains: a host repeats its own until it has seen that.

/// Notes that a request is applied, and forgets the oldest of more than `most`; false if it was before.
pub fn note_applied(applied: &mut Vec<u64>, id: u64, most: usize) -> bool {
    if applied.contains(&id) {
        return false;
    }
    if applied.len() >= most {
        applied.remove(0);
    }
    applied.push(id);
    true
}
