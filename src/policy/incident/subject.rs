//! What is known of one subject of alerts, and its incidents: data, bounded in size.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::notice::StoredNotice;
use super::rules::CountedRuns;
use super::since::Since;
use crate::model::clock::{self, Moment};
use crate::model::{Instances, NoticeKind, Severity, Status};
use crate::policy::flapping::RecentFailures;
use crate::policy::outbox::{Arrival, ChannelQueue};

/// Incidents that are over, of one subject.
const MAX_CLOSED: usize = 5;
/// For how long one that is over is kept for tables that have not confirmed it.
const KEEP_CLOSED: Duration = Duration::from_secs(24 * 3_600);
/// The same of one of which something has still to be sent: longer than that is tried.
const KEEP_PENDING: Duration = Duration::from_secs(8 * 24 * 3_600);
/// After so long without an attempt no process has a channel: a receiver can demand a pause of an hour.
const ORPHANED_AFTER: Duration = Duration::from_secs(2 * 3_600);
const MAX_TIMELINE: usize = 20;
const MAX_NOTICES: usize = 8;
/// Bytes of a text.
const MAX_MESSAGE: usize = 500;
const MAX_TEXT: usize = 200;
/// Bytes of a text where there is no room.
const SHORT_TEXT: usize = 100;

/// One subject of alerts: what was counted of it, and its incidents.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    pub(super) counted: Vec<CountedRuns>,
    pub(super) recent: RecentFailures,
    /// Bad and good results in a row.
    pub(super) failures: u32,
    pub(super) successes: u32,
    pub(super) bad_since: Option<Since>,
    /// When the latest run that counted ended, or a level was last seen to be bad, in nanoseconds since boot.
    #[serde(with = "clock::nanos")]
    pub(super) last: u64,
    pub open: Option<Incident>,
    /// The oldest first.
    pub closed: Vec<Incident>,
}

/// Who has acknowledged an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Acknowledgement {
    pub author: String,
    pub comment: String,
    pub at: SystemTime,
}

/// What happened to an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimelineKind {
    Triggered,
    /// It became more severe.
    Raised,
    Acknowledged,
    Silenced,
    Unsilenced,
    Flapping,
    /// It is no longer flapping.
    Settled,
    Reminded,
    Resolved,
    /// A notice was delivered, or refused.
    Delivery,
    /// What an action has done about it.
    Action,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimelineEntry {
    pub at: SystemTime,
    pub kind: TimelineKind,
    pub text: String,
}

/// Where an incident stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IncidentState {
    Firing,
    Acknowledged,
    Silenced,
    Flapping,
    Resolving,
    Resolved,
}

impl IncidentState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Acknowledged => "acknowledged",
            Self::Silenced => "silenced",
            Self::Flapping => "flapping",
            Self::Resolving => "resolving",
            Self::Resolved => "resolved",
        }
    }
}

/// One incident of a subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    pub id: String,
    pub check: String,
    pub since: SystemTime,
    pub fired_at: SystemTime,
    pub resolved_at: Option<Since>,
    pub status: Status,
    /// The highest since it fired.
    pub severity: Severity,
    /// The last error.
    pub message: String,
    /// How it ended.
    pub ended: String,
    pub blocked: Vec<String>,
    pub instances: Instances,
    pub acknowledged: Option<Acknowledgement>,
    pub is_flapping: bool,
    /// The silence or the maintenance in which it is, in words.
    pub suppressed: Option<String>,
    /// Whether the last result that counted was good.
    pub is_resolving: bool,
    /// The severity of which channels were sent a trigger.
    pub(super) notified: Option<Severity>,
    /// When the last notice was due, in nanoseconds since boot.
    #[serde(with = "clock::nanos")]
    pub(super) last_notice: u64,
    /// When a process that has its check last judged it, in nanoseconds since boot.
    #[serde(with = "clock::nanos")]
    pub(super) judged_at: u64,
    pub timeline: Vec<TimelineEntry>,
    pub(super) next_notice: u32,
    pub notices: Vec<StoredNotice>,
    pub channels: Vec<ChannelQueue>,
    /// Grows with each change; and which one the tables have.
    pub revision: u64,
    pub confirmed: u64,
}

