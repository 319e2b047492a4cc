//! What is shown of the output of a command.

use super::CommandCheck;
use super::redact::{redact, secret_arguments};
use crate::checks::fields::is_control;
use crate::model::Secret;
use crate::runtime::hidden::hidden;

/// How much of the output is looked at, in bytes.
const MAX_READ: usize = 16 * 1024;
/// How much of it is shown, in characters.
const MAX_SHOWN: usize = 2_000;

/// The start of the output, without secrets, control characters and those that change the direction of text.
pub fn show(check: &CommandCheck, output: &[u8]) -> String {
    let start = match output.get(..MAX_READ) {
        // A secret may have been cut in two: its line is left out.
        Some(start) => start.rsplitn(2, |byte| *byte == b'\n').nth(1).unwrap_or_default(),
        None => output,
    };
    let argv: Vec<_> = check.argv.iter().map(Secret::expose).collect();
    let hidden = hidden();
    let given = check.environment.values().map(Secret::expose).chain(secret_arguments(&argv));
    let text = redact(&String::from_utf8_lossy(start), given.chain(hidden.iter().map(Secret::expose)));
    let text = text.replace("\r\n", "\n");
    let readable = |c: char| if is_control(c) && c != '\n' && c != '\t' { char::REPLACEMENT_CHARACTER } else { c };
    text.trim_end().chars().map(readable).take(MAX_SHOWN).collect()
}
