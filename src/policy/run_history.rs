//! The latest runs of one record by number, so that each is counted once, however late and in whichever process.

use serde::{Deserialize, Serialize};

use crate::model::{Status, clock};
use crate::policy::flapping::RUNS;

/// One run, as the policies have judged it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastRun {
    pub status: Status,
    /// In nanoseconds since boot.
    #[serde(with = "clock::nanos")]
    pub finished: u64,
    /// Distinguishes the processes of a scope; 0 where each knows only its own runs.
    pub process: u32,
}

/// The latest runs of a record. Its number distinguishes it from a record that has taken its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunHistory {
    pub record: u64,
    runs: Vec<PastRun>,
}

impl RunHistory {
    /// That of a new record, without any run.
    pub fn new(record: u64) -> Self {
        Self { record, runs: Vec::new() }
    }

    pub fn push(&mut self, run: PastRun) {
        if self.runs.len() >= RUNS {
            self.runs.remove(0);
        }
        self.runs.push(run);
    }

    /// The latest run that `is_meant`.
    pub fn latest(&self, is_meant: impl Fn(&PastRun) -> bool) -> Option<&PastRun> {
        self.runs.iter().rev().find(|run| is_meant(run))
    }

    /// The runs after that of number `seen`, if `last` is the number of the latest: those of them that are still known.
    pub fn after(&self, seen: u64, last: u64) -> &[PastRun] {
        let new = usize::try_from(last.saturating_sub(seen)).unwrap_or(usize::MAX).min(self.runs.len());
        self.runs.get(self.runs.len() - new..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_after_a_number_are_those_that_are_known() {
        let mut history = RunHistory::new(7);
        for finished in 1..=30 {
            history.push(PastRun { status: Status::Error, finished, process: 0 });
        }
        let finished = |seen, last| history.after(seen, last).iter().map(|run| run.finished).collect::<Vec<_>>();
        assert_eq!(finished(28, 30), [29, 30]);
        assert_eq!(finished(30, 30), [] as [u64; 0]);
        assert_eq!(finished(31, 30), [] as [u64; 0], "an older view");
        assert_eq!(finished(0, 30), (10..=30).collect::<Vec<_>>());
        assert_eq!(RunHistory::new(1).after(0, 0), []);
    }
}
