//! Google Maps: the Geocoding API accepts the key.

use async_trait::async_trait;
use hyper::header::HeaderMap;
use serde::Deserialize;
use url::Url;

use super::api;
use super::fields::validated;
use crate::checks::Check;
use crate::model::{CheckError, Finding, Secret, SpecError};
use crate::net::Tls;
use crate::net::http::get;
use crate::runtime::Context;

/// Google's geocoding API accepts the key.
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
    fn validate(&self) -> Result<(), SpecError> {
        self.url().map(drop)
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        #[derive(Deserialize)]
        struct Geocode {
            status: String,
        }
        let response = get(context, validated(self.url())?, HeaderMap::new(), &self.tls).await?;
        let target = response.target.clone();
        if let Some(limited) = api::judge(&target, response.status)? {
            return Ok(limited);
        }
        match serde_json::from_slice(&response.body().await?) {
            Ok(Geocode { status }) => judge(&target, &status),
            Err(_) => Err(CheckError::Protocol { target, expected: "the Geocoding API".into() }),
        }
    }
}

impl GoogleMapsCheck {
    fn url(&self) -> Result<Url, SpecError> {
        let base = self.base_url.as_deref().unwrap_or("https://maps.googleapis.com");
        let mut url = api::below(base, &["maps", "api", "geocode", "json"])?;
        url.query_pairs_mut()
            .append_pair("address", "1600 Amphitheatre Parkway, Mountain View, CA")
            .append_pair("key", self.api_key.expose());
        Ok(url)
    }
}

/// What the status in the answer of the Geocoding API means:
/// <https://developers.google.com/maps/documentation/geocoding/requests-geocoding#StatusCodes>
fn judge(target: &str, status: &str) -> Result<Finding, CheckError> {
    let reason = status.to_owned().into();
    let error = match status {
        "OK" | "ZERO_RESULTS" => return Ok(api::accepted(target).with("api_status", status)),
        "OVER_QUERY_LIMIT" | "OVER_DAILY_LIMIT" => return Ok(api::limited(target, status).with("api_status", status)),
        "REQUEST_DENIED" => api::denied(target),
        "INVALID_REQUEST" => CheckError::Rejected { target: target.to_owned(), reason },
        "UNKNOWN_ERROR" => CheckError::Unavailable { target: target.to_owned(), reason },
        // Not one of the documented words: it is not repeated.
        _ => return Err(CheckError::Protocol { target: target.to_owned(), expected: "the Geocoding API".into() }),
    };
    Err(error.with("api_status", status))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let judged = judge("https://a", status);
            let outcome =
                judged.map_or_else(|error| error.code().to_owned(), |finding| format!("{:?}", finding.status));
            assert_eq!(outcome, found, "{status}");
        }
    }
}
