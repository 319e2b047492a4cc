//! A channel written in Python: its callable is run on a thread of Python's own, which fetches the notice here.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::{Attempt, Channel};
use crate::model::{CheckError, Finding, Notice};
use crate::runtime::{Context, PerProcess, lock};

/// A notice, and what the receiver calls its incident.
type CalledFor = (Notice, Option<String>);

/// What each callable is called for: one notice at a time.
static CALLED_FOR: PerProcess<Mutex<HashMap<u64, CalledFor>>> = PerProcess::new();

/// The notice that a callable is to send, and what the receiver calls its incident.
pub fn notice_for(callable: u64) -> Option<CalledFor> {
    lock(&*CALLED_FOR.get()?).get(&callable).cloned()
}

/// A channel whose callable Python knows by `id`.
pub struct CallableChannel {
    name: String,
    id: u64,
    /// Held during a call; one that the parent of this process holds is none of this process's.
    calling: PerProcess<tokio::sync::Mutex<()>>,
}

impl CallableChannel {
    pub fn new(name: &str, id: u64) -> Self {
        Self { name: name.to_owned(), id, calling: PerProcess::new() }
    }
}

#[async_trait]
impl Channel for CallableChannel {
    fn name(&self) -> &str {
        &self.name
    }

    fn concurrency(&self) -> usize {
        1
    }

    async fn send(&self, context: &Context, notice: &Notice, reference: Option<&str>) -> Attempt {
        let calling = self.calling.get_or_init(Default::default);
        let _calling = calling.lock().await;
        let called_for = CALLED_FOR.get_or_init(Mutex::default);
        lock(&called_for).insert(self.id, (notice.clone(), reference.map(str::to_owned)));
        let reply = context.process.callables.call(self.id, context.time_left()).await;
        attempt_of(reply)
    }
}

/// What a reply means: a finding's details are the result of the attempt.
fn attempt_of(reply: Result<Finding, CheckError>) -> Attempt {
    match reply {
        Ok(Finding { message, details, .. }) => of_details(message, &details),
        Err(error) => {
            // Only a call that no thread has taken has sent nothing.
            let is_unsent = matches!(
                error,
                CheckError::NotStarted { .. } | CheckError::StillRunning { .. } | CheckError::Withdrawn
            );
            Attempt::Failed { answer: error.to_string(), retry_after: None, may_have_arrived: !is_unsent }
        }
    }
}

fn of_details(answer: String, details: &Map<String, Value>) -> Attempt {
    let text = |key| details.get(key).and_then(Value::as_str);
    match text("state") {
        Some("delivered") => Attempt::Delivered { answer, reference: text("reference").map(str::to_owned) },
        Some("refused") => Attempt::Refused { answer },
        _ => {
            let seconds = details.get("retry_after").and_then(Value::as_f64);
            let retry_after = seconds.and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok());
            let may_have_arrived = details.get("may_have_arrived").and_then(Value::as_bool).unwrap_or(true);
            Attempt::Failed { answer, retry_after, may_have_arrived }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn found(details: Value) -> Attempt {
        let details = details.as_object().cloned().unwrap_or_default();
        attempt_of(Ok(Finding { details, ..Finding::healthy("said") }))
    }

    #[test]
    fn attempt_of_each_reply() {
        let answer = || "said".to_owned();
        let failed =
            |retry_after, may_have_arrived| Attempt::Failed { answer: answer(), retry_after, may_have_arrived };
        for (details, expected) in [
            (json!({"state": "delivered"}), Attempt::Delivered { answer: answer(), reference: None }),
            (
                json!({"state": "delivered", "reference": "7"}),
                Attempt::Delivered { answer: answer(), reference: Some("7".to_owned()) },
            ),
            (json!({"state": "refused"}), Attempt::Refused { answer: answer() }),
            (json!({"state": "failed"}), failed(None, true)),
            (
                json!({"state": "failed", "retry_after": 30, "may_have_arrived": false}),
                failed(Some(Duration::from_secs(30)), false),
            ),
        ] {
            assert_eq!(found(details.clone()), expected, "{details}");
        }
        for (error, may_have_arrived) in [
            (CheckError::NotStarted { after: Duration::from_secs(1) }, false),
            (CheckError::StillRunning { seconds: 3 }, false),
            (CheckError::Panicked, true),
        ] {
            let attempt = attempt_of(Err(error.clone()));
            let expected =
                matches!(attempt, Attempt::Failed { may_have_arrived: found, .. } if found == may_have_arrived);
            assert!(expected, "{error:?}: {attempt:?}");
        }
    }
}
