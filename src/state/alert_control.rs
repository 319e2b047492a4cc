//! What the processes of a scope have in common about alerts beside incidents: silences, what receivers demand, the ping.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::TableSnapshot;
use super::backend::Busy;
use super::scope::Scope;
use super::stored::{Fits, Stored};
use crate::model::clock::{self, Moment};
use crate::policy::suppression::Silence;

/// What it is kept as: with another number for each layout, see [`super::layout`].
pub(super) const KEY: &str = "alert control 1";
/// Silences that are kept.
const MAX_SILENCES: usize = 200;
/// Bytes of them, in all: the rest of the value is for what receivers demand.
const MAX_BYTES: usize = 100 << 10;
/// For how long one that is over is shown.
const KEEP_SILENCE: Duration = Duration::from_secs(24 * 3_600);

/// What is known beside incidents.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertControl {
    pub silences: Vec<Silence>,
    /// When a channel's receiver wants the next notice, in nanoseconds since boot.
    #[serde(with = "clock::nanos_by_name")]
    not_before: BTreeMap<String, u64>,
    /// When the URL was last requested, in nanoseconds since boot, and whether that has failed.
    #[serde(with = "clock::nanos")]
    pinged: u64,
    ping_failed: bool,
}

impl AlertControl {
    /// Adds a silence, or puts it in the place of the one of the same id; false if there is no room, where nothing changes.
    pub fn add(&mut self, silence: Silence, now: SystemTime) -> bool {
        let keeps = |known: &Silence| known.end.checked_add(KEEP_SILENCE).is_none_or(|end| now < end);
        let mut silences = self.silences.clone();
        silences.retain(|known| known.id != silence.id && keeps(known));
        silences.push(silence);
        if !fit(&silences) {
            silences.retain(|known| now < known.end);
        }
        let fits = fit(&silences);
        if fits {
            self.silences = silences;
        }
        fits
    }

    /// Ends a silence now; false if there is none of that id, or it is over.
    pub fn expire(&mut self, id: &str, now: SystemTime) -> bool {
        let silence = self.silences.iter_mut().find(|silence| silence.id == id && now < silence.end);
        silence.map(|silence| silence.end = now.max(silence.start)).is_some()
    }

    /// Whether a channel's receiver wants nothing yet.
    pub fn is_held(&self, channel: &str, now: Moment) -> bool {
        now.boot < self.held_until(channel)
    }

    /// Sends nothing to a channel for so long, or longer where its receiver wants that already.
    pub fn hold(&mut self, channel: &str, now: Moment, wait: Duration) {
        self.not_before.retain(|_, until| now.boot < *until);
        let until = self.not_before.entry(channel.to_owned()).or_default();
        *until = now.after(wait).max(*until);
    }

    /// Lifts the holds of these channels; returns whether there was any.
    pub fn release(&mut self, channels: &[String]) -> bool {
        let before = self.not_before.len();
        self.not_before.retain(|channel, _| !channels.contains(channel));
        self.not_before.len() != before
    }

    /// Until when a channel's receiver wants nothing, in nanoseconds since boot; 0: it does.
    pub fn held_until(&self, channel: &str) -> u64 {
        self.not_before.get(channel).copied().unwrap_or_default()
    }

    /// Whether the URL is to be requested by this process now: once in `every` of all of them.
    pub fn claim_ping(&mut self, now: Moment, every: Duration) -> bool {
        let is_due = self.is_ping_due(now, every);
        if is_due {
            self.pinged = now.boot;
        }
        is_due
    }

    pub fn is_ping_due(&self, now: Moment, every: Duration) -> bool {
        self.pinged == 0 || now.since(self.pinged) >= every
    }

    /// Notes whether the request has failed, and returns whether that is a change.
    pub fn note_ping(&mut self, failed: bool) -> bool {
        std::mem::replace(&mut self.ping_failed, failed) != failed
    }
}

fn fit(silences: &[Silence]) -> bool {
    let size = postcard::to_allocvec(silences).map_or(usize::MAX, |bytes| bytes.len());
    silences.len() <= MAX_SILENCES && size <= MAX_BYTES
}

