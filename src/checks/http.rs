//! HTTP: a URL that is answered with the expected status.

use std::collections::BTreeMap;

use async_trait::async_trait;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use serde::Deserialize;
use url::Url;

use super::fields::validated;
use crate::checks::Check;
use crate::model::{CheckError, Finding, Secret, SpecError};
use crate::net::Tls;
use crate::net::http::get;
use crate::runtime::Context;

/// What a request without a body, on a connection that may be kept, can only have one way.
const RESERVED: [HeaderName; 7] = [
    CONNECTION,
    CONTENT_LENGTH,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];
const WHY_RESERVED: &str = "the request has no body, and its connection is managed by the engine";

/// A `GET` of `url` is answered with `expect_status` (200).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpCheck {
    pub url: Secret,
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    #[serde(default = "ok")]
    pub expect_status: u16,
    #[serde(default)]
    pub tls: Tls,
}

#[async_trait]
impl Check for HttpCheck {
    fn validate(&self) -> Result<(), SpecError> {
        url("url", self.url.expose())?;
        self.header_map()?;
        match self.expect_status {
            100..=599 => Ok(()),
            other => Err(SpecError(format!("expect_status must be an HTTP status from 100 to 599, not {other}"))),
        }
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let (url, headers) = (validated(url("url", self.url.expose()))?, validated(self.header_map())?);
        let response = get(context, url, headers, &self.tls).await?;
        let (target, status) = (response.target.clone(), response.status);
        // A server whose body never ends does not work, whatever its status.
        response.body().await?;
        judge_status(&target, status, self.expect_status)
    }
}

impl HttpCheck {
    fn header_map(&self) -> Result<HeaderMap, SpecError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let known = HeaderName::from_bytes(name.as_bytes());
            let known = known.map_err(|_| SpecError(format!("headers: {name:?} is not an HTTP header name")))?;
            if RESERVED.contains(&known) {
                return Err(SpecError(format!("headers: {name:?} cannot be set: {WHY_RESERVED}")));
            }
            if known == HOST && headers.contains_key(HOST) {
                return Err(SpecError("headers: Host is given twice, in upper and lower case".to_owned()));
            }
            headers.append(known, header_value(&format!("headers[{name:?}]"), value.expose())?);
        }
        Ok(headers)
    }
}

/// The URL that is configured as `field`. Its text is in no error: it may hold credentials.
pub(super) fn url(field: &str, text: &str) -> Result<Url, SpecError> {
    let wrong = |reason: String| Err(SpecError(format!("{field} {reason}")));
    match Url::parse(text) {
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

/// The value of a header, which is in no debug output.
pub(super) fn header_value(field: &str, value: &str) -> Result<HeaderValue, SpecError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        SpecError(format!("{field} holds characters that an HTTP header cannot carry, such as a line end"))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn judge_status(target: &str, status: u16, expected: u16) -> Result<Finding, CheckError> {
    if status == expected {
        return Ok(Finding::healthy(format!("{target} answered {status}")).with("status_code", status));
    }
    let target = target.to_owned();
    let reason = format!("HTTP status {status} instead of {expected}").into();
    let error = match status {
        500.. => CheckError::Unavailable { target, reason },
        _ => CheckError::Rejected { target, reason },
    };
    Err(error.with("status_code", status))
}

fn ok() -> u16 {
    200
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn expected_status() {
        for (status, expected, found) in [
            (200, 200, "Healthy"),
            (503, 503, "Healthy"),
            (301, 200, "RequestRejectedError"),
            (404, 200, "RequestRejectedError"),
            (200, 204, "RequestRejectedError"),
            (500, 200, "UnavailableError"),
            (599, 200, "UnavailableError"),
        ] {
            let judged = judge_status("http://a", status, expected);
            let outcome =
                judged.map_or_else(|error| error.code().to_owned(), |finding| format!("{:?}", finding.status));
            assert_eq!(outcome, found, "{status} for {expected}");
        }
    }

    fn validation(fields: &Value) -> Result<(), SpecError> {
        serde_json::from_value::<HttpCheck>(fields.clone()).unwrap().validate()
    }

    #[test]
    fn validate_wrong_fields_named_without_secrets() {
        for (fields, said) in [
            (json!({"url": "example.org/secret"}), "url must start with http:// or https://"),
            (json!({"url": "localhost:8000/secret"}), "url must start with http:// or https://"),
            (json!({"url": ""}), "url must start with http:// or https://"),
            (json!({"url": "ftp://u:secret@h"}), "url must start with http:// or https://, not ftp://"),
            (json!({"url": "http://"}), "url has no host"),
            (json!({"url": "http://h:0/secret"}), "url must have a port from 1 to 65535, not 0"),
            (json!({"url": "http://h:99999/secret"}), "url must have a port from 1 to 65535"),
            (json!({"url": "http://a b/secret"}), "url is not a valid URL: its host cannot be a host name or address"),
            (
                json!({"url": "http://h", "expect_status": 0}),
                "expect_status must be an HTTP status from 100 to 599, not 0",
            ),
            (
                json!({"url": "http://h", "expect_status": 600}),
                "expect_status must be an HTTP status from 100 to 599, not 600",
            ),
            (json!({"url": "http://h", "headers": {"a b": "secret"}}), "headers: \"a b\" is not an HTTP header name"),
            (
                json!({"url": "http://h", "headers": {"X-Key": "secret\n"}}),
                "headers[\"X-Key\"] holds characters that an HTTP header cannot carry, such as a line end",
            ),
            (
                json!({"url": "http://h", "headers": {"content-length": "9"}}),
                "headers: \"content-length\" cannot be set: the request has no body, and its connection is managed by the \
                 engine",
            ),
            (
                json!({"url": "http://h", "headers": {"Transfer-Encoding": "chunked"}}),
                "headers: \"Transfer-Encoding\" cannot be set: the request has no body, and its connection is managed by \
                 the engine",
            ),
            (
                json!({"url": "http://h", "headers": {"Connection": "close"}}),
                "headers: \"Connection\" cannot be set: the request has no body, and its connection is managed by the engine",
            ),
            (
                json!({"url": "http://h", "headers": {"Host": "a", "host": "b"}}),
                "headers: Host is given twice, in upper and lower case",
            ),
        ] {
            assert_eq!(validation(&fields).unwrap_err().to_string(), said, "{fields}");
        }
    }

    #[test]
    fn validate_right_fields() {
        for fields in [
            json!({"url": "http://h"}),
            json!({"url": "https://user:p%40ss@[::1]:8443/a?b=c#d", "expect_status": 599}),
            json!({"url": "http://bücher.example", "headers": {"X-Key": "a", "x-key": "b", "Host": "c"}}),
        ] {
            assert_eq!(validation(&fields), Ok(()), "{fields}");
        }
    }

    #[test]
    fn header_value_is_in_no_debug_output() {
        assert!(!format!("{:?}", header_value("api_key", "sk-secret").unwrap()).contains("sk-secret"));
    }
}
