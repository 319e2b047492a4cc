//! A server and its credentials, as the URL of a protocol without paths names them: `smtp://user:password@host:port`.

use percent_encoding::percent_decode_str;
use url::Url;

use crate::model::{Secret, SpecError};

/// What such a URL names.
#[derive(Debug, PartialEq)]
pub struct ServerUrl {
    pub scheme: String,
    pub host: String,
    pub port: Option<u16>,
    pub username: Option<String>,
    pub password: Option<Secret>,
}

impl ServerUrl {
    /// Reads a URL with one of the `schemes`. No error quotes it: it may hold a password.
    pub fn parse(text: &Secret, schemes: &[&str]) -> Result<Self, SpecError> {
        let wrong = |text: &str| SpecError(format!("url {text}"));
        let expected = || wrong(&format!("must start with {}://", schemes.join(":// or ")));
        let url = Url::parse(text.expose()).map_err(|error| match error {
            url::ParseError::RelativeUrlWithoutBase => expected(),
            url::ParseError::InvalidPort => wrong("must have a port from 1 to 65535"),
            url::ParseError::EmptyHost => wrong("has no host"),
            _ => wrong("is not a valid URL; in a password, characters like / # ? @ must be %-encoded"),
        })?;
        if !schemes.contains(&url.scheme()) || url.cannot_be_a_base() {
            return Err(expected());
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("has no host"))?;
        if url.port() == Some(0) {
            return Err(wrong("must have a port from 1 to 65535, not 0"));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong(
                "must end behind the host and port; in a password, characters like / # ? @ must be %-encoded",
            ));
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(String::from);
        let decoded = |text: &str| decoded(text).map_err(|_| wrong("is not UTF-8 where it is %-encoded"));
        Ok(Self {
            scheme: url.scheme().to_owned(),
            host: decoded(host)?,
            port: url.port(),
            username: Some(decoded(url.username())?).filter(|name| !name.is_empty()),
            password: url.password().map(|text| decoded(text).map(Secret::new)).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(text: &str) -> Result<ServerUrl, SpecError> {
        ServerUrl::parse(&Secret::new(text), &["smtp", "smtps"])
    }

    #[test]
    fn server_url_each_part() {
        let url = |host: &str, port, username: Option<&str>, password: Option<&str>| ServerUrl {
            scheme: "smtp".to_owned(),
            host: host.to_owned(),
            port,
            username: username.map(str::to_owned),
            password: password.map(Secret::new),
        };
        for (text, expected) in [
            ("smtp://h", url("h", None, None, None)),
            ("smtp://h:25/", url("h", Some(25), None, None)),
            ("smtp://u%40x:p%2F%3A@[::1]:25", url("[::1]", Some(25), Some("u@x"), Some("p/:"))),
            ("smtp://u@h", url("h", None, Some("u"), None)),
            ("SMTP://:p@h", url("h", None, None, Some("p"))),
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn server_url_wrong_ones_refused_without_secrets() {
        for (text, said) in [
            ("h:25", "url must start with smtp:// or smtps://"),
            ("secret", "url must start with smtp:// or smtps://"),
            ("http://u:secret@h", "url must start with smtp:// or smtps://"),
            ("smtp:secret", "url must start with smtp:// or smtps://"),
            ("smtp://u:secret@", "url has no host"),
            ("smtp://u:secret@h:0", "url must have a port from 1 to 65535, not 0"),
            ("smtp://u:secret@h:99999", "url must have a port from 1 to 65535"),
            ("smtp://u:sec/ret@h", "url must have a port from 1 to 65535"),
            ("smtp://h/secret", "url must end behind the host and port"),
            ("smtp://h?secret", "url must end behind the host and port"),
            ("smtp://u:%ff@h", "url is not UTF-8 where it is %-encoded"),
        ] {
            let error = parse(text).unwrap_err().0;
            assert!(error.starts_with(said) && !error.contains("secret"), "{text}: {error}");
        }
    }
}
