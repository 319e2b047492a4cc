//! The outbox of one incident for one channel: which notice goes next, how often it was tried, and when it is tried again.
//!
//! ```text
//!   pending ──claim──► leased ──Delivered──► delivered
//!      ▲                 ├─────Refused────► refused: shown, and not tried again
//!      │                 ├─────Failed─────► pending again after a while; failed for good after a day, or a week
//!      └─────────────────┴─ its process died or was stopped: may have arrived, so it is repeated
//! ```
//!
//! Guarantees: notices go in order, one at a time; each that is due goes at least once. A trigger that was never sent
//! before its incident was resolved is dropped together with the resolve; one that may have arrived is repeated before it.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::model::clock::{self, Moment};
use crate::model::{NoticeKind, Owner};

/// Deliveries of one channel that are kept for an incident.
const MAX_DELIVERIES: usize = 8;
/// For how long a notice is tried: longer than a weekend where it says that something fails, or no longer does.
const GIVE_UP_AFTER: Duration = Duration::from_secs(24 * 3_600);
const GIVE_UP_CHANGE_AFTER: Duration = Duration::from_secs(7 * 24 * 3_600);
/// After so many failures in a row an operator should know.
const REPORTED_FAILURES: u32 = 3;
/// How long after the death of a sender its notice is repeated: what it sent is likely to have been read by then.
const REPEAT_AFTER: Duration = Duration::from_secs(1);
/// What is shown of deliveries over a channel that is no longer among the settings.
pub const NO_SUCH_CHANNEL: &str = "No process has this channel any more";
const INTERRUPTED: &str = "Interrupted: the process that sent it has ended";

/// How far one notice got on one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    Pending,
    Delivered,
    /// The receiver will never take it.
    Refused,
    /// It was tried for too long.
    Failed,
    /// There was no need for it any more.
    Dropped,
    /// A newer one went in its place.
    Replaced,
}

/// One notice on its way through one channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Of the notice, among those of its incident.
    pub number: u32,
    pub kind: NoticeKind,
    pub state: DeliveryState,
    pub attempts: u32,
    /// Whether the receiver may have taken it without our knowing.
    pub may_have_arrived: bool,
    /// In nanoseconds since boot.
    #[serde(with = "clock::nanos")]
    pub first_attempt: u64,
    pub last_attempt_at: Option<SystemTime>,
    pub last_answer: String,
}

impl Delivery {
    pub fn new(number: u32, kind: NoticeKind) -> Self {
        let (attempts, may_have_arrived, first_attempt, last_attempt_at) = Default::default();
        let (state, last_answer) = (DeliveryState::Pending, String::new());
        Self { number, kind, state, attempts, may_have_arrived, first_attempt, last_attempt_at, last_answer }
    }

    pub fn is_pending(&self) -> bool {
        self.state == DeliveryState::Pending
    }

    fn give_up_after(&self) -> Duration {
        match self.kind {
            NoticeKind::Triggered | NoticeKind::Resolved => GIVE_UP_CHANGE_AFTER,
            NoticeKind::Acknowledged | NoticeKind::Reminded => GIVE_UP_AFTER,
        }
    }
}

/// Whether the receiver knows of the incident.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Arrival {
    #[default]
    No,
    Maybe,
    Yes,
}

/// The right to send the next notice, while one process does so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SendLease {
    owner: Owner,
    /// In nanoseconds since boot.
    #[serde(with = "clock::nanos")]
    until: u64,
}

/// What is sent about one incident through one channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelQueue {
    pub channel: String,
    pub deliveries: Vec<Delivery>,
    /// Before that nothing is sent, in nanoseconds since boot.
    #[serde(with = "clock::nanos")]
    pub not_before: u64,
    lease: Option<SendLease>,
    pub arrival: Arrival,
    /// What the receiver calls the incident, such as the message to update.
    pub reference: Option<String>,
    /// Whether it was reported that nothing gets through.
    is_reported: bool,
}

/// The result of an attempt, as the outbox needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryResult {
    Delivered { answer: String, reference: Option<String> },
    Refused { answer: String },
    Failed { answer: String, may_have_arrived: bool, again_after: Duration },
}

/// What an operator should know of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryReport {
    Refused,
    /// It has failed several times, and is tried again.
    Failing,
    GivenUp,
    /// It was reported before, and is delivered now.
    Recovered,
}

impl ChannelQueue {
    pub fn new(channel: &str) -> Self {
        let (deliveries, not_before, lease, arrival, reference, is_reported) = Default::default();
        Self { channel: channel.to_owned(), deliveries, not_before, lease, arrival, reference, is_reported }
    }

    /// The delivery that comes next, or is under way.
    pub fn pending(&self) -> Option<&Delivery> {
        self.deliveries.iter().find(|delivery| delivery.is_pending())
    }

    /// Whether a notice has still to be kept for it.
    pub fn needs(&self, number: u32) -> bool {
        let is_open = |state| matches!(state, DeliveryState::Pending | DeliveryState::Refused | DeliveryState::Failed);
        self.deliveries.iter().any(|delivery| delivery.number == number && is_open(delivery.state))
    }

