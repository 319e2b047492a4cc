//! Whether a host of a fleet may act: asked once an action of the host is due, and only then.
//!
//! ```text
//!   due ──failing for as long as others need to say so too──► which others fail? (read at most every ten seconds)
//!                                                               │ more than half: the policy stops it
//!                                                               ▼
//!   one of a quarter of the instances? ──► granted ──► acts, is verified ──► given back, or runs out by itself
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::control::{Actions, LOCK_TIMEOUT};
use super::scope::ActionScope;
use crate::model::CheckError;
use crate::model::clock::Moment;
use crate::monitor::failing_elsewhere;
use crate::policy::action::{FleetPermission, Threshold, Trigger, at_once};
use crate::runtime::Process;
use crate::runtime::tasks::run_blocking;
use crate::state::Fleet;
use crate::state::fleet_actions::{ActionDesk, FailuresElsewhere};

/// Within that time every instance has announced that a check fails on it, too.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(12);
/// How old may be what is known of the other instances.
const VIEW_MAX_AGE: Duration = Duration::from_secs(10);
/// How much longer than a run and its verification a slot lasts.
const MARGIN: Duration = Duration::from_secs(10);
/// A process that has acquired the slot has started to act by then.
const STARTED_WITHIN: Duration = Duration::from_secs(5);

/// What the fleet says of actions of this host, by name. It was not asked about those that are not here.
pub type Permissions = BTreeMap<String, Permission>;

/// What the fleet says of one action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    pub fleet: FleetPermission,
    /// On how many of how many instances its check fails, where that is known.
    pub failing: Option<(u32, u32)>,
}

/// An action of this host that is due.
struct DueAction {
    name: String,
    trigger: Option<Trigger>,
    failing_for: Duration,
    /// How long the host acts at most; `None`: it does not, it is a dry run.
    lasts: Option<Duration>,
}

impl Actions {
    /// Asks the fleet about what this host is to do, if it is to do anything.
    pub(super) async fn permissions(self: &Arc<Self>, process: &Arc<Process>) -> Permissions {
        let Some(fleet) = self.engine().and_then(|engine| engine.fleet().cloned()) else { return Permissions::new() };
        let judged = self.clone();
        let (wanted, is_over) = run_blocking(move || judged.wanted()).await.unwrap_or_default();
        if is_over && fleet.is_usable() {
            // Where that fails, it runs out by itself.
            let _ = fleet.store.release_slot(process, &fleet.instance()).await;
        }
        let Some(wanted) = wanted else { return Permissions::new() };
        if wanted.trigger.is_some() && wanted.failing_for < ANNOUNCED_WITHIN {
            return Permissions::new();
        }
        let permission = self.ask(&fleet, process, &wanted).await.unwrap_or_else(|error| {
            if let Some(error) = error {
                fleet.lost(&error);
            }
            Permission { fleet: FleetPermission::Lost, failing: None }
        });
        Permissions::from([(wanted.name, permission)])
    }

    /// What is due on this host, and whether it is done with what it was one of those that act for.
    fn wanted(&self) -> (Option<DueAction>, bool) {
        let (Some(engine), Some(stores)) = (self.engine(), self.stores()) else { return (None, false) };
        let now = Moment::now();
        let judgement = self.judgement(&engine, ActionScope::Host, None, None, now);
        let (wanted, is_idle) = stores.of(ActionScope::Host).read(|table| {
            let wanted = judgement.wanted(self, ActionScope::Host, table).map(|(plan, is_dry)| {
                let trigger = plan.trigger.clone().filter(|_| !plan.ends_process);
                let failing_for = trigger.as_ref().map(|on| table.failing_for(&on.check, on.status, now));
                DueAction {
                    name: plan.name.clone(),
                    trigger,
                    failing_for: failing_for.unwrap_or_default(),
                    lasts: (!is_dry).then_some(plan.timeout + plan.verify + MARGIN),
                }
            });
            (wanted, table.is_idle())
        });
        (wanted, is_idle && self.leave_slot(now))
    }

