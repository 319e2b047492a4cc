//! HTTP: a URL that is answered as expected: by status, text, JSON values and certificate.

mod certificate;
mod conditions;
mod number;
mod redirect;
mod request;
mod status;

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;

use self::certificate::ServerCertificate;
use self::conditions::Conditions;
use self::request::HttpMethod;
use self::status::StatusCodes;
use super::fields::{url, validated};
use crate::checks::Check;
use crate::model::{CheckError, Finding, Secret, SpecError, Status};
use crate::net::Tls;
use crate::net::http::{HttpResponse, send};
use crate::runtime::Context;

/// The most redirects that can be followed; browsers give up after about as many.
const MAX_REDIRECTS: u8 = 20;

/// A request of `url` is answered with `expect_status` (200), and the answer meets the conditions.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpCheck {
    /// `http://` or `https://`, with user and password where the server wants basic authentication.
    pub url: Secret,
    /// Default `GET`. `POST` and `PATCH` are sent once, over a new connection.
    #[serde(default)]
    pub method: HttpMethod,
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Sent as UTF-8, without a `Content-Type` unless `headers` name one.
    #[serde(default)]
    pub body: Option<Secret>,
    /// Default 200. A status, a range such as `"200-299"`, or a list of them.
    #[serde(default = "StatusCodes::ok")]
    pub expect_status: StatusCodes,
    /// A text that the body must contain.
    #[serde(default)]
    pub text: Option<String>,
    /// A text that the body must not contain.
    #[serde(default)]
    pub no_text: Option<String>,
    /// Expected values by JSON pointer: `{"/status": "ok", "/queue/depth": {"$lt": 100}}`, with the operators `$gt`,
    /// `$gte`, `$lt`, `$lte` and `$ne`.
    #[serde(default)]
    pub json: BTreeMap<String, Value>,
    /// Degraded while a server's certificate is valid for fewer days than this: of redirects that are followed, each
    /// server's. Default: not checked.
    #[serde(default)]
    pub certificate_days: Option<u32>,
    /// How many redirects are followed, 20 at most. Default 0: a redirect is an answer.
    #[serde(default)]
    pub follow_redirects: u8,
    #[serde(default)]
    pub tls: Tls,
}

#[async_trait]
impl Check for HttpCheck {
    fn validate(&self) -> Result<(), SpecError> {
        let url = url("url", self.url.expose())?;
        self.header_map()?;
        self.expect_status.ranges()?;
        self.conditions().validate()?;
        if self.method == HttpMethod::Head && !self.conditions().is_empty() {
            return Err(SpecError("text, no_text and json need a body, and a HEAD request gets none".to_owned()));
        }
        if self.follow_redirects > MAX_REDIRECTS {
            let number = self.follow_redirects;
            return Err(SpecError(format!("follow_redirects must be from 0 to {MAX_REDIRECTS}, not {number}")));
        }
        if self.certificate_days.is_some() && url.scheme() == "http" && self.follow_redirects == 0 {
            return Err(SpecError("certificate_days needs a url that starts with https://".to_owned()));
        }
        Ok(())
    }

    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let mut request = validated(self.request())?;
        let mut redirects = 0;
        let mut certificates = Vec::new();
        let response = loop {
            let response = send(context, &request, &self.tls).await?;
            certificates.extend(ServerCertificate::of(&response));
            let next = if redirects < self.follow_redirects && !self.expect_status.contain(response.status) {
                redirect::next(&request, &response.target, response.status, &response.headers)?
            } else {
                None
            };
            let Some(next) = next else { break response };
            request = next;
            // Read, so that the connection is kept.
            response.body().await?;
            redirects += 1;
        };
        self.judge(response, redirects, certificates).await
    }
}

impl HttpCheck {
    fn conditions(&self) -> Conditions<'_> {
        Conditions { text: self.text.as_deref(), no_text: self.no_text.as_deref(), json: &self.json }
    }

    async fn judge(
        &self,
        response: Box<HttpResponse>,
        redirects: u8,
        certificates: Vec<ServerCertificate>,
    ) -> Result<Finding, CheckError> {
        let (target, status) = (response.target.clone(), response.status);
        let coding = conditions::coding(&response.headers);
        // A server whose body never ends does not work, whatever its status.
        let body = response.body().await?;
        let mut finding = judge_status(&target, status, &self.expect_status)?;
        if redirects > 0 {
            finding = finding.with("redirects", redirects);
        }
        let unmet = self.conditions().unmet(&body, coding);
        if !unmet.is_empty() {
            finding.status = Status::Error;
            finding.message = format!("{target} answered {status}, but {}", unmet.join(", "));
            finding = finding.with("unmet_conditions", unmet);
        }
        Ok(match self.certificate_days {
            Some(days) => certificate::judge(finding, &target, certificates, days),
            None => finding,
        })
    }
}

fn judge_status(target: &str, status: u16, expected: &StatusCodes) -> Result<Finding, CheckError> {
    if expected.contain(status) {
        return Ok(Finding::healthy(format!("{target} answered {status}")).with("status_code", status));
    }
    let target = target.to_owned();
    let reason = format!("HTTP status {status} instead of {expected}").into();
    let error = match status {
        500.. => CheckError::Unavailable { target, reason },
        ..400 => CheckError::Unexpected { target, reason },
        _ => CheckError::Rejected { target, reason },
    };
    Err(error.with("status_code", status))
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
            let expected = serde_json::from_value(json!(expected)).unwrap();
            let judged = judge_status("http://a", status, &expected);
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
            (json!({"url": "http:///path/x"}), "url has no host"),
            (json!({"url": "http:/x/path"}), "url must start with http:// or https://"),
            (json!({"url": "http://h:0/secret"}), "url must have a port from 1 to 65535, not 0"),
            (json!({"url": "http://h:99999/secret"}), "url must have a port from 1 to 65535"),
            (json!({"url": "http://a b/secret"}), "url is not a valid URL: its host cannot be a host name or address"),
            (
                json!({"url": "http://h", "expect_status": 600}),
                "expect_status must be an HTTP status from 100 to 599, not 600",
            ),
            (json!({"url": "http://h", "follow_redirects": 21}), "follow_redirects must be from 0 to 20, not 21"),
            (
                json!({"url": "http://h", "certificate_days": 14}),
                "certificate_days needs a url that starts with https://",
            ),
            (
                json!({"url": "http://h", "method": "HEAD", "text": "x"}),
                "text, no_text and json need a body, and a HEAD request gets none",
            ),
            (json!({"url": "http://h", "headers": {"a b": "secret"}}), "headers: \"a b\" is not an HTTP header name"),
            (
                json!({"url": "http://h", "headers": {"X-Key": "secret\n"}}),
                "headers[\"X-Key\"] holds characters that an HTTP header cannot carry, such as a line end",
            ),
            (
                json!({"url": "http://h", "headers": {"content-length": "9"}}),
                "headers: \"content-length\" cannot be set: the length of the body and the connection are managed by the \
                 engine",
            ),
            (
                json!({"url": "http://h", "headers": {"Connection": "close"}}),
                "headers: \"Connection\" cannot be set: the length of the body and the connection are managed by the engine",
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
            json!({"url": "https://h", "certificate_days": 14, "method": "HEAD"}),
            json!({"url": "http://h", "certificate_days": 14, "follow_redirects": 20}),
            json!({"url": "http://h", "method": "POST", "body": "{}", "json": {"": {"$ne": null}}}),
        ] {
            assert_eq!(validation(&fields), Ok(()), "{fields}");
        }
    }
}
