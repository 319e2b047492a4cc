//! Sends what the outboxes hold: each attempt is a task of its own, so that no receiver holds up another, or a check.
//!
//! The right to send a notice is stored before it is sent, and the result afterwards. A process that dies between the
//! two leaves a lease that is void at once; the notice may have arrived, so another process repeats it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::alerts::{Alerts, publish};
use super::attempt::attempt;
use super::senders::{SendSlot, Senders};
use super::{Attempt, Channel, backoff};
use crate::model::clock::Moment;
use crate::model::{Notice, Owner, check_of};
use crate::policy::incident::{ClaimedNotice, Outgoing, truncated};
use crate::policy::outbox::{DeliveryReport, DeliveryResult};
use crate::runtime::tasks::run_blocking;
use crate::runtime::{Process, random};
use crate::state::delivery_counts::DeliveryOutcome;
use crate::state::incidents::IncidentTable;

/// How much longer than an attempt its lease lasts: time to store its result.
const MARGIN: Duration = Duration::from_secs(5);
/// A process that has not started to send by then was stopped: its notice may be out of date.
const START_WITHIN: Duration = Duration::from_secs(2);
const LOCK_TIMEOUT: Duration = Duration::from_millis(5);
/// Bytes of an answer, and of a reference.
const MAX_ANSWER: usize = 200;
const MAX_REFERENCE: usize = 500;

/// A notice that this process has to send.
pub struct Claim {
    group: usize,
    channel: Arc<dyn Channel>,
    owner: Owner,
    claimed: ClaimedNotice,
    notice: Notice,
    at: Instant,
    _slot: SendSlot,
}

impl Claim {
    fn outgoing(&self) -> Outgoing<'_> {
        Outgoing { incident: &self.claimed.incident.id, channel: self.channel.name(), owner: self.owner }
    }
}

impl Alerts {
    /// What this process has to send now.
    pub fn claims(&self) -> Vec<Claim> {
        let Some(stores) = self.stores() else { return Vec::new() };
        let senders = self.senders.get_or_init(Senders::default);
        let snapshot = stores.incidents.snapshot();
        let now = Moment::now();
        let mut claims = Vec::new();
        for group in stores.incidents.groups() {
            let due = |table: &IncidentTable| {
                let is_alive = |owner: &Owner| stores.incidents.is_alive(owner);
                let subjects = table.0.iter();
                let pending = subjects.flat_map(|(name, subject)| {
                    subject.pending_channels().into_iter().map(move |channel| (name, subject, channel))
                });
                let due = pending.filter(|(_, subject, channel)| subject.is_due(channel, now, is_alive));
                due.map(|(name, _, channel)| (name.clone(), channel.to_owned())).collect::<Vec<_>>()
            };
            let due = stores.incidents.read(group, snapshot.as_ref(), due).unwrap_or_default();
            for (subject, channel) in due {
                // One that is not among the settings of this process may be among those of another.
                let Some(channel) = self.settings.channel(&channel) else { continue };
                if !stores.control.read(snapshot.as_ref(), |control| control.is_held(channel.name(), now)) {
                    claims.extend(
                        senders.acquire(&**channel).and_then(|slot| self.claim(group, &subject, channel, slot)),
                    );
                }
            }
        }
        claims
    }

    fn claim(&self, group: usize, subject: &str, channel: &Arc<dyn Channel>, slot: SendSlot) -> Option<Claim> {
        let stores = self.stores()?;
        let (at, now) = (Instant::now(), Moment::now());
        let owner = stores.incidents.new_owner();
        let mut claimed = None;
        let claim = |table: &mut IncidentTable| {
            let Some(subject) = table.0.get_mut(subject) else { return false };
            let before = subject.clone();
            let lease = self.settings.timeout + MARGIN;
            claimed = subject.claim(channel.name(), owner, now, lease, |owner| stores.incidents.is_alive(owner));
            *subject != before
        };
        stores.incidents.update(group, LOCK_TIMEOUT, claim).ok()?;
        let claimed = claimed?;
        let engine = self.engine()?;
        let check = engine.check(check_of(&claimed.incident.check)).ok();
        let runbook = check.as_ref().and_then(|check| check.options.runbook.as_deref());
        let url = self.settings.url_of(check_of(&claimed.incident.check));
        let notice = claimed.to_send(&self.settings.application, runbook, url.as_deref());
        Some(Claim { group, channel: channel.clone(), owner, claimed, notice, at, _slot: slot })
    }

