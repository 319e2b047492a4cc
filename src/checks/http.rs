//! HTTP: a URL that answers with the expected status, and the APIs of Google Maps, OpenAI and Anthropic.

use crate::model::Secret;
use crate::net::Tls;
use async_trait::async_trait;
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

use crate::checks::Check;
use crate::model::{CheckError, Finding};
use crate::net::http::{Answer, get};
use crate::runtime::Context;

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
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let url = parse("url", self.url.expose())?;
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let known = HeaderName::from_bytes(name.as_bytes());
            let known = known.map_err(|_| CheckError::Configuration(format!("{name:?} is no HTTP header name")))?;
            headers.append(known, header(name, value.expose())?);
        }
        let answer = get(context, url, headers, &self.tls).await?;
        judge_status(&answer.target, answer.status, self.expect_status)
    }
}

/// Google's geocoding API answers and accepts the key.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoogleMapsCheck {
    pub api_key: Secret,
    #[serde(default)]
    pub base_url: Option<String>,
    #[serde(default)]
    pub tls: Tls,
}

#[async_trait]
impl Check for GoogleMapsCheck {
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        #[derive(Deserialize)]
        struct Geocode {
            status: String,
        }
        let base = self.base_url.as_deref().unwrap_or("https://maps.googleapis.com");
        let mut url = below(base, &["maps", "api", "geocode", "json"])?;
        url.query_pairs_mut()
            .append_pair("address", "1600 Amphitheatre Parkway, Mountain View, CA")
            .append_pair("key", self.api_key.expose());
        let answer = get(context, url, HeaderMap::new(), &self.tls).await?;
        if let Some(limited) = judge_api(&answer.target, answer.status)? {
            return Ok(limited);
        }
        let Geocode { status } = json(&answer, "the Geocoding API")?;
        judge_geocode(&answer.target, &status)
    }
}

/// A list of models, as OpenAI and Anthropic answer it.
#[derive(Deserialize)]
struct Models {
    data: Vec<IgnoredAny>,
}

/// OpenAI's API, or one that speaks it at `base_url`, accepts the key.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenAiCheck {
    pub api_key: Secret,
    /// With the version, as OpenAI's own clients take it: `https://api.openai.com/v1`.
    #[serde(default)]
    pub base_url: Option<String>,
    #[serde(default)]
    pub tls: Tls,
}

#[async_trait]
impl Check for OpenAiCheck {
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let url = below(self.base_url.as_deref().unwrap_or("https://api.openai.com/v1"), &["models"])?;
        let bearer = header("api_key", &format!("Bearer {}", self.api_key.expose()))?;
        let answer = get(context, url, HeaderMap::from_iter([(AUTHORIZATION, bearer)]), &self.tls).await?;
        if let Some(limited) = judge_api(&answer.target, answer.status)? {
            return Ok(limited);
        }
        let Models { data } = json(&answer, "the OpenAI API")?;
        Ok(accepted(&answer.target).with("models_available", data.len()))
    }
}

/// Anthropic's API, or one that speaks it at `base_url`, accepts the key.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnthropicCheck {
    pub api_key: Secret,
    /// Without the version, as Anthropic's own clients take it: `https://api.anthropic.com`.
    #[serde(default)]
    pub base_url: Option<String>,
    #[serde(default)]
    pub tls: Tls,
}

#[async_trait]
impl Check for AnthropicCheck {
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let url = below(self.base_url.as_deref().unwrap_or("https://api.anthropic.com"), &["v1", "models"])?;
        let headers = HeaderMap::from_iter([
            (HeaderName::from_static("x-api-key"), header("api_key", self.api_key.expose())?),
            (HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01")),
        ]);
        let answer = get(context, url, headers, &self.tls).await?;
        if let Some(limited) = judge_api(&answer.target, answer.status)? {
            return Ok(limited);
        }
        // Not counted: the list comes in pages.
        let Models { .. } = json(&answer, "the Anthropic API")?;
        Ok(accepted(&answer.target))
    }
}

/// What is configured as `name`, as a URL.
fn parse(name: &str, url: &str) -> Result<Url, CheckError> {
    let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    parsed.ok_or_else(|| CheckError::Configuration(format!("{name} is no valid http or https URL")))
}

/// The URL of a path below an API's base URL.
fn below(base: &str, path: &[&str]) -> Result<Url, CheckError> {
    let mut url = parse("base_url", base)?;
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    Ok(url)
}

