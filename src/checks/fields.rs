//! Fields that specifications of several checks have.

/// The default of a flag that is on.
pub fn yes() -> bool {
    true
}
