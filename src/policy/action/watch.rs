//! For how long a check has failed, counted run by run: each once, by its number, in whichever process it is seen.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::plan::{Threshold, Trigger};
use crate::model::clock::{self, Moment};
use crate::policy::run_history::{PastRun, RunHistory};

/// Records of one check that are remembered: several are alive while a new version is rolled out.
const MAX_RECORDS: usize = 4;
/// Processes that are remembered in which a check has failed.
const MAX_PROCESSES: usize = 32;
/// Good runs in a row after which an incident is over.
const GOOD_IN_A_ROW: u32 = 2;
/// How long no process may have seen a level to be bad before it counts as good, and how often that it is bad is noted.
const QUIET: Duration = Duration::from_secs(5);
const NOTE_BAD: Duration = Duration::from_secs(2);
/// After so long without a run nothing of an incident is known any more.
const FORGET_AFTER: Duration = Duration::from_secs(3_600);

/// By what a check is judged.
#[derive(Clone, Debug)]
pub enum CheckEvidence {
    /// Its runs, by their numbers in its record.
    Runs {
        history: RunHistory,
        /// The number of the latest.
        last: u64,
        /// A run older than that says nothing.
        stale_after: Duration,
        /// A parent has failed: its own runs say nothing.
        is_blocked: bool,
    },
    /// A state that lasts, as one process sees it.
    Level { is_bad: bool },
}

impl CheckEvidence {
    /// For how long what was last seen says something; zero: not at all.
    fn current_for(&self) -> Duration {
        match self {
            Self::Runs { is_blocked: true, .. } => Duration::ZERO,
            Self::Runs { stale_after, .. } => *stale_after,
            Self::Level { .. } => QUIET,
        }
    }
}

/// What was counted of one check. Times are in nanoseconds since boot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    /// The number of a record, and of its latest run that was counted.
    counted: Vec<(u64, u64)>,
    /// When the latest of them ended, whether or not it says anything.
    #[serde(with = "clock::nanos")]
    counted_at: u64,
    pub failures: u32,
    #[serde(with = "clock::nanos_of")]
    pub failing_since: Option<u64>,
    successes: u32,
    /// When the latest run that was counted ended.
    #[serde(with = "clock::nanos")]
    pub last: u64,
    /// When the latest good run, and the latest bad one, ended.
    #[serde(with = "clock::nanos")]
    pub last_good: u64,
    #[serde(with = "clock::nanos")]
    pub last_bad: u64,
    /// How many incidents there were, and whether the last of them is open.
    pub incidents: u64,
    pub is_open: bool,
    /// In which processes it has failed since it last passed in any.
    failed_in: Vec<u32>,
}

impl Watch {
    /// Counts what is new. `is_awaited`: also while nothing fails.
    pub fn observe(&mut self, evidence: &CheckEvidence, threshold: Threshold, is_awaited: bool, now: Moment) {
        match evidence {
            CheckEvidence::Level { is_bad } => self.level(*is_bad, now),
            CheckEvidence::Runs { history, last, stale_after, is_blocked } => {
                let new = self.new_runs(history, *last, threshold, is_awaited);
                if *is_blocked {
                    self.interrupt();
                } else {
                    let current = new.iter().skip_while(|run| now.since(run.finished) >= *stale_after);
                    current.for_each(|run| self.count(run, threshold, *stale_after));
                }
            }
        }
        if self.is_open && now.since(self.last) >= FORGET_AFTER {
            self.is_open = false;
            self.interrupt();
        }
    }

    /// Whether the check fails now, for as long as the trigger requires.
    pub fn is_due(&self, trigger: &Trigger, evidence: &CheckEvidence, now: Moment) -> bool {
        let lasts = self.failing_since.is_some_and(|since| now.since(since) >= trigger.seconds);
        lasts && self.failures >= trigger.runs && self.is_current(evidence, now)
    }

    /// Whether the last thing known is not too old.
    pub fn is_current(&self, evidence: &CheckEvidence, now: Moment) -> bool {
        now.since(self.last) < evidence.current_for()
    }

    /// In how many processes it has failed, if in more than one and if it passes in none: the fault is in what they
    /// share.
    pub fn fails_in_each(&self) -> Option<u32> {
        u32::try_from(self.failed_in.len()).ok().filter(|number| *number > 1)
    }

    /// Whether there is nothing to remember of it.
    pub fn is_void(&self) -> bool {
        !self.is_open && self.failures == 0
    }

    /// For how long nothing of it was seen.
    pub fn idle(&self, now: Moment) -> Duration {
        now.since(self.counted_at.max(self.last))
    }

    fn new_runs<'r>(
        &mut self,
        history: &'r RunHistory,
        last: u64,
        threshold: Threshold,
        is_awaited: bool,
    ) -> &'r [PastRun] {
        let seen = self.counted.iter().find(|(record, _)| *record == history.record).map_or(0, |(_, last)| *last);
        let new = history.after(seen, last);
        // Nothing has to be written while all is well.
        let is_well = |run: &PastRun| threshold.is_bad(run.status) != Some(true);
        if new.is_empty() || self.is_void() && !is_awaited && new.iter().all(is_well) {
            return &[];
        }
        self.counted.retain(|(record, _)| *record != history.record);
        if self.counted.len() >= MAX_RECORDS {
            self.counted.remove(0);
        }
        self.counted.push((history.record, last));
        self.counted_at = new.last().map_or(self.counted_at, |run| self.counted_at.max(run.finished));
        new
    }

    fn count(&mut self, run: &PastRun, threshold: Threshold, stale_after: Duration) {
        let gap = Duration::from_nanos(run.finished.saturating_sub(self.last));
        if gap >= stale_after {
            // For how long it has failed is not known.
            self.interrupt();
        }
        match threshold.is_bad(run.status) {
            Some(is_bad) => {
                self.take(is_bad, run.finished);
                self.note_process(is_bad, run.process);
            }
            None => self.interrupt(),
        }
    }

    fn take(&mut self, is_bad: bool, at: u64) {
        self.last = at;
        if is_bad {
            if !self.is_open {
                (self.is_open, self.incidents) = (true, self.incidents + 1);
            }
            (self.successes, self.last_bad) = (0, at);
            self.failures = self.failures.saturating_add(1);
            self.failing_since.get_or_insert(at);
        } else {
            self.last_good = at;
            (self.failures, self.failing_since) = (0, None);
            self.successes = self.successes.saturating_add(1);
            self.is_open &= self.successes < GOOD_IN_A_ROW;
        }
    }

    fn note_process(&mut self, is_bad: bool, process: u32) {
        if !is_bad {
            self.failed_in.clear();
        } else if self.failed_in.len() < MAX_PROCESSES && !self.failed_in.contains(&process) {
            self.failed_in.push(process);
        }
    }

    fn level(&mut self, is_bad: bool, now: Moment) {
        if is_bad && self.failures == 0 {
            self.take(true, now.boot);
        } else if is_bad {
            if now.since(self.last) >= NOTE_BAD {
                (self.last, self.last_bad) = (now.boot, now.boot);
            }
        } else if self.failures > 0 && now.since(self.last) > QUIET {
            self.take(false, now.boot);
            self.is_open = false;
        }
    }

    /// What is seen next does not continue what was seen before.
    fn interrupt(&mut self) {
        (self.failures, self.failing_since, self.successes) = (0, None, 0);
        self.failed_in.clear();
    }
}
