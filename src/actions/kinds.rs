//! The kinds of actions there are: what each needs, where it may run, and what it does.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::scope::ActionScope;
use crate::checks::Check;
use crate::checks::command::CommandCheck;
use crate::engine::Engine;
use crate::engine::hand_over::operate;
use crate::model::{CheckError, Finding, Secret, SpecError, nearest, positive_seconds, valid_name};
use crate::policy::action::ActionResult;
use crate::runtime::{Context, process};
use crate::state::Operation;

/// Every kind that is native.
const NATIVE: &[&str] =
    &["close_stale_connections", "reload_gunicorn", "reset_breaker", "restart_wedged_worker", "run_command"];
/// Those that can end or restart what serves, native or not: they need a limit that was chosen.
const MAY_RESTART: &[&str] = &["reload_gunicorn", "restart_celery_pool", "restart_wedged_worker", "run_command"];
/// For how long the interpreter of a worker has not run before the worker is restarted.
const WEDGED_AFTER: Duration = Duration::from_secs(30);

/// What an action does.
pub enum ActionKind {
    /// Closes the connections that this process keeps between runs.
    CloseStaleConnections,
    ReloadGunicorn,
    ResetBreaker {
        check: String,
    },
    RestartWedgedWorker {
        after: Duration,
        signal: Option<i32>,
    },
    RunCommand(Box<CommandCheck>),
    /// The callable that Python knows by that number.
    Callable {
        id: u64,
        name: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResetFields {
    check: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct WedgeFields {
    wedged_after: Option<f64>,
    signal: Option<i32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandFields {
    argv: Vec<Secret>,
    cwd: Option<std::path::PathBuf>,
    #[serde(default)]
    environment: BTreeMap<String, Secret>,
}

/// The kind of that name with its arguments.
pub fn build(kind: &str, arguments: BTreeMap<String, Value>, callable: Option<u64>) -> Result<ActionKind, SpecError> {
    if let Some(id) = callable {
        return Ok(ActionKind::Callable { id, name: kind.to_owned() });
    }
    let given = Value::Object(arguments.into_iter().collect());
    match kind {
        "close_stale_connections" => fields::<Nothing>(given).map(|_| ActionKind::CloseStaleConnections),
        "reload_gunicorn" => fields::<Nothing>(given).map(|_| ActionKind::ReloadGunicorn),
        "reset_breaker" => {
            let ResetFields { check } = fields(given)?;
            valid_name(&check)?;
            Ok(ActionKind::ResetBreaker { check })
        }
        "restart_wedged_worker" => {
            let WedgeFields { wedged_after, signal } = fields(given)?;
            let seconds = |seconds| positive_seconds("arguments.wedged_after", seconds);
            Ok(ActionKind::RestartWedgedWorker { after: wedged_after.map_or(Ok(WEDGED_AFTER), seconds)?, signal })
        }
        "run_command" => {
            let CommandFields { argv, cwd, environment } = fields(given)?;
            let (expect_exit, text, show_output, nagios) = Default::default();
            let command = CommandCheck { argv, cwd, environment, expect_exit, text, show_output, nagios };
            command.validate().map_err(|error| SpecError(format!("arguments.{error}")))?;
            Ok(ActionKind::RunCommand(Box::new(command)))
        }
        _ => Err(SpecError(match nearest(kind, NATIVE) {
            Some(name) => format!("action {kind:?} is unknown: did you mean {name:?}?"),
            None => format!("action {kind:?} is unknown: known are {}, and any callable", NATIVE.join(", ")),
        })),
    }
}

/// Arguments of a kind. What is wrong is named without its value, which may be a secret.
fn fields<T: for<'de> Deserialize<'de>>(given: Value) -> Result<T, SpecError> {
    T::deserialize(given).map_err(|error| SpecError(format!("arguments: {error}")))
}

impl ActionKind {
    pub fn default_scope(&self) -> ActionScope {
        self.only_scope().unwrap_or(ActionScope::Host)
    }

    /// The scope of a kind that makes sense in no other.
    pub fn only_scope(&self) -> Option<ActionScope> {
        match self {
            Self::CloseStaleConnections => Some(ActionScope::Process),
            Self::Callable { name, .. } if name == "close_stale_connections" => Some(ActionScope::Process),
            Self::RestartWedgedWorker { .. } | Self::ReloadGunicorn => Some(ActionScope::Host),
            _ => None,
        }
    }

    pub fn scope_reason(&self) -> &'static str {
        match self {
            Self::RestartWedgedWorker { .. } | Self::ReloadGunicorn => "one process acts for all workers",
            _ => "each process closes its own connections",
        }
    }

    /// Whether it can end or restart what serves.
    pub fn may_restart(&self) -> bool {
        let name = match self {
            Self::ReloadGunicorn => "reload_gunicorn",
            Self::RestartWedgedWorker { .. } => "restart_wedged_worker",
            Self::RunCommand(_) => "run_command",
            Self::Callable { name, .. } => name,
            Self::CloseStaleConnections | Self::ResetBreaker { .. } => return false,
        };
        MAY_RESTART.contains(&name)
    }

    /// Acts once, within the context's deadline.
    pub async fn act(&self, engine: &Engine, context: &Context) -> ActionResult {
        match self {
            Self::CloseStaleConnections => {
                process::close_connections();
                ActionResult::Done("connections are closed".to_owned())
            }
            Self::ReloadGunicorn => reload_gunicorn(),
            Self::ResetBreaker { check } => match engine.check(check) {
                Ok(check) => {
                    operate(&check, Operation::Reset, &context.process).await;
                    ActionResult::Done(format!("the circuit breaker of {} is reset", check.name))
                }
                Err(error) => ActionResult::Failed(error.to_string()),
            },
            Self::RestartWedgedWorker { after, signal } => restart(*after, *signal),
            Self::RunCommand(command) => said(command.run(context).await),
            Self::Callable { id, .. } => said(context.process.callables.call(*id, context.time_left()).await),
        }
    }
}

/// What came of a run, as the table needs it. Only a call that no thread has taken has done nothing.
fn said(found: Result<Finding, CheckError>) -> ActionResult {
    match found {
        Ok(found) => ActionResult::Done(found.message),
        Err(CheckError::NotStarted { .. } | CheckError::Withdrawn) => ActionResult::GivenBack,
        Err(error) => ActionResult::Failed(error.to_string()),
    }
}

#[cfg(unix)]
fn restart(after: Duration, signal: Option<i32>) -> ActionResult {
    super::wedge::end_process(after, signal)
}

#[cfg(unix)]
fn reload_gunicorn() -> ActionResult {
    super::wedge::reload_master()
}

#[cfg(not(unix))]
fn restart(_: Duration, _: Option<i32>) -> ActionResult {
    ActionResult::Failed("workers can be restarted on Unix only".to_owned())
}

#[cfg(not(unix))]
fn reload_gunicorn() -> ActionResult {
    ActionResult::Failed("there is no gunicorn on this system".to_owned())
}
