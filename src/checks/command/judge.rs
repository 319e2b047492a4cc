//! What the end of a command means.

use super::{CommandCheck, Exit};
use crate::model::{CheckError, Finding, Status};

pub fn judge(check: &CommandCheck, exit: &Exit) -> Result<Finding, CheckError> {
    let program = check.program();
    let (status, message) = match (exit.code, exit.signal) {
        (Some(code), _) if check.nagios => match code {
            0 => (Status::Healthy, format!("{program} reports OK")),
            1 => (Status::Degraded, format!("{program} reports WARNING")),
            2 => (Status::Error, format!("{program} reports CRITICAL")),
            3 => (Status::Error, format!("{program} reports UNKNOWN")),
            _ => (Status::Error, format!("{program} ended with {code}, which is no exit code of a plugin")),
        },
        (Some(code), _) if code == i32::from(check.expect_exit()) => {
            (Status::Healthy, format!("{program} ended with {code}"))
        }
        (Some(code), _) => (Status::Error, format!("{program} ended with {code} instead of {}", check.expect_exit())),
        (None, signal) => (Status::Error, format!("{program} was ended by signal {}", signal.unwrap_or_default())),
    };
    let (status, message) = match status {
        Status::Healthy if !exit.has_text => (Status::Error, format!("{message}, but without the expected text")),
        _ => (status, message),
    };
    let finding = Finding::new(status, message);
    let finding = match &exit.shown {
        Some(shown) => finding.with("output", shown.clone()),
        None => finding,
    };
    Ok(match exit.code {
        Some(code) => finding.with("exit_code", code),
        None => finding.with("signal", exit.signal),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn outcome(fields: Value, code: Option<i32>, has_text: bool) -> String {
        let check: CommandCheck = serde_json::from_value(fields).unwrap();
        let exit = Exit { code, signal: code.is_none().then_some(9), has_text, shown: None };
        format!("{:?}", judge(&check, &exit).unwrap().status)
    }

    #[test]
    fn judge_each_end() {
        let plain = json!({"argv": ["a"]});
        let nagios = json!({"argv": ["a"], "nagios": true});
        let three = json!({"argv": ["a"], "expect_exit": 3});
        let text = json!({"argv": ["a"], "text": "ok"});
        for (fields, code, has_text, status) in [
            (&plain, Some(0), true, "Healthy"),
            (&plain, Some(1), true, "Error"),
            (&plain, None, true, "Error"),
            (&three, Some(3), true, "Healthy"),
            (&three, Some(0), true, "Error"),
            (&nagios, Some(0), true, "Healthy"),
            (&nagios, Some(1), true, "Degraded"),
            (&nagios, Some(2), true, "Error"),
            (&nagios, Some(3), true, "Error"),
            (&nagios, Some(127), true, "Error"),
            (&nagios, None, true, "Error"),
            (&text, Some(0), true, "Healthy"),
            (&text, Some(0), false, "Error"),
        ] {
            assert_eq!(outcome(fields.clone(), code, has_text), status, "{fields} {code:?}");
        }
    }
}
