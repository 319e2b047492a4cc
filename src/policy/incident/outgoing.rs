//! What a subject sends: in order for each channel, also from one incident to the next, which have the same key.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::notice::{StoredNotice, dedup_key};
use super::subject::{Acknowledgement, Incident, Subject, TimelineKind};
use crate::model::clock::Moment;
use crate::model::{CollectOrdered, Notice, NoticeKind, Owner};
use crate::policy::outbox::{ChannelQueue, DeliveryReport, DeliveryResult};

/// A notice that a process has acquired the right to send.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimedNotice {
    pub incident: Incident,
    pub notice: StoredNotice,
    pub attempt: u32,
    /// What the receiver calls the incident.
    pub reference: Option<String>,
}

impl ClaimedNotice {
    /// As it is sent for `application`.
    pub fn to_send(&self, application: &str, runbook: Option<&str>, url: Option<&str>) -> Notice {
        let Self { incident, notice, .. } = self;
        Notice {
            id: format!("{}-{}", incident.id, notice.number),
            kind: notice.kind,
            at: notice.at,
            dedup_key: dedup_key(application, &incident.check),
            incident_id: incident.id.clone(),
            application: application.to_owned(),
            check: incident.check.clone(),
            status: notice.status,
            severity: notice.severity,
            since: incident.since,
            message: notice.message.clone(),
            blocked: notice.blocked.clone(),
            actions: incident.actions(),
            instances: notice.instances.clone(),
            is_flapping: notice.is_flapping,
            is_test: false,
            acknowledged_by: notice.acknowledged_by.clone(),
            runbook: runbook.map(str::to_owned),
            url: url.map(str::to_owned),
        }
    }
}

/// What is pending of an incident that is tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct Retried {
    /// How many notices.
    pub pending: usize,
    /// On which channels.
    pub channels: Vec<String>,
}

/// Which claim an answer belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    pub incident: &'a str,
    pub channel: &'a str,
    pub owner: Owner,
}

impl Subject {
    /// The incident whose notice comes next on a channel: an earlier one's resolve goes before a later one's trigger.
    fn next_on(&mut self, channel: &str) -> Option<&mut Incident> {
        self.incidents_mut().find(|incident| {
            incident.channels.iter().any(|queue| queue.channel == channel && queue.pending().is_some())
        })
    }

    /// The channels on which something is pending.
    pub fn pending_channels(&self) -> Vec<&str> {
        let queues = self.incidents().flat_map(|incident| &incident.channels);
        let pending = queues.filter(|queue| queue.pending().is_some());
        let channels: BTreeSet<_> = pending.map(|queue| queue.channel.as_str()).collect_ordered();
        channels.into_iter().collect()
    }

    /// Whether a channel may have something to send now, or a lease to take over.
    pub fn is_due(&self, channel: &str, now: Moment, is_alive: impl Fn(&Owner) -> bool) -> bool {
        let mut queues = self.incidents().flat_map(|incident| &incident.channels);
        let next = queues.find(|queue| queue.channel == channel && queue.pending().is_some());
        next.is_some_and(|queue| queue.is_due(now) || queue.is_leased() && queue.clone().void_lease(now, is_alive))
    }

    /// Acquires the right to send the next notice of a channel for so long, if it is due.
    pub fn claim(
        &mut self,
        channel: &str,
        owner: Owner,
        now: Moment,
        lease: Duration,
        is_alive: impl Fn(&Owner) -> bool,
    ) -> Option<ClaimedNotice> {
        let incident = self.next_on(channel)?;
        let queue = incident.channels.iter_mut().find(|queue| queue.channel == channel)?;
        if queue.void_lease(now, is_alive) {
            incident.revision += 1;
            return None;
        }
        let (number, attempt) = queue.claim(owner, now, lease)?;
        let (kind, reference) = (queue.pending().map(|delivery| delivery.kind)?, queue.reference.clone());
        incident.revision += 1;
        let kept = incident.notices.iter().find(|notice| notice.number == number).cloned();
        let notice = kept.unwrap_or_else(|| incident.notice(number, kind, now.wall));
        // What is a reminder for others may be the trigger of this channel.
        let notice = StoredNotice { kind, ..notice };
        Some(ClaimedNotice { incident: incident.clone(), notice, attempt, reference })
    }

