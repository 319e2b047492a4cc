//! The text of an error of the operating system.

use std::io;

/// The operating system's text for an error number, else that of its kind.
pub fn text(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.kind().to_string(), |code| io::Error::from_raw_os_error(code).to_string())
}
