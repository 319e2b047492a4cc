//! The fleet of an application as this process takes part in it: its store, and whether it can be used now.
//!
//! ```text
//!   reached ──an exchange fails──► lost ──RETRY_AFTER, by one process of the host──► reached, or lost again
//! ```
//!
//! What is known of that is the host's: one process says it once, one tries again, and all others leave the store alone
//! meanwhile. While it is lost each host runs the checks of the fleet for itself, so seldom that all hosts together run
//! them about as often as one host does: [`Fleet::may_run_alone`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::backend::fleet::instances::InstanceCounts;
use super::backend::fleet::{FleetKey, FleetStore};
use super::scope::{Scope, record_name, short_key};
use super::stored::{Fits, Stored};
use crate::model::{CheckError, CheckOptions, Owner, clock};
use crate::runtime::{PerProcess, diagnostics, random};

/// How soon a store that was lost is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// A host runs a check of a lost fleet at least this often, however many hosts there were.
const MAX_INTERVAL: Duration = Duration::from_secs(3_600);
const LOCK_TIMEOUT: Duration = Duration::from_millis(5);
/// The process that speaks for its host has so long to do it again.
pub const TURN: Duration = Duration::from_secs(15);

/// What the processes of a host know of the fleet.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct FleetNotes {
    /// The instance that this host is, by a random number.
    instance: u64,
    lost: Option<LostStore>,
    /// How many instances were last seen; 0: unknown.
    instances: u64,
    counts: Option<Announced>,
    /// The process that announces the instance, and until when (nanoseconds since boot).
    announcer: Option<(Owner, u64)>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct LostStore {
    /// In nanoseconds since boot.
    since: u64,
    retry_at: u64,
    /// When each check may next be run here.
    runs: BTreeMap<String, u64>,
}

/// What the last announcement has found.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Announced {
    at: u64,
    states: [u64; 3],
    missed: u64,
}

impl Fits for FleetNotes {
    fn shrink(&mut self, round: usize) -> bool {
        self.lost.iter_mut().for_each(|lost| lost.runs.clear());
        round == 0
    }
}

/// The fleet of an application.
pub struct Fleet {
    pub store: FleetStore,
    /// How this host is called, and in which zone it is.
    pub name: String,
    pub zone: Option<String>,
    scope: Scope,
    notes: PerProcess<Stored<FleetNotes>>,
    taking_part: PerProcess<()>,
}

impl Fleet {
    /// `scope` is that of the host.
    pub fn new(store: FleetStore, name: String, zone: Option<String>, scope: Scope) -> Self {
        Self { store, name, zone, scope, notes: PerProcess::new(), taking_part: PerProcess::new() }
    }

    fn notes(&self) -> Arc<Stored<FleetNotes>> {
        self.notes.get_or_init(|| Stored::new(&self.scope, "fleet 1"))
    }

    /// Changes what the host knows; while another process does so, this one's change is left out.
    fn update(&self, change: impl FnMut(&mut FleetNotes) -> bool) {
        let _ = self.notes().update(LOCK_TIMEOUT, change);
    }

    /// The keys of a check.
    pub fn key(&self, options: &CheckOptions) -> FleetKey {
        self.store.key_of(&options.name, &short_key(&record_name(options)))
    }

    /// The instance that this host is.
    pub fn instance(&self) -> String {
        let known = self.notes().read(None, |notes| notes.instance);
        let mut instance = known;
        if known == 0 {
            let made = uuid::Uuid::new_v4().as_u64_pair().0.max(1);
            // Where another process holds the store, this one is another instance until it knows better.
            instance = made;
            self.update(|notes| {
                let is_new = notes.instance == 0;
                notes.instance = if is_new { made } else { notes.instance };
                instance = notes.instance;
                is_new
            });
        }
        format!("{instance:016x}")
    }

    /// Whether the store may be asked now: it was reached the last time, or it is time to try again and this process
    /// does.
    pub fn is_usable(&self) -> bool {
        let now = clock::now();
        match self.notes().read(None, |notes| notes.lost.as_ref().map(|lost| lost.retry_at)) {
            None => true,
            Some(retry_at) if now < retry_at => false,
            Some(_) => {
                let mut is_mine = false;
                self.update(|notes| {
                    let Some(lost) = notes.lost.as_mut() else {
                        is_mine = true;
                        return false;
                    };
                    is_mine = lost.retry_at <= now;
                    lost.retry_at = if is_mine { after(now, RETRY_AFTER) } else { lost.retry_at };
                    is_mine
                });
                is_mine
            }
        }
    }

    /// Whether the store was not reached the last time.
    pub fn is_lost(&self) -> bool {
        self.notes().read(None, |notes| notes.lost.is_some())
    }

    /// Whether the store was lost, and it is time to try again.
    pub fn may_retry(&self) -> bool {
        let now = clock::now();
        self.notes().read(None, |notes| notes.lost.as_ref().is_some_and(|lost| lost.retry_at <= now))
    }