impl Incident {
    /// One of a subject that fires now.
    pub fn new(check: &str, since: Since, now: Moment) -> Self {
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            check: check.to_owned(),
            since: since.wall,
            fired_at: now.wall,
            resolved_at: None,
            status: Status::Error,
            severity: Severity::Warning,
            message: String::new(),
            ended: String::new(),
            blocked: Vec::new(),
            instances: Instances::default(),
            acknowledged: None,
            is_flapping: false,
            suppressed: None,
            is_resolving: false,
            notified: None,
            last_notice: now.boot,
            judged_at: now.boot,
            timeline: Vec::new(),
            next_notice: 1,
            notices: Vec::new(),
            channels: Vec::new(),
            revision: 1,
            confirmed: 0,
        }
    }

    pub fn state(&self) -> IncidentState {
        match () {
            () if self.resolved_at.is_some() => IncidentState::Resolved,
            () if self.acknowledged.is_some() => IncidentState::Acknowledged,
            () if self.suppressed.is_some() => IncidentState::Silenced,
            () if self.is_flapping => IncidentState::Flapping,
            () if self.is_resolving => IncidentState::Resolving,
            () => IncidentState::Firing,
        }
    }

    /// How many notices there have been.
    pub fn notice_count(&self) -> u32 {
        self.next_notice - 1
    }

    /// What actions have done about it, the oldest first.
    pub fn actions(&self) -> Vec<String> {
        let actions = self.timeline.iter().filter(|entry| entry.kind == TimelineKind::Action);
        actions.map(|entry| entry.text.clone()).collect()
    }

    /// Numbers further notices after that one.
    pub fn continue_after(&mut self, number: u32) {
        self.next_notice = self.next_notice.max(number.saturating_add(1));
    }

    /// Takes for notified what its channels were sent a trigger of.
    pub fn continue_notified(&mut self) {
        let is_sent = self.channels.iter().any(|queue| !queue.deliveries.is_empty());
        self.notified = (is_sent || self.acknowledged.is_some()).then_some(self.severity);
    }

    /// Takes what a result says.
    pub fn describe(&mut self, status: Status, message: &str) {
        self.status = status;
        self.message = truncated(message, MAX_MESSAGE);
    }

    /// Ends it, and says how.
    pub fn end(&mut self, how: &str, now: Moment) {
        self.resolved_at = Some(Since { boot: now.boot, wall: now.wall });
        self.ended = truncated(how, MAX_MESSAGE);
        (self.is_flapping, self.is_resolving) = (false, false);
        self.note(TimelineKind::Resolved, how, now.wall);
    }

    /// Notes what happened. The first entry stays, of the others the latest.
    pub fn note(&mut self, kind: TimelineKind, text: &str, at: SystemTime) {
        if self.timeline.len() >= MAX_TIMELINE {
            self.timeline.remove(1);
        }
        self.timeline.push(TimelineEntry { at, kind, text: truncated(text, MAX_TEXT) });
        self.revision += 1;
    }

    /// Adds a notice for the channels that have had one; a trigger also for all that are routed to.
    pub fn send(&mut self, kind: NoticeKind, routed: &BTreeSet<String>, at: SystemTime) {
        let number = self.next_notice;
        self.next_notice += 1;
        if kind == NoticeKind::Triggered {
            for channel in routed {
                if !self.channels.iter().any(|queue| queue.channel == *channel) {
                    self.channels.push(ChannelQueue::new(channel));
                }
            }
        }
        self.notices.push(self.notice(number, kind, at));
        for queue in &mut self.channels {
            queue.push(number, kind);
        }
        self.revision += 1;
        self.forget_notices();
    }

    /// Has everything sent now, and what was given up as things are now.
    pub fn retry(&mut self, at: SystemTime) {
        let (is_resolved, is_acknowledged) = (self.resolved_at.is_some(), self.acknowledged.is_some());
        self.revision += 1;
        let mut wanted = Vec::new();
        for queue in &mut self.channels {
            queue.retry(is_resolved);
            let kinds = if is_resolved { Vec::new() } else { queue.replace_given_up(is_acknowledged) };
            wanted.push(kinds);
        }
        for kind in [NoticeKind::Triggered, NoticeKind::Reminded, NoticeKind::Acknowledged] {
            if !wanted.iter().any(|kinds| kinds.contains(&kind)) {
                continue;
            }
            let number = self.next_notice;
            self.next_notice += 1;
            self.notices.push(self.notice(number, kind, at));
            for (queue, _) in self.channels.iter_mut().zip(&wanted).filter(|(_, kinds)| kinds.contains(&kind)) {
                queue.push(number, kind);
            }
        }
        self.forget_notices();
    }

    /// What there is to say of it now.
    pub fn notice(&self, number: u32, kind: NoticeKind, at: SystemTime) -> StoredNotice {
        let is_over = kind == NoticeKind::Resolved;
        let message = if is_over { &self.ended } else { &self.message };
        let mut instances = self.instances.clone();
        if is_over {
            instances.failing = 0;
        }
        StoredNotice {
            number,
            kind,
            at,
            status: self.status,
            severity: self.severity,
            message: message.clone(),
            blocked: if is_over { Vec::new() } else { self.blocked.clone() },
            instances,
            is_flapping: self.is_flapping,
            acknowledged_by: self.acknowledged.as_ref().map(|acknowledged| acknowledged.author.clone()),
        }
    }

    /// Forgets the notices that no channel needs any more.
    pub fn forget_notices(&mut self) {
        let (channels, notices) = (&self.channels, &mut self.notices);
        notices.retain(|notice| channels.iter().any(|queue| queue.needs(notice.number)));
        if notices.len() > MAX_NOTICES {
            notices.remove(0);
        }
    }

    /// Forgets all that is needed neither to judge it nor to send what is pending: there is no room.
    pub fn keep_essentials(&mut self) {
        for text in [&mut self.message, &mut self.ended] {
            *text = truncated(text, SHORT_TEXT);
        }
        if let Some(acknowledged) = &mut self.acknowledged {
            acknowledged.comment.clear();
        }
        self.blocked.clear();
        self.timeline.clear();
        // What they say is made anew of the incident as it is then.
        self.notices.clear();
        self.channels.iter_mut().for_each(ChannelQueue::keep_essentials);
    }

    /// Sends nothing more of it.
    pub fn drop_pending(&mut self) {
        self.channels.iter_mut().for_each(ChannelQueue::drop_pending);
        self.revision += 1;
    }

    /// Gives up what waits for channels that no process has; returns whether there are any.
    fn give_up_untried(&mut self, report: &mut dyn FnMut(&Self, &str)) -> bool {
        let orphaned =
            self.channels.iter_mut().filter_map(|queue| queue.give_up_untried().then(|| queue.channel.clone()));
        let orphaned: Vec<String> = orphaned.collect();
        for channel in &orphaned {
            self.revision += 1;
            report(self, channel);
        }
        !orphaned.is_empty()
    }

    /// Adds channels in the place of those that no process has any more: whether their receivers know of it is not known.
    pub fn replace_channels(&mut self, routed: &BTreeSet<String>, is_known: impl Fn(&str) -> bool) {
        let is_orphaned = |queue: &ChannelQueue| queue.arrival != Arrival::No && !is_known(&queue.channel);
        if !self.channels.iter().any(is_orphaned) {
            return;
        }
        for channel in routed {
            if !self.channels.iter().any(|queue| queue.channel == *channel) {
                let mut queue = ChannelQueue::new(channel);
                queue.arrival = Arrival::Maybe;
                self.channels.push(queue);
            }
        }
    }

    /// Whether something has still to be sent.
    pub fn has_pending(&self) -> bool {
        self.channels.iter().any(|queue| queue.pending().is_some())
    }
}