    pub fn is_leased(&self) -> bool {
        self.lease.is_some()
    }

    /// Adds a notice, unless the receiver has no use for it. A reminder of what it does not know is another trigger.
    pub fn push(&mut self, number: u32, kind: NoticeKind) {
        use DeliveryState::Replaced;
        use NoticeKind::{Acknowledged, Reminded, Resolved, Triggered};
        let has_trigger = self.deliveries.iter().any(|delivery| delivery.is_pending() && delivery.kind == Triggered);
        let is_unknown = self.arrival != Arrival::Yes && !has_trigger;
        let kind = if kind == Reminded && is_unknown { Triggered } else { kind };
        match kind {
            // The trigger, once it gets through, says the same.
            Reminded if has_trigger => return,
            Reminded => self.end(Replaced, |delivery| delivery.kind == Reminded),
            Triggered => self.end(Replaced, |delivery| {
                delivery.kind == Reminded || delivery.kind == Triggered && !delivery.may_have_arrived
            }),
            Acknowledged if self.arrival == Arrival::No && !has_trigger && self.lease.is_none() => return,
            Acknowledged => self.end(Replaced, |delivery| matches!(delivery.kind, Acknowledged | Reminded)),
            Resolved => {}
        }
        self.deliveries.push(Delivery::new(number, kind));
        self.drop_needless();
        if self.deliveries.len() > MAX_DELIVERIES
            && let Some(ended) = self.deliveries.iter().position(|delivery| !delivery.is_pending())
        {
            self.deliveries.remove(ended);
        }
    }

    /// Ends those that are pending, not under way, and meant.
    fn end(&mut self, state: DeliveryState, is_meant: impl Fn(&Delivery) -> bool) {
        let under_way = usize::from(self.lease.is_some());
        let pending = self.deliveries.iter_mut().filter(|delivery| delivery.is_pending()).skip(under_way);
        for delivery in pending.filter(|delivery| is_meant(delivery)) {
            delivery.state = state;
        }
    }

    /// Drops what has no meaning any more once the incident is resolved: all but a trigger that may have arrived, and
    /// the resolve, too, where nothing has arrived.
    fn drop_needless(&mut self) {
        use NoticeKind::{Resolved, Triggered};
        if !self.deliveries.iter().any(|delivery| delivery.is_pending() && delivery.kind == Resolved) {
            return;
        }
        self.end(DeliveryState::Dropped, |delivery| {
            delivery.kind != Resolved && !(delivery.kind == Triggered && delivery.may_have_arrived)
        });
        if self.arrival == Arrival::No && self.lease.is_none() {
            self.end(DeliveryState::Dropped, |_| true);
        }
    }

    /// Takes the lease of a process that has died, or had it for too long: what it sent may have arrived. Returns whether
    /// anything has changed.
    pub fn void_lease(&mut self, now: Moment, is_alive: impl Fn(&Owner) -> bool) -> bool {
        let is_void = |lease: &mut SendLease| lease.until <= now.boot || !is_alive(&lease.owner);
        if self.lease.take_if(is_void).is_none() {
            return false;
        }
        self.arrival = self.arrival.max(Arrival::Maybe);
        if let Some(delivery) = self.deliveries.iter_mut().find(|delivery| delivery.is_pending()) {
            delivery.may_have_arrived = true;
            INTERRUPTED.clone_into(&mut delivery.last_answer);
        }
        self.not_before = now.after(REPEAT_AFTER);
        self.drop_needless();
        true
    }

    /// Whether its next notice can be sent now.
    pub fn is_due(&self, now: Moment) -> bool {
        self.lease.is_none() && self.not_before <= now.boot && self.pending().is_some()
    }

    /// Acquires the right to send the next notice for `lease`; returns its number and which attempt it is.
    pub fn claim(&mut self, owner: Owner, now: Moment, lease: Duration) -> Option<(u32, u32)> {
        if !self.is_due(now) {
            return None;
        }
        let delivery = self.deliveries.iter_mut().find(|delivery| delivery.is_pending())?;
        delivery.attempts = delivery.attempts.saturating_add(1);
        if delivery.attempts == 1 {
            delivery.first_attempt = now.boot;
        }
        delivery.last_attempt_at = Some(now.wall);
        self.lease = Some(SendLease { owner, until: now.after(lease) });
        Some((delivery.number, delivery.attempts))
    }

    /// Gives a claim back without an attempt.
    pub fn give_back(&mut self, owner: Owner) -> bool {
        if self.lease.take_if(|lease| lease.owner == owner).is_none() {
            return false;
        }
        if let Some(delivery) = self.deliveries.iter_mut().find(|delivery| delivery.is_pending()) {
            delivery.attempts = delivery.attempts.saturating_sub(1);
        }
        self.drop_needless();
        true
    }

