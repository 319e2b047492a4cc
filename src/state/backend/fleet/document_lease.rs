//! The lease of a document as one process of a host knows it.

use std::sync::Arc;

use tokio::time::Instant;

use super::FleetStore;
use super::document::{DOCUMENT_LEASE, DocumentKey, DocumentState, DocumentTurn};
use crate::model::CheckError;
use crate::runtime::Process;

/// When the lease has to be renewed, and whether it still counts.
#[derive(Debug)]
pub struct DocumentLease {
    key: DocumentKey,
    token: String,
    known: Option<KnownTurn>,
}

#[derive(Clone, Copy, Debug)]
struct KnownTurn {
    turn: DocumentTurn,
    /// When it was requested.
    at: Instant,
}

impl DocumentLease {
    /// `token` is that of the host: all of its processes hold the lease together.
    pub fn new(store: &FleetStore, name: &str, token: String) -> Self {
        Self { key: store.document(name), token, known: None }
    }

    pub fn key(&self) -> &DocumentKey {
        &self.key
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// The fence, while the lease was renewed within two thirds of its time.
    pub fn fence(&self) -> Option<u64> {
        match self.known? {
            KnownTurn { turn: DocumentTurn::Holder(fence), at } if at.elapsed() < DOCUMENT_LEASE * 2 / 3 => Some(fence),
            _ => None,
        }
    }

    /// Whether it is time to renew it, or to request it once that of another host has run out.
    pub fn is_due(&self) -> bool {
        match self.known {
            None => true,
            Some(KnownTurn { turn: DocumentTurn::Holder(_), at }) => at.elapsed() >= DOCUMENT_LEASE / 3,
            Some(KnownTurn { turn: DocumentTurn::Other(left), at }) => at.elapsed() >= left,
        }
    }

    /// Requests or renews it: see [`FleetStore::hold`].
    pub async fn hold(
        &mut self,
        store: &FleetStore,
        process: &Arc<Process>,
        may_acquire: bool,
    ) -> Result<DocumentState, CheckError> {
        self.request(store, process, may_acquire, None).await
    }

    /// The same, and says what fails on this host, which is called `id`.
    pub async fn hold_and_announce(
        &mut self,
        store: &FleetStore,
        process: &Arc<Process>,
        may_acquire: bool,
        (id, alarms): (&str, &[u8]),
    ) -> Result<DocumentState, CheckError> {
        self.request(store, process, may_acquire, Some((&store.alarms_key(), id, alarms))).await
    }

    async fn request(
        &mut self,
        store: &FleetStore,
        process: &Arc<Process>,
        may_acquire: bool,
        announced: Option<(&str, &str, &[u8])>,
    ) -> Result<DocumentState, CheckError> {
        let at = Instant::now();
        let state = store.hold_and_announce(process, &self.key, &self.token, may_acquire, announced).await?;
        self.known = Some(KnownTurn { turn: state.turn, at });
        Ok(state)
    }

    /// Forgets it: the next request decides.
    pub fn forget(&mut self) {
        self.known = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn known(turn: DocumentTurn, ago: Duration) -> DocumentLease {
        let at = Instant::now().checked_sub(ago).unwrap_or_else(Instant::now);
        let key = DocumentKey::default();
        DocumentLease { key, token: String::new(), known: Some(KnownTurn { turn, at }) }
    }

    #[tokio::test(start_paused = true)]
    async fn lease_is_renewed_at_a_third_and_given_up_at_two_thirds() {
        tokio::time::advance(DOCUMENT_LEASE).await;
        let third = DOCUMENT_LEASE / 3;
        let moment = Duration::from_millis(1);
        let found = [third - moment, third, third * 2 - moment, third * 2 + moment].map(|ago| {
            let lease = known(DocumentTurn::Holder(7), ago);
            (lease.is_due(), lease.fence())
        });
        assert_eq!(found, [(false, Some(7)), (true, Some(7)), (true, Some(7)), (true, None)]);
        let other = |ago| known(DocumentTurn::Other(third), ago);
        assert_eq!([other(moment).is_due(), other(third).is_due()], [false, true]);
        assert_eq!(other(moment).fence(), None);
    }
}