impl Subject {
    /// All incidents, the oldest first.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.closed.iter().chain(&self.open)
    }

    pub fn incidents_mut(&mut self) -> impl Iterator<Item = &mut Incident> {
        self.closed.iter_mut().chain(&mut self.open)
    }

    /// Whether an incident is open, or about to open: it has failed for less than `within`.
    pub fn has_incident_within(&self, within: Duration, now: Moment) -> bool {
        self.open.is_some() || self.bad_since.is_some_and(|since| now.since(since.boot) < within)
    }

    /// Continues with an incident from elsewhere that is open: as one that has failed until now.
    pub fn continue_with(&mut self, incident: Incident, now: Moment) {
        self.last = self.last.max(now.boot);
        self.failures = self.failures.max(1);
        self.successes = 0;
        self.open = Some(incident);
    }

    /// Whether there is nothing to remember of it: what was counted of a check that runs no more, too, is forgotten.
    pub fn is_void(&self, now: Moment) -> bool {
        let is_quiet = self.bad_since.is_none() && self.recent.is_clean();
        self.open.is_none() && self.closed.is_empty() && (is_quiet || now.since(self.last) >= KEEP_CLOSED)
    }

    /// Adds an incident that is over, and drops those of which enough is known: too many, or too old. What has still to
    /// be sent outlives what has not.
    pub fn close(&mut self, incident: Incident) {
        self.closed.push(incident);
        while self.closed.len() > MAX_CLOSED {
            let sent = self.closed.iter().position(|incident| !incident.has_pending());
            self.closed.remove(sent.unwrap_or(0));
        }
    }

    /// Drops what the tables have, or have had time to get, and gives up what no process has the channel for: `report` is
    /// called with each of these channels. Returns whether anything has changed.
    pub fn prune(&mut self, now: Moment, report: &mut dyn FnMut(&Incident, &str)) -> bool {
        let (before, mut is_changed) = (self.closed.len(), false);
        self.closed.retain_mut(|incident| {
            let age = incident.resolved_at.map_or(Duration::ZERO, |resolved| now.since(resolved.boot));
            if age >= ORPHANED_AFTER {
                is_changed |= incident.give_up_untried(report);
            }
            let is_new = incident.confirmed < incident.revision;
            is_new && age < KEEP_CLOSED || incident.has_pending() && age < KEEP_PENDING
        });
        is_changed || self.closed.len() != before
    }
}

/// A text of at most so many bytes.
pub fn truncated(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit.saturating_sub('…'.len_utf8())).rev().find(|end| text.is_char_boundary(*end));
    format!("{}…", text.get(..end.unwrap_or(0)).unwrap_or_default())
}
