//! Actions and what they did, as Python and the tables have them: JSON, with times in seconds since 1970.

use serde_json::{Value, json};

use super::config::ActionConfig;
use super::control::Actions;
use crate::delivery::shown::seconds;
use crate::policy::action::{ActionEntry, Switch, Trigger};

/// All actions: what is configured of each, and who has disabled it.
pub fn actions(actions: &Actions) -> Value {
    let (off, disabled) = actions.switches();
    let each: Vec<Value> = actions.settings.iter().map(|one| action(one, disabled.get(&one.plan.name))).collect();
    json!({
        "off": actions.off().or_else(|| off.map(|switch| switch.by)),
        "actions": each,
    })
}

fn action(config: &ActionConfig, disabled: Option<&Switch>) -> Value {
    let plan = &config.plan;
    json!({
        "name": plan.name,
        "action": plan.kind,
        "when": plan.trigger.as_ref().map(when),
        "limit": {"per_hour": plan.per_hour, "per_incident": plan.per_incident},
        "cooldown": plan.cooldown.as_secs_f64(),
        "verify": plan.verify.as_secs_f64(),
        "timeout": plan.timeout.as_secs_f64(),
        "scope": config.scope.as_str(),
        "then": plan.then,
        "dry_run": plan.dry_run,
        "disabled_by": disabled.map(|switch| switch.by.as_str()),
    })
}

fn when(trigger: &Trigger) -> Value {
    json!({
        "check": trigger.check,
        "status": trigger.status.as_str(),
        "runs": trigger.runs,
        "seconds": trigger.seconds.as_secs_f64(),
    })
}

/// One run, or one time when an action was stopped.
pub fn entry(entry: &ActionEntry) -> Value {
    json!({
        "id": entry.id,
        "name": entry.action,
        "action": entry.kind,
        "check": entry.check,
        "cause": entry.cause,
        "author": entry.author,
        "reason": entry.reason,
        "state": entry.state.as_str(),
        "text": entry.text,
        "in_words": entry.in_words(),
        "fence": entry.fence,
        "process": entry.process,
        "at": seconds(entry.at),
        "ended_at": entry.ended_at.map(seconds),
        "revision": entry.revision,
        "confirmed": entry.confirmed,
    })
}
