//! A command whose exit code, and output if wanted, are as expected.

#[cfg(unix)]
mod forms;
#[cfg(unix)]
mod groups;
#[cfg(unix)]
mod judge;
#[cfg(unix)]
mod process;
#[cfg(unix)]
mod redact;
#[cfg(unix)]
mod show;

use std::collections::BTreeMap;
use std::path::PathBuf;

use async_trait::async_trait;
use serde::Deserialize;

use crate::checks::Check;
use crate::model::{CheckError, Finding, Secret, SpecError};
use crate::runtime::Context;

/// A command, run without a shell, ends with the exit code `expect_exit` (0) within the check's timeout.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandCheck {
    /// The program and its arguments. It is looked up in `PATH`, and no shell is involved.
    pub argv: Vec<Secret>,
    /// The directory to run it in. Default: that of this process.
    #[serde(default)]
    pub cwd: Option<PathBuf>,
    /// Set beside the variables of this process.
    #[serde(default)]
    pub environment: BTreeMap<String, Secret>,
    #[serde(default)]
    pub expect_exit: Option<u8>,
    /// A text that the output must contain.
    #[serde(default)]
    pub text: Option<String>,
    /// Show the start of the output in details. Secrets are masked in it as far as they are known or look like one.
    #[serde(default)]
    pub show_output: bool,
    /// Judge the exit code as one of a Nagios plugin: 0 healthy, 1 degraded, others an error.
    #[serde(default)]
    pub nagios: bool,
}

#[async_trait]
impl Check for CommandCheck {
    fn validate(&self) -> Result<(), SpecError> {
        let wrong = |text: &str| Err(SpecError(text.to_owned()));
        let has_null = |text: &Secret| text.expose().contains('\0');
        if self.argv.first().is_none_or(Secret::is_empty) {
            return wrong("argv must start with the name of a program");
        }
        if self.argv.iter().any(has_null) || self.environment.values().any(has_null) {
            return wrong("argv and environment must not contain a null character");
        }
        if let Some(name) = self.environment.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
            return wrong(&format!("environment: {name:?} is no name of a variable"));
        }
        if self.text.as_deref() == Some("") {
            return wrong("text must not be empty: every output contains an empty text");
        }
        if self.nagios && self.expect_exit.is_some() {
            return wrong("nagios and expect_exit exclude each other");
        }
        Ok(())
    }

    #[cfg(unix)]
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let exit = process::run(self, context).await?;
        judge::judge(self, &exit)
    }

    #[cfg(not(unix))]
    async fn run(&self, _context: &Context) -> Result<Finding, CheckError> {
        Err(CheckError::Configuration("commands can be checked on Unix only".to_owned()))
    }
}

#[cfg(unix)]
impl CommandCheck {
    fn expect_exit(&self) -> u8 {
        self.expect_exit.unwrap_or(0)
    }

    /// The program's name, as it stands in messages: arguments may be secrets.
    fn program(&self) -> &str {
        self.argv.first().map_or("", Secret::expose)
    }
}

/// How a command ended.
#[cfg(unix)]
#[derive(Clone, Debug, PartialEq)]
pub struct Exit {
    /// `None`: a signal ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// Whether it wrote the text that it should; true without one.
    pub has_text: bool,
    /// What it wrote, without secrets, if it is to be shown.
    pub shown: Option<String>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn validate_wrong_fields_named_without_secrets() {
        for (fields, said) in [
            (json!({"argv": []}), "argv must start with the name of a program"),
            (json!({"argv": ["", "secret"]}), "argv must start with the name of a program"),
            (json!({"argv": ["a", "secret\u{0}"]}), "argv and environment must not contain a null character"),
            (json!({"argv": ["a"], "environment": {"A=B": "secret"}}), "environment: \"A=B\" is no name of a variable"),
            (json!({"argv": ["a"], "text": ""}), "text must not be empty: every output contains an empty text"),
            (json!({"argv": ["a"], "nagios": true, "expect_exit": 1}), "nagios and expect_exit exclude each other"),
            (json!({"argv": ["a"], "nagios": true, "expect_exit": 0}), "nagios and expect_exit exclude each other"),
        ] {
            let check: CommandCheck = serde_json::from_value(fields).unwrap();
            assert_eq!(check.validate().unwrap_err().to_string(), said);
        }
        let right = json!({"argv": ["true"], "cwd": "/", "environment": {"A": ""}, "expect_exit": 3, "text": "x"});
        assert_eq!(serde_json::from_value::<CommandCheck>(right).unwrap().validate(), Ok(()));
    }
}
