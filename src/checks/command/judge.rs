//! What the end of a command means.

use super::redact::{redact, secret_arguments};
use super::{CommandCheck, Exit};
use crate::model::{CheckError, Finding, Secret, Status};

/// How much of the output is shown, in characters.
const MAX_SHOWN: usize = 2_000;

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
        (Some(code), _) if code == i32::from(check.expect_exit) => {
            (Status::Healthy, format!("{program} ended with {code}"))
        }
        (Some(code), _) => (Status::Error, format!("{program} ended with {code} instead of {}", check.expect_exit)),
        (None, signal) => (Status::Error, format!("{program} was ended by signal {}", signal.unwrap_or_default())),
    };
    let text = String::from_utf8_lossy(&exit.output);
    let lacks_text = check.text.as_deref().is_some_and(|wanted| !text.contains(wanted));
    let (status, message) = match status {
        Status::Healthy if lacks_text => (Status::Error, format!("{message}, but without the expected text")),
        _ => (status, message),
    };
    let argv: Vec<_> = check.argv.iter().map(Secret::expose).collect();
    let secrets = check.environment.values().map(Secret::expose).chain(secret_arguments(&argv));
    let shown: String = redact(&text, &secrets.collect::<Vec<_>>()).trim_end().chars().take(MAX_SHOWN).collect();
    let finding = Finding::new(status, message).with("output", shown);
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

    fn outcome(fields: Value, code: Option<i32>, output: &str) -> String {
        let check: CommandCheck = serde_json::from_value(fields).unwrap();
        let exit = Exit { code, signal: code.is_none().then_some(9), output: output.as_bytes().to_vec() };
        format!("{:?}", judge(&check, &exit).unwrap().status)
    }

    #[test]
    fn judge_each_end() {
        let plain = json!({"argv": ["a"]});
        let nagios = json!({"argv": ["a"], "nagios": true});
        let three = json!({"argv": ["a"], "expect_exit": 3});
        let text = json!({"argv": ["a"], "text": "ok"});
        for (fields, code, output, status) in [
            (&plain, Some(0), "", "Healthy"),
            (&plain, Some(1), "", "Error"),
            (&plain, None, "", "Error"),
            (&three, Some(3), "", "Healthy"),
            (&three, Some(0), "", "Error"),
            (&nagios, Some(0), "", "Healthy"),
            (&nagios, Some(1), "", "Degraded"),
            (&nagios, Some(2), "", "Error"),
            (&nagios, Some(3), "", "Error"),
            (&nagios, Some(127), "", "Error"),
            (&nagios, None, "", "Error"),
            (&text, Some(0), "all ok\n", "Healthy"),
            (&text, Some(0), "failed", "Error"),
        ] {
            assert_eq!(outcome(fields.clone(), code, output), status, "{fields} {code:?}");
        }
    }
}