    /// Stores the result of an attempt; `None`: there was none.
    fn record(&self, claim: &Claim, attempt: Option<Attempt>) {
        let now = Moment::now();
        let id = &claim.claimed.incident.id;
        let Some(attempt) = attempt else {
            let give_back = |subjects: &mut BTreeMap<String, _>| {
                let subject: &mut crate::policy::incident::Subject = subjects.get_mut(&claim.claimed.incident.check)?;
                subject.give_back(claim.outgoing()).then_some(())
            };
            // For other processes it runs out.
            let _ = self.update(claim.group, give_back);
            return;
        };
        if let (Attempt::Failed { retry_after: Some(wait), .. }, Some(stores)) = (&attempt, self.stores()) {
            let hold = |control: &mut crate::state::alert_control::AlertControl| {
                control.hold(claim.channel.name(), now, backoff::demanded(*wait));
                true
            };
            let _ = stores.control.update(LOCK_TIMEOUT, hold);
        }
        let pause = backoff::pause(&self.settings.retries, claim.claimed.attempt, random());
        let sent = sent(attempt, pause);
        let (outcome, answer) = match &sent {
            DeliveryResult::Delivered { answer, .. } => (DeliveryOutcome::Delivered, answer.clone()),
            DeliveryResult::Refused { answer } => (DeliveryOutcome::Refused, answer.clone()),
            DeliveryResult::Failed { answer, .. } => (DeliveryOutcome::Failed, answer.clone()),
        };
        if let Some(stores) = self.stores() {
            // One that cannot be counted now is missing from the metrics.
            let _ = stores.counts.count(LOCK_TIMEOUT, claim.channel.name(), outcome);
        }
        let completed = self.update(claim.group, |subjects| {
            let subject = subjects.get_mut(&claim.claimed.incident.check)?;
            let report = subject.complete(claim.outgoing(), claim.claimed.attempt, sent.clone(), now)?;
            Some((report, subject.incidents().find(|incident| incident.id == *id).cloned()))
        });
        // What could not be stored is repeated once the lease is over: it may have arrived.
        let Ok(Some((Some(report), Some(incident)))) = completed else { return };
        let change = match report {
            DeliveryReport::Refused => "delivery_refused",
            DeliveryReport::Failing => "delivery_failing",
            DeliveryReport::GivenUp => "delivery_given_up",
            DeliveryReport::Recovered => "delivery_recovered",
        };
        if let Some(engine) = self.engine() {
            publish(&engine, change, &incident, answer, Some(claim.channel.name()));
        }
    }
}

/// Sends one notice, and stores the result.
pub async fn send(alerts: Arc<Alerts>, claim: Claim, process: Arc<Process>) {
    let attempt = if claim.at.elapsed() < START_WITHIN {
        let reference = claim.claimed.reference.as_deref();
        Some(attempt(&*claim.channel, &claim.notice, reference, alerts.settings.timeout, process).await)
    } else {
        None
    };
    let stored = alerts.clone();
    let _ = run_blocking(move || {
        stored.record(&claim, attempt);
        // Its slot is free from now on.
        drop(claim);
    })
    .await;
    alerts.wake();
}

/// What the outbox needs of an attempt, bounded; it is tried again after `pause` at the earliest.
fn sent(attempt: Attempt, pause: Duration) -> DeliveryResult {
    let short = |answer: String| truncated(&answer, MAX_ANSWER);
    match attempt {
        Attempt::Delivered { answer, reference } => {
            // Part of a reference would be another one.
            let reference = reference.filter(|reference| reference.len() <= MAX_REFERENCE);
            DeliveryResult::Delivered { answer: short(answer), reference }
        }
        Attempt::Refused { answer } => DeliveryResult::Refused { answer: short(answer) },
        Attempt::Failed { answer, retry_after, may_have_arrived } => {
            let again_after = retry_after.map_or(pause, |wait| pause.max(backoff::demanded(wait)));
            DeliveryResult::Failed { answer: short(answer), may_have_arrived, again_after }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sent_obeys_the_receiver_and_is_bounded() {
        let failed = |retry_after: Option<u64>| {
            let retry_after = retry_after.map(Duration::from_secs);
            let attempt = Attempt::Failed { answer: "a".repeat(1_000), retry_after, may_have_arrived: true };
            match sent(attempt, Duration::from_secs(30)) {
                DeliveryResult::Failed { answer, again_after, .. } => (answer.len(), again_after.as_secs()),
                other => (0, u64::from(matches!(other, DeliveryResult::Refused { .. }))),
            }
        };
        let found = [None, Some(1), Some(60), Some(86_400)].map(failed);
        assert_eq!(found, [(200, 30), (200, 30), (200, 60), (200, 3_600)]);
        let delivered = |length| {
            sent(Attempt::Delivered { answer: "202".into(), reference: Some("r".repeat(length)) }, Duration::ZERO)
        };
        assert!(matches!(delivered(500), DeliveryResult::Delivered { reference: Some(_), .. }));
        assert!(matches!(delivered(501), DeliveryResult::Delivered { reference: None, .. }));
    }
}
