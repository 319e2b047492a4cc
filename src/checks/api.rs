//! What the checks of Google's, OpenAI's and Anthropic's APIs share: the URL below a base, and what a status means.

use hyper::header::HeaderMap;
use serde::Deserialize;
use serde::de::IgnoredAny;
use url::Url;

use super::fields::{url_below, validated};
use crate::model::{CheckError, Finding, SpecError};
use crate::net::Tls;
use crate::net::http::get;
use crate::runtime::Context;

/// The URL of a path below an API's base URL.
pub fn below(base: &str, path: &[&str]) -> Result<Url, SpecError> {
    url_below("base_url", base, path)
}

/// A request for the list of models, which shows whether a key is accepted.
pub struct ModelsRequest {
    pub url: Url,
    pub headers: HeaderMap,
}

/// Sends the request, and judges the status: the body need not fit. Returns how many models there are, too, if known.
///
/// - 200: the key is accepted;
/// - 403, or 401 that names missing scopes: the key is known, but may not list models (a restricted key);
/// - 401: the key is invalid; 429: the API limits our requests.
pub async fn models(
    context: &Context,
    request: Result<ModelsRequest, SpecError>,
    tls: &Tls,
) -> Result<(Finding, Option<usize>), CheckError> {
    #[derive(Deserialize)]
    struct Models {
        data: Vec<IgnoredAny>,
    }
    let ModelsRequest { url, headers } = validated(request)?;
    let response = get(context, url, headers, tls).await?;
    let (target, status) = (response.target.clone(), response.status);
    let body = match response.body().await {
        Ok(body) => body,
        // A server that breaks off does not work, whatever its status; a refusal needs no body.
        Err(error) if status == 200 => return Err(error),
        Err(_) => Vec::new(),
    };
    match status {
        403 => Ok((restricted(&target), None)),
        401 if lacks_scopes(&body) => Ok((restricted(&target), None)),
        _ => match judge(&target, status)? {
            Some(limited) => Ok((limited, None)),
            None => {
                let models = serde_json::from_slice::<Models>(&body).ok();
                Ok((accepted(&target), models.map(|models| models.data.len())))
            }
        },
    }
}

/// What the HTTP status of an API means; `None`: its answer is to be read.
pub fn judge(target: &str, status: u16) -> Result<Option<Finding>, CheckError> {
    let reason = format!("HTTP status {status}");
    match status {
        200 => Ok(None),
        429 => Ok(Some(limited(target, &reason))),
        401 | 403 => Err(denied(target)),
        500.. => Err(CheckError::Unavailable { target: target.to_owned(), reason: reason.into() }),
        _ => Err(CheckError::Rejected { target: target.to_owned(), reason: reason.into() }),
    }
}

/// Whether the body of a 401 or 403 says that the key is known, but lacks a right: OpenAI's "You have insufficient
/// permissions for this operation. Missing scopes: api.model.read."
fn lacks_scopes(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    ["missing scopes", "insufficient permissions"].iter().any(|words| text.contains(words))
}

pub fn accepted(target: &str) -> Finding {
    Finding::healthy(format!("{target} accepted the key")).with("authentication", "valid")
}

fn restricted(target: &str) -> Finding {
    Finding::healthy(format!("{target} knows the key, which may not list models")).with("authentication", "valid")
}

/// An API that works and does not serve us now; it does not always look at the key then.
pub fn limited(target: &str, reason: &str) -> Finding {
    Finding::degraded(format!("{target} limits our requests: {reason}")).with("authentication", "unknown")
}

pub fn denied(target: &str) -> CheckError {
    CheckError::Authentication { target: target.to_owned(), reason: "authentication invalid".into() }
        .with("authentication", "invalid")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
            let judged = judge("https://a", status).map(Option::unwrap);
            let outcome =
                judged.map_or_else(|error| error.code().to_owned(), |finding| format!("{:?}", finding.status));
            assert_eq!(outcome, found, "{status}");
        }
        assert_eq!(judge("https://a", 200), Ok(None));
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
    fn lacks_scopes_by_the_words_of_the_body() {
        for (body, expected) in [
            (&br#"{"error": {"message": "You have insufficient permissions for this operation. Missing scopes: a"}}"#[..], true),
            (b"Missing Scopes: api.model.read", true),
            (br#"{"error": {"message": "Incorrect API key provided"}}"#, false),
            (b"\xff", false),
            (b"", false),
        ] {
            assert_eq!(lacks_scopes(body), expected);
        }
    }
}
