//! A directory of a test's own.

use std::path::PathBuf;

/// A directory that goes with the test, which makes it.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Self {
        Self(std::env::temp_dir().join(format!("lifesigns-test-{}", uuid::Uuid::new_v4())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
