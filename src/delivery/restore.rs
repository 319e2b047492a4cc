//! Takes incidents back that a table has kept over a restart of the machine: none is forgotten, none fires twice.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use super::alerts::{AlertError, Alerts};
use super::requests::AlertRequest;
use crate::model::clock::Moment;
use crate::model::{NoticeKind, Severity, SpecError, Status, valid_name};
use crate::policy::incident::{Acknowledgement, Incident, Since, Subject, TimelineEntry, TimelineKind, truncated};
use crate::policy::outbox::{Arrival, ChannelQueue, Delivery, DeliveryState};

/// As much of a kept incident is taken back.
const MAX_BLOCKED: usize = 50;
const MAX_ENTRIES: usize = 20;
const MAX_DELIVERIES: usize = 100;
/// Numbers of notices that may be taken: by what was sent after it was kept, or is sent by a scope that still has it. A
/// receiver ignores a notice whose id it has had.
const SKIPPED_NUMBERS: u32 = 1_000;
/// Bytes of an id, of a text, and of a name.
const MAX_ID: usize = 100;
const MAX_TEXT: usize = 500;
const MAX_NAME: usize = 100;
/// No time of a table is later: the year 5138.
const LATEST: Duration = Duration::from_secs(100_000_000_000);

/// An incident as [`super::shown`] shows it; what is missing is as in a new one.
#[derive(Deserialize)]
pub struct KeptIncident {
    id: String,
    check: String,
    since: f64,
    #[serde(default)]
    fired_at: Option<f64>,
    #[serde(default)]
    resolved_at: Option<f64>,
    #[serde(default)]
    severity: Option<Severity>,
    #[serde(default)]
    status: Option<Status>,
    #[serde(default)]
    message: String,
    #[serde(default)]
    ended: String,
    #[serde(default)]
    blocked: Vec<String>,
    #[serde(default)]
    acknowledged_by: Option<String>,
    #[serde(default)]
    acknowledged_at: Option<f64>,
    #[serde(default)]
    comment: Option<String>,
    #[serde(default)]
    revision: u64,
    #[serde(default)]
    timeline: Vec<KeptEntry>,
    #[serde(default)]
    deliveries: Vec<KeptDelivery>,
}

#[derive(Deserialize)]
struct KeptEntry {
    at: f64,
    kind: TimelineKind,
    #[serde(default)]
    text: String,
}

#[derive(Deserialize)]
struct KeptDelivery {
    channel: String,
    #[serde(default)]
    number: Option<u32>,
    kind: NoticeKind,
    state: DeliveryState,
    #[serde(default)]
    attempts: u32,
    #[serde(default)]
    last_attempt_at: Option<f64>,
    #[serde(default)]
    last_answer: String,
    #[serde(default)]
    reference: Option<String>,
}

impl Alerts {
    /// Adds those of them that are not known here: open ones, and others of which something has still to be sent. With
    /// `retry` what was given up of them is tried again.
    pub fn restore(&self, kept: Vec<KeptIncident>, retry: bool) -> Result<(), AlertError> {
        for incident in &kept {
            valid_name(&incident.check)?;
            if incident.id.is_empty() || incident.id.len() > MAX_ID {
                return Err(SpecError(format!("id must be a str of 1 to {MAX_ID} characters")).into());
            }
        }
        let now = Moment::now();
        for incident in kept.into_iter().map(|kept| Box::new(kept.incident(now))) {
            if incident.resolved_at.is_none() || incident.has_pending() || retry {
                self.perform(&AlertRequest::Restore { incident, retry })?;
            }
        }
        Ok(())
    }
}

fn time(seconds: f64) -> SystemTime {
    let since = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    UNIX_EPOCH.checked_add(since.min(LATEST)).unwrap_or(UNIX_EPOCH)
}

/// A time of the wall's as one of the time since boot, which may have been before that.
fn since(seconds: f64, now: Moment) -> Since {
    let wall = time(seconds);
    let ago = now.wall.duration_since(wall).unwrap_or_default();
    let boot = now.boot.saturating_sub(u64::try_from(ago.as_nanos()).unwrap_or(u64::MAX));
    Since { boot, wall }
}

