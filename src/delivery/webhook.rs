//! A webhook that is signed as <https://www.standardwebhooks.com> has it, so that a receiver can verify who sent it.
//!
//! The id is the same for all attempts of a notice: by it a receiver recognises a repetition. The signature covers
//! id, time of the attempt and body; with several secrets there are as many signatures, so that each side can change its
//! secret at its own time. A receiver that answers 410 wants nothing more, and gets nothing more from this process.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::header::{HeaderMap, HeaderName};
use ring::hmac;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::answer::{self, Answered, post};
use super::message;
use super::{Attempt, Channel};
use crate::checks::fields;
use crate::model::{Notice, NoticeKind, Secret, SpecError};
use crate::net::Tls;
use crate::policy::report::timestamp;
use crate::runtime::Context;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
/// More would not fit into a header.
const MAX_SECRETS: usize = 10;

/// A receiver of signed webhooks.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSpec {
    /// `http://` or `https://`, with user and password where the receiver wants basic authentication. Redirects are not
    /// followed.
    pub url: Secret,
    /// `whsec_` and the base64 of 24 to 64 bytes. While the receiver changes its secret: the new and the old one.
    pub secrets: Vec<Secret>,
    #[serde(default)]
    pub tls: Tls,
}

impl WebhookSpec {
    pub fn build(self, name: &str) -> Result<WebhookChannel, SpecError> {
        let url = fields::url("url", self.url.expose())?;
        if !(1..=MAX_SECRETS).contains(&self.secrets.len()) {
            let given = self.secrets.len();
            return Err(SpecError(format!("secrets must be a list of 1 to {MAX_SECRETS} secrets, not of {given}")));
        }
        let keys = self.secrets.iter().enumerate().map(|(number, secret)| {
            key(secret).ok_or_else(|| {
                SpecError(format!("secrets[{number}] must be \"whsec_\" and the base64 of 24 to 64 random bytes"))
            })
        });
        let keys = keys.collect::<Result<_, _>>()?;
        Ok(WebhookChannel { name: name.to_owned(), url, keys, tls: self.tls, is_off: AtomicBool::new(false) })
    }
}

fn key(secret: &Secret) -> Option<hmac::Key> {
    let bytes = BASE64_STANDARD.decode(secret.expose().strip_prefix("whsec_")?).ok()?;
    (24..=64).contains(&bytes.len()).then(|| hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

pub struct WebhookChannel {
    name: String,
    url: Url,
    keys: Vec<hmac::Key>,
    tls: Tls,
    /// The receiver has answered 410.
    is_off: AtomicBool,
}

#[async_trait]
impl Channel for WebhookChannel {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, context: &Context, notice: &Notice, _reference: Option<&str>) -> Attempt {
        if self.is_off.load(Ordering::Relaxed) {
            let answer = "not sent: the receiver has answered 410 Gone before; change the url, or restart".to_owned();
            return Attempt::Refused { answer };
        }
        let body = answer::json(&body(notice));
        let headers = match self.signed(&message::id(notice), SystemTime::now(), &body) {
            Ok(headers) => headers,
            Err(error) => return Attempt::Refused { answer: error.0 },
        };
        match post(context, &self.url, headers, body, &self.tls, |answered| self.advice(answered)).await {
            Ok(answered) => Attempt::Delivered { answer: answered.text(), reference: None },
            Err(attempt) => attempt,
        }
    }
}

impl WebhookChannel {
    /// The headers of an attempt.
    fn signed(&self, id: &str, at: SystemTime, body: &[u8]) -> Result<HeaderMap, SpecError> {
        let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
        let signed = [id.as_bytes(), seconds.as_bytes(), body].join(&b'.');
        let signatures = self.keys.iter().map(|key| format!("v1,{}", BASE64_STANDARD.encode(hmac::sign(key, &signed))));
        let signatures = signatures.collect::<Vec<_>>().join(" ");
        let header = |name: HeaderName, value: &str| Ok((name, fields::header_value("the notice's id", value)?));
        [header(ID, id), header(TIMESTAMP, &seconds), header(SIGNATURE, &signatures)].into_iter().collect()
    }

    /// Notes what a 410 means beside saying so.
    fn advice(&self, answered: &Answered) -> Option<Cow<'static, str>> {
        match answered.status {
            401 | 403 => Some("does the receiver have one of the secrets?".into()),
            410 => {
                self.is_off.store(true, Ordering::Relaxed);
                Some("the receiver wants no more notices, and gets none from this process".into())
            }
            300..=399 => Some("redirects are not followed: is url the final one?".into()),
            _ => None,
        }
    }
}

