//! Where the processes of a host leave their signs of life: one value of the store that they share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::membership::{Sign, with};
use crate::runtime::{PerProcess, lock};
use crate::state::backend::host::{EntryVersion, HostStore, StoreEntry};
use crate::state::scope::key;

/// A sign that is held up this long is left out: the next one will do.
const PATIENCE: Duration = Duration::from_millis(5);

pub struct Board {
    store: Arc<HostStore>,
    entry: Arc<StoreEntry>,
    known: Mutex<(EntryVersion, Vec<Sign>)>,
}

impl Board {
    /// That of the store at `path`.
    pub fn at(path: &Path) -> Arc<Self> {
        static BOARDS: PerProcess<Mutex<HashMap<PathBuf, Arc<Board>>>> = PerProcess::new();
        let boards = BOARDS.get_or_init(Mutex::default);
        let new = || {
            let store = HostStore::at(path);
            let entry = store.entry(key("signs of life"));
            Arc::new(Self { store, entry, known: Mutex::default() })
        };
        lock(&boards).entry(path.to_owned()).or_insert_with(new).clone()
    }

    pub fn give(&self, sign: Sign) {
        let (seen, signs) = &mut *lock(&self.known);
        let mut sign = Some(sign);
        let _ = self.store.update(&self.entry, seen, PATIENCE, &mut |told| {
            hear(signs, told);
            *signs = with(std::mem::take(signs), sign.take()?);
            serde_json::to_vec(signs).ok()
        });
    }

    /// All signs, as they were last seen where they cannot be read now.
    pub fn signs(&self) -> Vec<Sign> {
        let (seen, signs) = &mut *lock(&self.known);
        hear(signs, self.store.read_if_changed(&self.entry, seen, None));
        signs.clone()
    }
}

fn hear(signs: &mut Vec<Sign>, told: Option<Vec<u8>>) {
    if let Some(told) = told {
        *signs = serde_json::from_slice(&told).unwrap_or_default();
    }
}