impl KeptIncident {
    fn incident(self, now: Moment) -> Incident {
        let mut incident = Incident::new(&self.check, since(self.since, now), now);
        incident.id = self.id;
        incident.fired_at = time(self.fired_at.unwrap_or(self.since));
        incident.resolved_at = self.resolved_at.map(|at| since(at, now));
        incident.severity = self.severity.unwrap_or(incident.severity);
        incident.describe(self.status.unwrap_or(Status::Error), &self.message);
        incident.ended = truncated(&self.ended, MAX_TEXT);
        let blocked = self.blocked.iter().take(MAX_BLOCKED);
        incident.blocked = blocked.map(|name| truncated(name, MAX_NAME)).collect();
        let at = self.acknowledged_at.map_or(now.wall, time);
        let comment = truncated(&self.comment.unwrap_or_default(), MAX_TEXT);
        incident.acknowledged = self.acknowledged_by.map(|author| {
            let author = truncated(&author, MAX_NAME);
            Acknowledgement { author, comment, at }
        });
        incident.timeline = self
            .timeline
            .into_iter()
            .take(MAX_ENTRIES)
            .map(|entry| TimelineEntry { at: time(entry.at), kind: entry.kind, text: truncated(&entry.text, MAX_TEXT) })
            .collect();
        (incident.revision, incident.confirmed) = (self.revision.max(1), self.revision);
        let mut last = 0;
        let named = self.deliveries.into_iter().filter(|kept| kept.channel.len() <= MAX_NAME);
        for (index, kept) in named.take(MAX_DELIVERIES).enumerate() {
            let position = incident.channels.iter().position(|queue| queue.channel == kept.channel);
            let position = position.unwrap_or_else(|| {
                incident.channels.push(ChannelQueue::new(&kept.channel));
                incident.channels.len() - 1
            });
            let number = kept.number.unwrap_or_else(|| u32::try_from(index + 1).unwrap_or(u32::MAX));
            last = number.max(last);
            if let Some(queue) = incident.channels.get_mut(position) {
                kept.add_to(queue, number, now);
            }
        }
        incident.continue_after(last.saturating_add(SKIPPED_NUMBERS));
        incident.continue_notified();
        incident
    }
}

impl KeptDelivery {
    fn add_to(self, queue: &mut ChannelQueue, number: u32, now: Moment) {
        // One that was under way when the machine stopped may have arrived.
        let may_have_arrived = self.attempts > 0 && self.state == DeliveryState::Pending;
        let arrival = match self.state {
            DeliveryState::Delivered => Arrival::Yes,
            _ if may_have_arrived => Arrival::Maybe,
            _ => Arrival::No,
        };
        queue.arrival = queue.arrival.max(arrival);
        let reference = self.reference.filter(|reference| reference.len() <= MAX_TEXT);
        queue.reference = reference.or(queue.reference.take());
        let last_attempt_at = self.last_attempt_at.map(time);
        queue.deliveries.push(Delivery {
            state: self.state,
            attempts: self.attempts,
            may_have_arrived,
            last_attempt_at,
            last_answer: truncated(&self.last_answer, MAX_TEXT),
            // It is given up a day from now.
            first_attempt: now.boot,
            ..Delivery::new(number, self.kind)
        });
    }
}

/// Kept here, since only a restart makes one of what was not counted.
impl Subject {
    /// Adds an incident from elsewhere; returns whether anything has changed.
    pub(super) fn restore(&mut self, incident: Incident, now: Moment) -> bool {
        if self.incidents().any(|known| known.id == incident.id) {
            return false;
        }
        match &self.open {
            _ if incident.resolved_at.is_some() => {
                let mut incident = incident;
                if self.incidents().any(|known| known.fired_at > incident.fired_at) {
                    // Its resolve would end the one that has followed, which has the same key.
                    incident.drop_pending();
                }
                self.add_closed(incident);
            }
            None => self.continue_with(incident, now),
            Some(open) => {
                // It has fired anew before: that one continues, under the same key, and this one ends without a word.
                let mut incident = incident;
                incident.end(&format!("Continued as incident {}", open.id), now);
                incident.channels.clear();
                self.add_closed(incident);
            }
        }
        true
    }

    /// Adds one that is over where it belongs: the oldest is the first.
    fn add_closed(&mut self, incident: Incident) {
        let position = self.closed.partition_point(|known| known.fired_at <= incident.fired_at);
        self.closed.insert(position, incident);
    }
}