/// The same for all attempts.
fn body(notice: &Notice) -> serde_json::Value {
    let kind = match notice.kind {
        NoticeKind::Triggered => "incident.triggered",
        NoticeKind::Acknowledged => "incident.acknowledged",
        NoticeKind::Reminded => "incident.reminded",
        NoticeKind::Resolved => "incident.resolved",
    };
    json!({"type": kind, "timestamp": timestamp(notice.at), "data": message::data(notice)})
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use std::time::Duration;

    use super::super::sample::{notice, resolved};
    use super::*;

    /// The base64 of 24 and of 64 bytes.
    const SHORTEST: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SECRET: &str = "c2VjcmV0";

    fn channel(fields: serde_json::Value) -> Result<WebhookChannel, String> {
        let spec: WebhookSpec = serde_json::from_value(fields).unwrap();
        spec.build("hook").map_err(|error| error.0)
    }

    #[test]
    fn body_has_the_documented_keys_in_order() {
        let text = body(&notice()).to_string();
        assert_eq!(
            text,
            concat!(
                r#"{"type":"incident.triggered","timestamp":"2026-11-29T14:12:30.000000Z","data":{"#,
                r#""dedup_key":"lifesigns/shop/database_connectivity","incident_id":"incident-7","application":"shop","#,
                r#""check":"database_connectivity","status":"error","severity":"critical","#,
                r#""since":"2026-11-29T14:00:00.000000Z","message":"127.0.0.1:5432 refused the connection","#,
                r#""blocked":["postgis_extension","connection_pool"],"#,
                r#""instances":{"failing":2,"total":3,"names":["web-1","web-2"]},"#,
                r#""runbook":"https://wiki.example.org/db","url":"https://shop.example.org/health/dashboard/"}}"#,
            )
        );
        assert_eq!(body(&resolved())["type"], "incident.resolved");
        for kind in [NoticeKind::Acknowledged, NoticeKind::Reminded] {
            let acknowledged = Notice { kind, acknowledged_by: Some("Ada".to_owned()), ..notice() };
            assert_eq!(body(&acknowledged)["data"]["acknowledged_by"], "Ada");
        }
    }

    #[test]
    fn signature_is_that_of_the_reference() {
        // The example of the reference implementations.
        let channel = channel(json!({"url": "http://h", "secrets": [SHORTEST, SHORTEST]})).unwrap();
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_614_265_330);
        let headers = channel.signed("msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#).unwrap();
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(headers[SIGNATURE], format!("{signature} {signature}"));
        assert_eq!(headers[ID], "msg_p5jXN8AQM9LWM0D4loKWxJek");
        assert_eq!(headers[TIMESTAMP], "1614265330");
    }

    #[test]
    fn spec_each_form() {
        let longest = format!("whsec_{}", BASE64_STANDARD.encode([7; 64]));
        assert!(channel(json!({"url": "https://u:p@h/x?y", "secrets": [SHORTEST, longest]})).is_ok());
        let wrong = "secrets[1] must be \"whsec_\" and the base64 of 24 to 64 random bytes";
        let long = format!("whsec_{}", BASE64_STANDARD.encode([7; 65]));
        for secret in [SECRET, &SHORTEST[6..], "whsec_c2VjcmV0", "whsec_*", &long, ""] {
            let fields = json!({"url": "http://h", "secrets": [SHORTEST, secret]});
            assert_eq!(channel(fields).err().unwrap(), wrong, "{secret}");
        }
        for (fields, said) in [
            (json!({"url": "hooks", "secrets": [SHORTEST]}), "url must start with http:// or https://"),
            (json!({"url": "http://h", "secrets": []}), "secrets must be a list of 1 to 10 secrets, not of 0"),
        ] {
            assert_eq!(channel(fields).err().unwrap(), said);
        }
    }

    #[tokio::test]
    async fn receiver_that_is_gone_gets_nothing_more() {
        use crate::runtime::Process;
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let channel = channel(json!({"url": url, "secrets": [SHORTEST]})).unwrap();
        let context = Context::new(Process::current().unwrap(), Duration::from_secs(10));
        let receive = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 100];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        };
        let notice = notice();
        let (sent, ()) = tokio::join!(channel.send(&context, &notice, None), receive);
        let answer = "410 Gone: the receiver wants no more notices, and gets none from this process".to_owned();
        assert_eq!(sent, Attempt::Refused { answer });
        drop(listener);
        let again = channel.send(&context, &notice, None).await;
        assert!(matches!(again, Attempt::Refused { answer } if answer.starts_with("not sent")));
    }
}
