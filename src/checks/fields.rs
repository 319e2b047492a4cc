//! Fields that specifications of several checks, or of channels of alerts, have.

use hyper::header::HeaderValue;
use url::Url;

use crate::model::{CheckError, SpecError};

/// A value made of the specification at run time: what `Check::validate` has accepted does not fail then.
pub fn validated<T>(value: Result<T, SpecError>) -> Result<T, CheckError> {
    value.map_err(|error| CheckError::Configuration(error.0))
}

/// Refuses what cannot be the name or the address of a server.
pub fn host(field: &str, value: &str) -> Result<(), SpecError> {
    if value.is_empty() {
        return Err(SpecError(format!("{field} must not be empty")));
    }
    let stray = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '@' | '?' | '#');
    if value.contains(stray) {
        // It is not quoted: it may be a URL with a password or a token.
        return Err(SpecError(format!(
            "{field} must be a host name or an address, without spaces, '/', '@', '?' and '#'"
        )));
    }
    Ok(())
}

/// Refuses port 0, which no server can have; `None` is the default port.
pub fn port(field: &str, value: Option<u16>) -> Result<(), SpecError> {
    if value == Some(0) { Err(SpecError(format!("{field} must be from 1 to 65535, not 0"))) } else { Ok(()) }
}

/// The URL that is configured as `field`. Its text is in no error: it may hold credentials.
pub fn url(field: &str, text: &str) -> Result<Url, SpecError> {
    let wrong = |reason: String| Err(SpecError(format!("{field} {reason}")));
    // A browser takes `http:/host` and `http:///host` for `http://host`; here they are mistakes, such as an empty variable.
    let rest = text.split_once(':').and_then(|(_, rest)| rest.strip_prefix("//"));
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && rest.is_none() => {
            wrong("must start with http:// or https://".to_owned())
        }
        Ok(_) if rest.is_some_and(|rest| rest.starts_with(['/', '\\'])) => wrong("has no host".to_owned()),
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.port() == Some(0) => {
            wrong("must have a port from 1 to 65535, not 0".to_owned())
        }
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        Ok(url) if url.cannot_be_a_base() => wrong("must start with http:// or https://".to_owned()),
        Ok(url) => wrong(format!("must start with http:// or https://, not {}://", url.scheme())),
        Err(url::ParseError::RelativeUrlWithoutBase) => wrong("must start with http:// or https://".to_owned()),
        Err(url::ParseError::EmptyHost) => wrong("has no host".to_owned()),
        Err(url::ParseError::InvalidPort) => wrong("must have a port from 1 to 65535".to_owned()),
        Err(_) => wrong("is not a valid URL: its host cannot be a host name or address".to_owned()),
    }
}

/// The URL of a path below a base URL that is configured as `field`.
pub fn url_below(field: &str, base: &str, path: &[&str]) -> Result<Url, SpecError> {
    let mut url = url(field, base)?;
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    Ok(url)
}

/// The value of a header, which is in no debug output.
pub fn header_value(field: &str, value: &str) -> Result<HeaderValue, SpecError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        SpecError(format!("{field} holds characters that an HTTP header cannot carry, such as a line end"))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The default of a flag that is on.
pub fn yes() -> bool {
    true
}

/// A number with one decimal.
pub fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

/// A number of things in words: "1 error", "2 errors".
pub fn counted(thing: &str, number: u64) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// Whether a character moves a terminal's cursor, or changes the order in which the text behind it is shown.
pub fn is_control(c: char) -> bool {
    let is_bidi = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    is_bidi || c.is_control()
}

/// A name from a server or a setting as it is shown: a control character in it is written out, so that it moves no
/// terminal's cursor and starts no line of a log.
pub fn printable(name: &str) -> String {
    name.chars().fold(String::with_capacity(name.len()), |mut shown, c| {
        if is_control(c) {
            shown.extend(c.escape_default())
        } else {
            shown.push(c)
        }
        shown
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn header_value_is_in_no_debug_output() {
        assert!(!format!("{:?}", header_value("api_key", "sk-secret").unwrap()).contains("sk-secret"));
    }

    #[test]
    fn printable_writes_control_characters_out() {
        assert_eq!(printable("größe \"a\" b\\"), "größe \"a\" b\\");
        assert_eq!(printable("ev\u{1b}[31m\n\u{9b}il\0"), r"ev\u{1b}[31m\n\u{9b}il\u{0}");
        assert_eq!(printable("a\u{202e}b\u{2066}c\u{200f}"), r"a\u{202e}b\u{2066}c\u{200f}");
    }

    #[test]
    fn host_each_form() {
        const STRAY: &str = "host must be a host name or an address, without spaces, '/', '@', '?' and '#'";
        for (value, error) in [
            ("example.org", None),
            ("bücher.example", None),
            ("[::1]", None),
            ("10.0.0.1", None),
            ("mail_1.", None),
            ("", Some("host must not be empty")),
            (" ", Some(STRAY)),
            ("a b", Some(STRAY)),
            ("https://a/?token=hunter2", Some(STRAY)),
            ("user:secret@a", Some(STRAY)),
            ("a\n", Some(STRAY)),
        ] {
            assert_eq!(host("host", value).err().map(|error| error.0).as_deref(), error, "{value:?}");
        }
        assert_eq!(port("port", Some(0)).unwrap_err().0, "port must be from 1 to 65535, not 0");
        assert_eq!(port("port", Some(65_535)), Ok(()));
        assert_eq!(port("port", None), Ok(()));
    }
}
