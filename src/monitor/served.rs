//! The addresses at which this process serves probes.

use std::sync::{Arc, Mutex};

use crate::runtime::{PerProcess, lock};

static SERVED: PerProcess<Mutex<Vec<String>>> = PerProcess::new();

/// The address is served until this is dropped.
pub struct Served {
    all: Arc<Mutex<Vec<String>>>,
    address: String,
}

/// Announces that this process serves probes at an address.
pub fn announce_served(address: String) -> Served {
    let all = SERVED.get_or_init(Mutex::default);
    lock(&all).push(address.clone());
    Served { all, address }
}

/// The addresses that this process serves.
pub fn served() -> Vec<String> {
    SERVED.get().map(|all| lock(&all).clone()).unwrap_or_default()
}

impl Drop for Served {
    fn drop(&mut self) {
        let mut all = lock(&self.all);
        if let Some(index) = all.iter().position(|address| *address == self.address) {
            all.swap_remove(index);
        }
    }
}
