//! One action as it is configured: validated, immutable values.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::kinds::{self, ActionKind};
use super::scope::ActionScope;
use crate::delivery::WEDGED_WORKER;
use crate::model::{SpecError, in_a_row, positive_seconds, seconds_from_0, valid_name};
use crate::policy::action::{ActionPlan, MAX_PER_HOUR, Threshold, Trigger};

/// Where the settings do not say.
const PER_HOUR: u32 = 3;
const PER_INCIDENT: u32 = 2;
const COOLDOWN: Duration = Duration::from_secs(300);
const VERIFY: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(30);
const RUNS: u32 = 3;
const SECONDS: Duration = Duration::from_secs(30);

/// One action as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionFields {
    action: String,
    #[serde(default)]
    arguments: BTreeMap<String, Value>,
    when: Option<WhenFields>,
    #[serde(default)]
    limit: LimitFields,
    #[serde(default, deserialize_with = "from_0")]
    cooldown: Option<Duration>,
    #[serde(default, deserialize_with = "from_0")]
    verify: Option<Duration>,
    timeout: Option<f64>,
    scope: Option<ActionScope>,
    then: Option<String>,
    #[serde(default = "always")]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhenFields {
    check: String,
    #[serde(default = "error")]
    status: Threshold,
    #[serde(default, deserialize_with = "number_in_a_row")]
    runs: Option<u32>,
    #[serde(default, deserialize_with = "from_0")]
    seconds: Option<Duration>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitFields {
    per_hour: Option<u32>,
    per_incident: Option<u32>,
}

/// One action.
pub struct ActionConfig {
    pub plan: ActionPlan,
    pub scope: ActionScope,
    pub kind: ActionKind,
}

/// The action of that name. `callable` is the number of its callable, where it is written in Python.
pub fn build(name: &str, fields: ActionFields, callable: Option<u64>) -> Result<ActionConfig, SpecError> {
    valid_name(name)?;
    let kind = kinds::build(&fields.action, fields.arguments, callable)?;
    let scope = fields.scope.unwrap_or_else(|| kind.default_scope());
    if let Some(only) = kind.only_scope().filter(|only| *only != scope) {
        return Err(SpecError(format!("scope must be {:?}: {}", only.as_str(), kind.scope_reason())));
    }
    let per_hour = match fields.limit.per_hour {
        Some(number @ 1..=MAX_PER_HOUR) => number,
        Some(number) => {
            return Err(SpecError(format!("limit.per_hour must be an int from 1 to {MAX_PER_HOUR}, not {number}")));
        }
        None if kind.may_restart() => {
            return Err(SpecError("limit.per_hour is required: it can restart what serves".to_owned()));
        }
        None => PER_HOUR,
    };
    let per_incident = match fields.limit.per_incident {
        None => PER_INCIDENT,
        Some(number) => in_a_row(number).map_err(|error| SpecError(format!("limit.per_incident {error}")))?,
    };
    let plan = ActionPlan {
        name: name.to_owned(),
        trigger: trigger(fields.when, &kind)?,
        per_hour,
        per_incident,
        cooldown: fields.cooldown.unwrap_or(COOLDOWN),
        verify: fields.verify.unwrap_or(VERIFY),
        timeout: fields.timeout.map_or(Ok(TIMEOUT), |seconds| positive_seconds("timeout", seconds))?,
        then: fields.then,
        then_elsewhere: false,
        dry_run: fields.dry_run,
        ends_process: matches!(kind, ActionKind::RestartWedgedWorker { .. }),
        kind: fields.action,
    };
    Ok(ActionConfig { plan, scope, kind })
}

fn trigger(when: Option<WhenFields>, kind: &ActionKind) -> Result<Option<Trigger>, SpecError> {
    match (when, kind) {
        (Some(_), ActionKind::RestartWedgedWorker { .. }) => {
            Err(SpecError("when is not allowed: it runs once a worker has been wedged for WEDGED_AFTER".to_owned()))
        }
        (None, ActionKind::RestartWedgedWorker { .. }) => Ok(Some(Trigger {
            check: WEDGED_WORKER.to_owned(),
            status: Threshold::Error,
            runs: 1,
            seconds: Duration::ZERO,
        })),
        (None, _) => Ok(None),
        (Some(when), _) => {
            valid_name(&when.check).map_err(|error| SpecError(format!("when.check: {error}")))?;
            let (runs, seconds) = (when.runs.unwrap_or(RUNS), when.seconds.unwrap_or(SECONDS));
            Ok(Some(Trigger { check: when.check, status: when.status, runs, seconds }))
        }
    }
}

fn always() -> bool {
    true
}

fn error() -> Threshold {
    Threshold::Error
}

fn from_0<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let seconds = Option::<f64>::deserialize(deserializer)?;
    seconds.map(seconds_from_0).transpose().map_err(serde::de::Error::custom)
}

fn number_in_a_row<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    Option::<u32>::deserialize(deserializer)?.map(in_a_row).transpose().map_err(serde::de::Error::custom)
}