impl Fits for AlertControl {
    fn shrink(&mut self, round: usize) -> bool {
        self.silences.iter_mut().for_each(|silence| silence.comment.clear());
        round == 0
    }
}

/// The same in a scope.
pub struct ControlStore(Stored<AlertControl>);

impl ControlStore {
    pub fn new(scope: &Scope, application: &str) -> Self {
        Self(Stored::new(scope, &format!("{KEY} {application}")))
    }

    pub fn read<R>(&self, snapshot: Option<&TableSnapshot>, read: impl FnOnce(&AlertControl) -> R) -> R {
        self.0.read(snapshot, read)
    }

    /// Changes it: see [`Stored::update`].
    pub fn update(&self, lock_timeout: Duration, change: impl FnMut(&mut AlertControl) -> bool) -> Result<(), Busy> {
        self.0.update(lock_timeout, change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::suppression::AlertMatcher;

    fn silence(id: &str, now: SystemTime) -> Silence {
        let (author, comment) = ("anna".to_owned(), "c".repeat(200));
        let (start, end) = (now, now + Duration::from_secs(60));
        Silence { id: id.to_owned(), matcher: AlertMatcher::default(), start, end, author, comment }
    }

    #[test]
    fn silences_are_bounded_and_expire() {
        let (mut control, now) = (AlertControl::default(), SystemTime::now());
        for index in 0..MAX_SILENCES {
            assert!(control.add(silence(&index.to_string(), now), now));
            assert!(control.add(silence(&index.to_string(), now), now), "in the place of the same");
        }
        assert!(!control.add(silence("more", now), now) && control.silences.len() == MAX_SILENCES);
        assert!(control.expire("7", now) && !control.expire("7", now) && !control.expire("more", now));
        let later = now + KEEP_SILENCE + Duration::from_secs(61);
        assert!(control.add(silence("later", later), later));
        assert_eq!(control.silences.len(), 1);
    }

    #[test]
    fn silences_that_do_not_fit_are_refused_and_no_comment_is_lost() {
        let (mut control, now) = (AlertControl::default(), SystemTime::now());
        let long = |id: usize| {
            let checks = vec!["x".repeat(100); 50];
            Silence { matcher: AlertMatcher { checks, ..AlertMatcher::default() }, ..silence(&id.to_string(), now) }
        };
        let added = (0..MAX_SILENCES).filter(|id| control.add(long(*id), now)).count();
        assert!((10..30).contains(&added) && control.silences.len() == added, "{added}");
        assert!(control.silences.iter().all(|silence| silence.comment.len() == 200));
        assert!(control.expire("0", now) && control.add(long(1_000), now), "in the place of one that is over");
    }

    #[test]
    fn receiver_that_demands_a_pause_gets_it_and_the_ping_goes_once() {
        let mut control = AlertControl::default();
        let start = Moment { boot: 1_000_000_000_000, wall: SystemTime::now() };
        let at = |seconds: u64| Moment { boot: start.after(Duration::from_secs(seconds)), ..start };
        control.hold("chat", start, Duration::from_secs(30));
        control.hold("chat", start, Duration::from_secs(1));
        let held =
            [("chat", 29), ("chat", 30), ("mail", 0)].map(|(channel, after)| control.is_held(channel, at(after)));
        assert_eq!(held, [true, false, false]);
        assert_eq!(control.held_until("chat"), at(30).boot);
        let (chat, mail) = (["chat".to_owned()], ["mail".to_owned()]);
        assert_eq!([control.release(&mail), control.release(&chat), control.release(&chat)], [false, true, false]);
        assert!(!control.is_held("chat", start) && control.held_until("chat") == 0);
        let minute = Duration::from_secs(60);
        let claimed = [0, 0, 59, 60, 60].map(|after| control.claim_ping(at(after), minute));
        assert_eq!(claimed, [true, false, false, true, false]);
        assert_eq!([true, true, false, false].map(|failed| control.note_ping(failed)), [true, false, true, false]);
    }
}