    /// Records the result of an attempt; `None` if another process has taken it over meanwhile.
    pub fn complete(
        &mut self,
        owner: Owner,
        attempt: u32,
        sent: DeliveryResult,
        now: Moment,
    ) -> Option<Option<DeliveryReport>> {
        let is_reported = self.is_reported;
        let delivery = self.deliveries.iter_mut().find(|delivery| delivery.is_pending())?;
        self.lease.take_if(|lease| lease.owner == owner && delivery.attempts == attempt)?;
        let report = match sent {
            DeliveryResult::Delivered { answer, reference } => {
                delivery.state = DeliveryState::Delivered;
                delivery.last_answer = answer;
                self.arrival = Arrival::Yes;
                self.reference = reference.or(self.reference.take());
                self.not_before = 0;
                self.is_reported = false;
                is_reported.then_some(DeliveryReport::Recovered)
            }
            DeliveryResult::Refused { answer } => {
                delivery.state = DeliveryState::Refused;
                delivery.last_answer = answer;
                self.not_before = 0;
                self.is_reported = true;
                Some(DeliveryReport::Refused)
            }
            DeliveryResult::Failed { answer, may_have_arrived, again_after } => {
                delivery.last_answer = answer;
                if may_have_arrived {
                    delivery.may_have_arrived = true;
                    self.arrival = self.arrival.max(Arrival::Maybe);
                }
                self.not_before = now.after(again_after);
                if now.since(delivery.first_attempt) >= delivery.give_up_after() {
                    delivery.state = DeliveryState::Failed;
                    self.not_before = 0;
                    self.is_reported = true;
                    Some(DeliveryReport::GivenUp)
                } else if delivery.attempts >= REPORTED_FAILURES && !is_reported {
                    self.is_reported = true;
                    Some(DeliveryReport::Failing)
                } else {
                    None
                }
            }
        };
        self.drop_needless();
        Some(report)
    }

    /// Forgets what was sent, and what receivers have answered.
    pub fn keep_essentials(&mut self) {
        self.deliveries.retain(Delivery::is_pending);
        self.deliveries.iter_mut().for_each(|delivery| delivery.last_answer.clear());
    }

    /// Drops what is pending, and not under way.
    pub fn drop_pending(&mut self) {
        self.end(DeliveryState::Dropped, |_| true);
    }

    /// Gives up what is pending, and was never tried: no process has this channel. Returns whether there was anything.
    pub fn give_up_untried(&mut self) -> bool {
        if self.lease.is_some() || self.pending().is_none_or(|delivery| delivery.attempts != 0) {
            return false;
        }
        for delivery in self.deliveries.iter_mut().filter(|delivery| delivery.is_pending()) {
            delivery.state = DeliveryState::Failed;
            NO_SUCH_CHANNEL.clone_into(&mut delivery.last_answer);
        }
        true
    }

    /// Has what is pending tried within `delay`: something new gives the receiver another chance.
    pub fn hurry(&mut self, now: Moment, delay: Duration) {
        self.not_before = self.not_before.min(now.after(delay));
    }

    /// Has what is pending tried now; of a resolved incident also that it is resolved, if that was given up.
    pub fn retry(&mut self, is_resolved: bool) {
        self.not_before = 0;
        if is_resolved {
            for delivery in self.given_up().filter(|delivery| delivery.kind == NoticeKind::Resolved) {
                delivery.state = DeliveryState::Pending;
                delivery.attempts = 0;
            }
            self.drop_needless();
        }
    }

    /// The notices of how things are now that go in the place of those which were given up, in order: a receiver that
    /// does not know of the incident gets its trigger first.
    pub fn replace_given_up(&mut self, is_acknowledged: bool) -> Vec<NoticeKind> {
        use NoticeKind::{Acknowledged, Reminded, Triggered};
        let mut kinds = Vec::new();
        for delivery in self.given_up() {
            delivery.state = DeliveryState::Replaced;
            kinds.push(delivery.kind);
        }
        if kinds.is_empty() {
            return kinds;
        }
        let first = match () {
            () if self.arrival != Arrival::Yes || kinds.contains(&Triggered) => Some(Triggered),
            () if kinds.contains(&Reminded) && !is_acknowledged => Some(Reminded),
            () => None,
        };
        first.into_iter().chain(is_acknowledged.then_some(Acknowledged)).collect()
    }

    /// What was given up after the last delivery; nothing while one is under way.
    fn given_up(&mut self) -> impl Iterator<Item = &mut Delivery> {
        let is_idle = self.lease.is_none();
        let until_delivered = self.deliveries.iter_mut().rev().take_while(|one| one.state != DeliveryState::Delivered);
        until_delivered
            .filter(move |one| is_idle && matches!(one.state, DeliveryState::Refused | DeliveryState::Failed))
    }

    /// How many notices are pending.
    pub fn pending_count(&self) -> usize {
        self.deliveries.iter().filter(|delivery| delivery.is_pending()).count()
    }
}

#[cfg(test)]
mod tests;