    /// Notes that this host acts no more; false if it did not.
    fn leave_slot(&self, now: Moment) -> bool {
        let Some(stores) = self.stores() else { return false };
        let Some(fleet) = &stores.fleet else { return false };
        let has_ended = |desk: &ActionDesk| desk.slot.is_some_and(|(since, _)| now.since(since) >= STARTED_WITHIN);
        if !fleet.desk(has_ended) {
            return false;
        }
        let mut was_acting = false;
        let left = fleet.update_desk(LOCK_TIMEOUT, |desk| {
            // What has run out by itself may be another's by now; it is not asked for again.
            was_acting = has_ended(desk) && desk.slot.take().is_some_and(|(_, until)| now.boot < until);
            true
        });
        left.is_ok() && was_acting
    }

    /// Asks; an error without a cause: the fleet is known to be lost.
    async fn ask(
        self: &Arc<Self>,
        fleet: &Fleet,
        process: &Arc<Process>,
        wanted: &DueAction,
    ) -> Result<Permission, Option<CheckError>> {
        if !fleet.is_usable() {
            return Err(None);
        }
        let view = self.view(fleet, process).await?;
        let failing = wanted.trigger.as_ref().map(|trigger| failing(&view, trigger));
        let granted = Permission { fleet: FleetPermission::Granted, failing };
        let Some(lasts) = wanted.lasts.filter(|_| failing.is_none_or(|(bad, all)| bad * 2 <= all || all == 1)) else {
            fleet.reached();
            return Ok(granted);
        };
        let limit = at_once(view.instances);
        let slot = fleet.store.acquire_slot(process, &fleet.instance(), limit, lasts).await.map_err(Some)?;
        fleet.reached();
        if !slot.is_granted {
            return Ok(Permission {
                fleet: FleetPermission::Full { acting: slot.others, total: view.instances },
                failing,
            });
        }
        let actions = self.clone();
        let noted = run_blocking(move || {
            let stores = actions.stores()?;
            let now = Moment::now();
            let slot = Some((now.boot, now.after(lasts)));
            let note = |desk: &mut ActionDesk| {
                desk.slot = slot;
                true
            };
            stores.fleet.as_ref()?.update_desk(LOCK_TIMEOUT, note).ok()
        });
        // One that cannot be noted is not given back, and runs out by itself.
        let _ = noted.await;
        Ok(granted)
    }

    /// What the other instances say of the checks that actions of this host are about.
    async fn view(&self, fleet: &Fleet, process: &Arc<Process>) -> Result<FailuresElsewhere, Option<CheckError>> {
        let stores = self.stores().ok_or(None)?;
        let store = stores.fleet.as_ref().ok_or(None)?;
        if let Some(view) = store.desk(|desk| desk.view(VIEW_MAX_AGE, Moment::now()).cloned()) {
            return Ok(view);
        }
        let seen = fleet.store.instances(process).await.map_err(Some)?;
        let checks: Vec<&str> =
            self.settings.triggers(ActionScope::Host).iter().map(|trigger| trigger.check.as_str()).collect();
        let view = failing_elsewhere(&seen, &fleet.instance(), &checks);
        let _ = store.update_desk(LOCK_TIMEOUT, |desk| {
            desk.saw(view.clone());
            true
        });
        Ok(view)
    }
}

/// On how many instances a check fails that fails here, and how many know its status.
fn failing(view: &FailuresElsewhere, trigger: &Trigger) -> (u32, u32) {
    let [errors, degraded, all] = view.checks.get(&trigger.check).copied().unwrap_or_default();
    let others = if trigger.status == Threshold::Degraded { errors + degraded } else { errors };
    (others + 1, all + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_fails_here_and_where_others_say_so() {
        let checks = [("a".to_owned(), [2, 3, 9])].into();
        let view = FailuresElsewhere { at: 0, instances: 12, checks };
        let trigger =
            |check: &str, status| Trigger { check: check.to_owned(), status, runs: 1, seconds: Duration::ZERO };
        assert_eq!(failing(&view, &trigger("a", Threshold::Error)), (3, 10));
        assert_eq!(failing(&view, &trigger("a", Threshold::Degraded)), (6, 10));
        assert_eq!(failing(&view, &trigger("b", Threshold::Error)), (1, 1), "no other instance knows it");
    }
}
