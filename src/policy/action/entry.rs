//! What is kept of each run of an action, and of each time that one was stopped.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::policy::incident::truncated;

/// Bytes of a text.
const MAX_REASON: usize = 400;
const MAX_TEXT: usize = 300;

/// Why an action was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionCause {
    Check,
    /// The rung before has not helped.
    Ladder,
    Person,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryState {
    Running,
    /// It has run, and its check has not turned yet.
    Verifying,
    /// It has run, and there is no check by which to verify it.
    Done,
    Healed,
    NotHealed,
    /// The check has not run since.
    Unverified,
    Failed,
    /// The process that ran it has ended, or was stopped.
    Lost,
    /// `dry_run`: it would have run.
    WouldAct,
    /// It was due, and did not run.
    Stopped,
}

impl EntryState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Verifying => "verifying",
            Self::Done => "done",
            Self::Healed => "healed",
            Self::NotHealed => "not_healed",
            Self::Unverified => "unverified",
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::WouldAct => "would_act",
            Self::Stopped => "stopped",
        }
    }

    pub fn is_over(self) -> bool {
        !matches!(self, Self::Running | Self::Verifying)
    }
}

/// One run of an action, or a time when it was due and did not run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionEntry {
    pub id: String,
    pub action: String,
    pub kind: String,
    /// The check that it is to heal; `None` where a person ran it.
    pub check: Option<String>,
    pub cause: ActionCause,
    /// Who started it, where a person did.
    pub author: String,
    /// Why: which results, for how long.
    pub reason: String,
    pub state: EntryState,
    /// What it did, or what went wrong.
    pub text: String,
    /// The number of the lease under which it ran; 0: under none.
    pub fence: u64,
    /// It was the last rung, and has not helped.
    pub needs_person: bool,
    /// The process, for people.
    pub process: String,
    pub at: SystemTime,
    pub ended_at: Option<SystemTime>,
    /// Grows with each change; and which one the tables, the log and the incident have.
    pub revision: u64,
    pub confirmed: u64,
    pub logged: u64,
    pub noted: u64,
}

impl ActionEntry {
    /// One of `action` that starts now.
    pub fn new(action: &str, kind: &str, check: Option<&str>, cause: ActionCause, at: SystemTime) -> Self {
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            action: action.to_owned(),
            kind: kind.to_owned(),
            check: check.map(str::to_owned),
            cause,
            author: String::new(),
            reason: String::new(),
            state: EntryState::Running,
            text: String::new(),
            fence: 0,
            needs_person: false,
            process: String::new(),
            at,
            ended_at: None,
            revision: 1,
            confirmed: 0,
            logged: 0,
            noted: 0,
        }
    }

    #[must_use]
    pub fn because(mut self, reason: &str) -> Self {
        self.reason = truncated(reason, MAX_REASON);
        self
    }

    /// Continues it, or ends it.
    pub fn become_state(&mut self, state: EntryState, text: &str, at: SystemTime) {
        self.state = state;
        if !text.is_empty() {
            self.text = truncated(text, MAX_TEXT);
        }
        if state.is_over() {
            self.ended_at = Some(at);
        }
        self.revision += 1;
    }

    /// For the log, an incident and its alert: what was done, why, and its outcome.
    pub fn in_words(&self) -> String {
        let words = self.state_in_words();
        if self.needs_person { format!("{words}; a person is needed") } else { words }
    }

    fn state_in_words(&self) -> String {
        let Self { action, reason, text, .. } = self;
        let joined = |words: &str| if text.is_empty() { words.to_owned() } else { format!("{words}: {text}") };
        match self.state {
            EntryState::Running => format!("{action} started: {reason}"),
            EntryState::Verifying => joined(&format!("{action} has run")),
            EntryState::Done => joined(&format!("{action} has run")),
            EntryState::Healed => format!("{action} helped: {}", self.check_named("is well again")),
            EntryState::NotHealed => format!("{action} did not help: {}", self.check_named("still fails")),
            EntryState::Unverified => format!("{action} has run; {}", self.check_named("has not run since")),
            EntryState::Failed => joined(&format!("{action} failed")),
            EntryState::Lost => format!("{action} was interrupted: the process that ran it has ended or was stopped"),
            EntryState::WouldAct => format!("{action} would have acted (dry run): {reason}"),
            EntryState::Stopped => format!("{action} {text}"),
        }
    }

    fn check_named(&self, what: &str) -> String {
        format!("{} {what}", self.check.as_deref().unwrap_or_default())
    }
}