    /// Gives a claim back without an attempt.
    pub fn give_back(&mut self, claimed: Outgoing<'_>) -> bool {
        let queues = self.incidents_mut().filter(|incident| incident.id == claimed.incident);
        let mut queues = queues.flat_map(|incident| &mut incident.channels);
        queues.any(|queue| queue.channel == claimed.channel && queue.give_back(claimed.owner))
    }

    /// Records the result of an attempt, and returns what an operator should know of it; `None` where another process has
    /// taken it over.
    pub fn complete(
        &mut self,
        claimed: Outgoing<'_>,
        attempt: u32,
        sent: DeliveryResult,
        now: Moment,
    ) -> Option<Option<DeliveryReport>> {
        let incident = self.incidents_mut().find(|incident| incident.id == claimed.incident)?;
        let queue = incident.channels.iter_mut().find(|queue| queue.channel == claimed.channel)?;
        let kind = queue.pending()?.kind;
        let text = match &sent {
            DeliveryResult::Delivered { answer, .. } => {
                Some(format!("{kind} delivered to {}: {answer}", claimed.channel))
            }
            DeliveryResult::Refused { answer } => Some(format!("{kind} refused by {}: {answer}", claimed.channel)),
            DeliveryResult::Failed { .. } => None,
        };
        let report = queue.complete(claimed.owner, attempt, sent, now)?;
        incident.revision += 1;
        if let Some(text) = text {
            incident.note(TimelineKind::Delivery, &text, now.wall);
        }
        incident.forget_notices();
        Some(report)
    }

    /// Has what is pending tried within `delay`, since there is something new.
    pub fn hurry(&mut self, now: Moment, delay: Duration) {
        let queues = self.incidents_mut().flat_map(|incident| &mut incident.channels);
        queues.filter(|queue| queue.pending().is_some()).for_each(|queue| queue.hurry(now, delay));
    }

    /// Has everything of an incident tried again that was given up, and returns what is pending then; `None` if there is
    /// no such incident. Of one that another has followed nothing is: its resolve would end that one.
    pub fn retry(&mut self, id: &str, at: SystemTime) -> Option<Retried> {
        let is_last = self.incidents().last().is_some_and(|last| last.id == id);
        let incident = self.incidents_mut().find(|incident| incident.id == id)?;
        if is_last {
            incident.retry(at);
        }
        let waiting = incident.channels.iter().filter(|queue| queue.pending().is_some());
        let channels = waiting.clone().map(|queue| queue.channel.clone()).collect();
        Some(Retried { pending: waiting.map(ChannelQueue::pending_count).sum(), channels })
    }

    /// Has another trigger sent of an open incident with the next step, if it still fails; false if there is none.
    /// `after`: the number of the last notice of it that another scope has sent.
    pub fn trigger_again(&mut self, id: &str, after: u32) -> bool {
        let Some(open) = self.open.as_mut().filter(|open| open.id == id) else { return false };
        open.continue_after(after);
        open.notified = None;
        true
    }

    /// Acknowledges what is open; false if there is nothing.
    pub fn acknowledge(
        &mut self,
        author: &str,
        comment: &str,
        now: Moment,
        notify: &mut dyn FnMut(&mut Incident, NoticeKind),
    ) -> bool {
        let Some(incident) = self.open.as_mut() else { return false };
        let (author, comment) = (author.to_owned(), comment.to_owned());
        let text = if comment.is_empty() { author.clone() } else { format!("{author}: {comment}") };
        incident.acknowledged = Some(Acknowledgement { author, comment, at: now.wall });
        // Who knows of it needs no trigger when a silence ends.
        incident.notified = incident.notified.max(Some(incident.severity));
        incident.note(TimelineKind::Acknowledged, &text, now.wall);
        notify(incident, NoticeKind::Acknowledged);
        true
    }
}