/// A header that is in no debug output.
fn header(name: &str, value: &str) -> Result<HeaderValue, CheckError> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        CheckError::Configuration(format!(
            "{name} holds characters that an HTTP header cannot carry, such as a line end"
        ))
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn json<'a, T: Deserialize<'a>>(answer: &'a Answer, expected: &'static str) -> Result<T, CheckError> {
    serde_json::from_slice(&answer.body)
        .map_err(|_| CheckError::Protocol { target: answer.target.clone(), expected: expected.into() })
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

/// What the HTTP status of an API means; `None`: its answer is to be read.
fn judge_api(target: &str, status: u16) -> Result<Option<Finding>, CheckError> {
    let reason = format!("HTTP status {status}");
    match status {
        200 => Ok(None),
        429 => Ok(Some(limited(target, &reason))),
        401 | 403 => Err(denied(target)),
        500.. => Err(CheckError::Unavailable { target: target.to_owned(), reason: reason.into() }),
        _ => Err(CheckError::Rejected { target: target.to_owned(), reason: reason.into() }),
    }
}

/// What the status in the answer of the Geocoding API means:
/// <https://developers.google.com/maps/documentation/geocoding/requests-geocoding#StatusCodes>
fn judge_geocode(target: &str, status: &str) -> Result<Finding, CheckError> {
    let reason = status.to_owned().into();
    let error = match status {
        "OK" | "ZERO_RESULTS" => return Ok(accepted(target).with("api_status", status)),
        "OVER_QUERY_LIMIT" | "OVER_DAILY_LIMIT" => return Ok(limited(target, status).with("api_status", status)),
        "REQUEST_DENIED" => denied(target),
        "INVALID_REQUEST" => CheckError::Rejected { target: target.to_owned(), reason },
        "UNKNOWN_ERROR" => CheckError::Unavailable { target: target.to_owned(), reason },
        // Not one of the documented words: it is not repeated.
        _ => return Err(CheckError::Protocol { target: target.to_owned(), expected: "the Geocoding API".into() }),
    };
    Err(error.with("api_status", status))
}

fn accepted(target: &str) -> Finding {
    Finding::healthy(format!("{target} accepted the key")).with("authentication", "valid")
}

/// An API that works and will not serve us now; it does not always look at the key then.
fn limited(target: &str, said: &str) -> Finding {
    Finding::degraded(format!("{target} limits our requests: {said}")).with("authentication", "unknown")
}

fn denied(target: &str) -> CheckError {
    CheckError::Authentication { target: target.to_owned(), reason: "authentication invalid".into() }
        .with("authentication", "invalid")
}

fn ok() -> u16 {
    200
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::Status;

    fn outcome(judged: Result<Finding, CheckError>) -> String {
        judged.map_or_else(|error| error.code().to_owned(), |finding| format!("{:?}", finding.status))
    }

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
            assert_eq!(outcome(judge_status("http://a", status, expected)), found, "{status} for {expected}");
        }
    }

    #[test]
    fn status_of_an_api() {
        for (status, found) in [
            (429, "Degraded"),
            (401, "AuthenticationError"),
            (403, "AuthenticationError"),
            (302, "RequestRejectedError"),
            (404, "RequestRejectedError"),
            (500, "UnavailableError"),
            (529, "UnavailableError"),
        ] {
            assert_eq!(outcome(judge_api("https://a", status).map(Option::unwrap)), found, "{status}");
        }
        assert_eq!(judge_api("https://a", 200), Ok(None));
    }

    #[test]
    fn status_of_the_geocoding_api() {
        for (status, found) in [
            ("OK", "Healthy"),
            ("ZERO_RESULTS", "Healthy"),
            ("OVER_QUERY_LIMIT", "Degraded"),
            ("OVER_DAILY_LIMIT", "Degraded"),
            ("REQUEST_DENIED", "AuthenticationError"),
            ("INVALID_REQUEST", "RequestRejectedError"),
            ("UNKNOWN_ERROR", "UnavailableError"),
            ("ok", "ProtocolError"),
        ] {
            assert_eq!(outcome(judge_geocode("https://a", status)), found, "{status}");
        }
        assert_eq!(judge_geocode("https://a", "OK").unwrap().status, Status::Healthy);
    }

    #[test]
    fn urls_below_a_base() {
        for (base, url) in [
            ("https://api.openai.com/v1", Some("https://api.openai.com/v1/models")),
            ("https://api.openai.com/v1/", Some("https://api.openai.com/v1/models")),
            ("http://[::1]:8080", Some("http://[::1]:8080/models")),
            ("ftp://api.openai.com", None),
            ("api.openai.com/v1", None),
            ("", None),
        ] {
            assert_eq!(below(base, &["models"]).ok().as_ref().map(Url::as_str), url, "{base}");
        }
    }

    #[test]
    fn a_key_that_is_no_header_is_not_shown() {
        let error = header("api_key", "sk-secret\n").unwrap_err().to_string();
        assert!(error.starts_with("api_key holds") && !error.contains("sk-secret"), "{error}");
        assert!(!format!("{:?}", header("api_key", "sk-secret").unwrap()).contains("sk-secret"));
        assert!(!parse("url", "postgres://u:secret@h").unwrap_err().to_string().contains("secret"));
    }
}
