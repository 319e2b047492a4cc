//! The secrets of the application's settings, which no text that another program wrote may show.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::model::Secret;

/// Lock-free, as a fork may happen while it is written. As large as Python's own set of them.
static HIDDEN: ArcSwapOption<Vec<Secret>> = ArcSwapOption::const_empty();

/// Replaces the secrets that are hidden.
pub fn hide(secrets: Vec<Secret>) {
    HIDDEN.store(Some(Arc::new(secrets)));
}

/// The secrets to hide.
pub fn hidden() -> Arc<Vec<Secret>> {
    HIDDEN.load_full().unwrap_or_default()
}
