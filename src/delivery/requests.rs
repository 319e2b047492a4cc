//! What people and programs want of incidents and silences, and how it is applied.
//!
//! Where the hosts of a fleet have their incidents in common, their holder applies it. The host on which it was requested
//! keeps it until the document says that it is applied, and shows it as applied from the start; so it survives the death of
//! the holder, and a server that has lost its data.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::model::NoticeKind;
use crate::model::clock::{self, Moment};
use crate::policy::incident::{Incident, Subject, TimelineKind};
use crate::policy::suppression::Silence;
use crate::state::alert_control::AlertControl;
use crate::state::incidents::IncidentStore;

/// What is requested.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AlertRequest {
    Acknowledge {
        check: String,
        author: String,
        comment: String,
    },
    Silence(Silence),
    ExpireSilence {
        id: String,
        at: SystemTime,
    },
    Retry {
        incident: String,
    },
    TriggerAgain {
        incident: String,
        after: u32,
    },
    /// Takes in an incident from elsewhere; what was given up of it is tried again if wanted.
    Restore {
        incident: Box<Incident>,
        retry: bool,
    },
    /// Notes what an action has done in the open incident of a check.
    Note {
        check: String,
        text: String,
    },
}

/// What happened to an incident, for events.
pub(super) type Change = (&'static str, Incident);

/// What came of a request.
#[derive(Debug, Default)]
pub struct Applied {
    pub(super) changes: Vec<Change>,
    /// Of one that tries notices again: how many are pending then, and on which channels.
    pub pending: usize,
    channels: Vec<String>,
}

impl AlertRequest {
    /// With the clocks of this host, for whichever applies it.
    pub fn encode(&self, now: Moment) -> Vec<u8> {
        let clocks = postcard::to_allocvec(&(now.boot, now.wall)).unwrap_or_default();
        postcard::to_extend(self, clocks).unwrap_or_default()
    }

    /// What another host has encoded, by the clock of this one: how long ago that was is close enough by the wall clocks.
    pub fn decode(bytes: &[u8], now: Moment) -> Option<Self> {
        let ((boot, wall), rest) = postcard::take_from_bytes::<(u64, SystemTime)>(bytes).ok()?;
        let age = now.wall.duration_since(wall).unwrap_or_default();
        let behind = i128::from(now.boot) - i128::try_from(age.as_nanos()).ok()? - i128::from(boot);
        clock::decoding(behind, || postcard::from_bytes(rest)).ok()
    }

    /// Which value of the store holds what it is about; `None`: any may.
    pub fn group(&self) -> Option<usize> {
        match self {
            Self::Acknowledge { check, .. } | Self::Note { check, .. } => Some(IncidentStore::group_of(check)),
            Self::Restore { incident, .. } => Some(IncidentStore::group_of(&incident.check)),
            Self::Silence(_) | Self::ExpireSilence { .. } | Self::Retry { .. } | Self::TriggerAgain { .. } => None,
        }
    }

    /// Applies it to incidents; `None`: there is none that it means.
    pub fn apply_to_subjects(&self, subjects: &mut BTreeMap<String, Subject>, now: Moment) -> Option<Applied> {
        let mut applied = Applied::default();
        match self {
            Self::Silence(_) | Self::ExpireSilence { .. } => return None,
            Self::Acknowledge { check, author, comment } => {
                let mut notify = |incident: &mut Incident, kind: NoticeKind| {
                    incident.send(kind, &Default::default(), now.wall);
                    applied.changes.push((kind.as_str(), incident.clone()));
                };
                subjects.get_mut(check)?.acknowledge(author, comment, now, &mut notify).then_some(())?;
            }
            Self::Retry { incident } => {
                let retried = subjects.values_mut().find_map(|subject| subject.retry(incident, now.wall))?;
                (applied.pending, applied.channels) = (retried.pending, retried.channels);
            }
            Self::TriggerAgain { incident, after } => {
                let mut subjects = subjects.values_mut();
                subjects.any(|subject| subject.trigger_again(incident, *after)).then_some(())?;
            }
            Self::Restore { incident, retry } => {
                let subject = subjects.entry(incident.check.clone()).or_default();
                let is_new = subject.restore(Incident::clone(incident), now);
                (is_new | (*retry && subject.retry(&incident.id, now.wall).is_some())).then_some(())?;
            }
            Self::Note { check, text } => {
                subjects.get_mut(check)?.open.as_mut()?.note(TimelineKind::Action, text, now.wall);
            }
        }
        Some(applied)
    }

    /// Applies it to the silences and to what receivers demand, after `applied` to incidents; false if that changes
    /// nothing.
    pub fn apply_to_control(&self, control: &mut AlertControl, applied: Option<&Applied>, now: Moment) -> bool {
        match self {
            Self::Silence(silence) => control.add(silence.clone(), now.wall),
            Self::ExpireSilence { id, at } => control.expire(id, *at),
            // Also what the receiver has demanded: it is a person who wants it sent now.
            Self::Retry { .. } => applied.is_some_and(|applied| control.release(&applied.channels)),
            _ => false,
        }
    }

    /// Applies it to all of both; `None`: that changes nothing.
    pub fn apply(
        &self,
        subjects: &mut BTreeMap<String, Subject>,
        control: &mut AlertControl,
        now: Moment,
    ) -> Option<Applied> {
        let applied = self.apply_to_subjects(subjects, now);
        let is_controlled = self.apply_to_control(control, applied.as_ref(), now);
        applied.or_else(|| is_controlled.then(Applied::default))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::incident::Since;

    #[test]
    fn request_decoded_elsewhere_is_applied_to_what_is_open() {
        let now = Moment::now();
        let (mut subjects, mut control) = (BTreeMap::<String, Subject>::new(), AlertControl::default());
        let incident = Box::new(Incident::new("a", Since { boot: now.boot, wall: now.wall }, now));
        let requests = [
            AlertRequest::Note { check: "a".to_owned(), text: "too early".to_owned() },
            AlertRequest::Restore { incident: incident.clone(), retry: false },
            AlertRequest::Restore { incident: incident.clone(), retry: false },
            AlertRequest::Acknowledge { check: "a".to_owned(), author: "anna".to_owned(), comment: String::new() },
            AlertRequest::Note { check: "a".to_owned(), text: "warmed".to_owned() },
            AlertRequest::Retry { incident: incident.id.clone() },
            AlertRequest::TriggerAgain { incident: "another".to_owned(), after: 1 },
            AlertRequest::ExpireSilence { id: "none".to_owned(), at: now.wall },
        ];
        let elsewhere = Moment { boot: now.boot + 7_000_000_000, ..now };
        let applied = requests.map(|request| {
            let decoded = AlertRequest::decode(&request.encode(now), elsewhere);
            decoded.is_some_and(|decoded| decoded.apply(&mut subjects, &mut control, elsewhere).is_some())
        });
        assert_eq!(applied, [false, true, false, true, true, true, false, false]);
        let open = subjects.get("a").and_then(|subject| subject.open.as_ref());
        assert_eq!(open.map(Incident::actions), Some(vec!["warmed".to_owned()]));
        assert_eq!(open.and_then(|open| open.acknowledged.as_ref()).map(|one| one.author.as_str()), Some("anna"));
        assert_eq!(AlertRequest::decode(b"", now), None);
    }
}
