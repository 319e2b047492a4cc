//! The latest result of a check, handed to the history once.

use super::{CheckState, Local};
use crate::model::Status;
use crate::runtime::lock;
use crate::state::TableSnapshot;
use crate::state::unrecorded::UnrecordedResult;

impl CheckState {
    /// The latest result, brought up to date, unless it was handed to the history before.
    pub fn unrecorded(&self, snapshot: Option<&TableSnapshot>) -> Option<UnrecordedResult> {
        let mut local = lock(&self.local);
        self.refresh(&mut local, snapshot);
        self.latest_unrecorded(&mut local)
    }

    /// Adds the latest result to those that wait to be recorded, if this process records.
    pub(super) fn add_unrecorded(&self, local: &mut Local) {
        if self.unrecorded.is_recording()
            && let Some(result) = self.latest_unrecorded(local)
        {
            self.unrecorded.add(result);
        }
    }

    /// A result that is not stored yet may be judged again; one of another host is recorded there.
    fn latest_unrecorded(&self, local: &mut Local) -> Option<UnrecordedResult> {
        let outcome = local.record.latest().filter(|_| local.unstored.is_none())?.clone();
        if local.recorded.replace(outcome.at) == Some(outcome.at) {
            return None;
        }
        let is_ours = outcome.status != Status::Skipped && outcome.found_by.is_none();
        let since = local.record.history().since;
        is_ours.then(|| UnrecordedResult { name: self.name.clone(), outcome, since, is_claimed: false })
    }
}