    /// Notes that the store was reached.
    pub fn reached(&self) {
        if !self.is_lost() {
            return;
        }
        let mut was_lost = false;
        self.update(|notes| {
            was_lost = notes.lost.take().is_some();
            was_lost
        });
        if was_lost {
            diagnostics::publish(false, format!("fleet store {}: is used again", self.store.target()));
        }
    }

    /// Notes that the store could not be used, and why.
    pub fn lost(&self, error: &CheckError) {
        let now = clock::now();
        let retry_at = after(now, RETRY_AFTER.mul_f64(0.8 + 0.4 * random()));
        let mut is_new = false;
        self.update(|notes| {
            is_new = notes.lost.is_none();
            let lost = notes.lost.get_or_insert_with(|| LostStore { since: now, ..LostStore::default() });
            lost.retry_at = retry_at;
            true
        });
        if is_new {
            let target = self.store.target();
            let text = format!(
                "fleet store {target}: cannot be used ({error}); each host checks for itself meanwhile, less often"
            );
            diagnostics::publish(true, text);
        }
    }

    /// Whether this host may run a check of the fleet for itself, while the store is lost; else in how long. All hosts
    /// together run it about as often as one would: each after its time to live times the number of instances last seen.
    pub fn may_run_alone(&self, options: &CheckOptions) -> Result<(), Duration> {
        let now = clock::now();
        let mut result = Ok(());
        self.update(|notes| {
            let instances = notes.instances.max(1);
            let Some(lost) = notes.lost.as_mut() else { return false };
            let (first, interval) = intervals(options.ttl, instances, random());
            let next = lost.runs.entry(options.name.clone()).or_insert_with(|| after(lost.since, first));
            if *next > now {
                result = Err(Duration::from_nanos(*next - now));
                return true;
            }
            *next = after(now, interval);
            true
        });
        result
    }

    /// In how long this host may run a check for itself, if it must not now.
    pub fn limited(&self, options: &CheckOptions) -> Option<Duration> {
        let now = clock::now();
        self.notes().read(None, |notes| {
            let next = notes.lost.as_ref()?.runs.get(&options.name)?;
            next.checked_sub(now).map(Duration::from_nanos)
        })
    }

    /// Notes that this process does what a host does for its fleet, when it is its turn.
    pub fn take_part(&self) {
        self.taking_part.get_or_init(|| ());
    }

    pub fn takes_part(&self) -> bool {
        self.taking_part.get().is_some()
    }

    /// Acquires the duty to speak for this instance for so long; false while another process has it.
    pub fn announces(&self, duration: Duration) -> bool {
        let notes = self.notes();
        let (now, this) = (clock::now(), notes.backend.new_owner());
        let mut is_mine = false;
        self.update(|known| {
            let other = known.announcer.filter(|(owner, until)| {
                owner.process != this.process && *until > now && notes.backend.is_alive(owner)
            });
            is_mine = other.is_none();
            known.announcer = if is_mine { Some((this, after(now, duration))) } else { known.announcer };
            is_mine
        });
        is_mine
    }

    /// Notes how many instances were seen.
    pub fn saw(&self, InstanceCounts { states, missed }: InstanceCounts) {
        let counts = Announced { at: clock::now(), states, missed };
        self.update(|notes| {
            notes.instances = states.iter().sum();
            notes.counts = Some(counts);
            true
        });
    }

    /// How many instances were seen within `max_age`.
    pub fn counts(&self, max_age: Duration) -> Option<InstanceCounts> {
        let Announced { at, states, missed } = self.notes().read(None, |notes| notes.counts)?;
        let age = Duration::from_nanos(clock::now().checked_sub(at)?);
        (age < max_age).then_some(InstanceCounts { states, missed })
    }
}

/// When a host first runs a check after the store was lost, and how often from then on. `random` is from 0 to 1.
fn intervals(ttl: Duration, instances: u64, random: f64) -> (Duration, Duration) {
    let hosts = u32::try_from(instances).unwrap_or(u32::MAX);
    let first = ttl.saturating_mul(hosts - 1).min(MAX_INTERVAL).mul_f64(random);
    // As much shorter than its time to live as results are renewed early; alone, the result's own time decides.
    let interval = if hosts == 1 { Duration::ZERO } else { ttl.saturating_mul(hosts).min(MAX_INTERVAL) };
    (first, interval.mul_f64(0.9 + 0.2 * random))
}

fn after(moment: u64, duration: Duration) -> u64 {
    moment.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_a_lost_fleet_run_a_check_as_often_as_one() {
        let ttl = Duration::from_secs(60);
        let seconds = |instances, random| {
            let (first, interval) = intervals(ttl, instances, random);
            (first.as_secs(), interval.as_secs())
        };
        assert_eq!(seconds(1, 1.0), (0, 0), "alone");
        assert_eq!(seconds(20, 0.0), (0, 1_080));
        assert_eq!(seconds(20, 0.5), (570, 1_200));
        assert_eq!(seconds(20, 1.0), (1_140, 1_320));
        assert_eq!(seconds(1_000, 0.5), (1_800, 3_600), "at least once an hour");
        assert_eq!(seconds(u64::MAX, 0.5), (1_800, 3_600));
    }
}
