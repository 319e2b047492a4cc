//! One request to a receiver, and what its answer, or the lack of one, means for the notice.
//!
//! | | |
//! |---|---|
//! | 2xx | delivered |
//! | 3xx, 408, 425, 429 | failed: it may be taken later, after `Retry-After` |
//! | 5xx | failed, and may have arrived: a gateway says nothing of what is behind it |
//! | 400, 401, 403, 404, 410, 413, 422, any other 4xx | refused |
//! | no connection | failed, and has not arrived |
//! | no answer to the request | failed, and may have arrived |
//!
//! A `POST` is sent once, over a new connection. No text in an answer comes from the receiver.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Method, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use serde::Serialize;
use tokio::time::{timeout, timeout_at};
use url::Url;

use super::Attempt;
use super::message::in_words;
use crate::model::{CheckError, Phase};
use crate::net::Tls;
use crate::net::http::{HttpRequest, HttpResponse, send};
use crate::policy::report::rounded;
use crate::runtime::Context;

/// No receiver is waited for longer, whatever it says.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);
/// How long the rest of an answer is waited for once its status is known.
const BODY_TIMEOUT: Duration = Duration::from_secs(2);

/// What a receiver answered, as far as a sender can use it.
pub struct Answered {
    pub status: u16,
    /// None where it did not come to its end.
    pub body: Option<Vec<u8>>,
    pub retry_after: Option<Duration>,
}

impl Answered {
    /// How it stands in the answer of an attempt: "202".
    pub fn text(&self) -> String {
        self.status.to_string()
    }
}

/// `POST`s a JSON text once. An attempt that did not succeed comes back as it is to be reported; `advice` says what to do
/// about a status, for the person who reads it.
pub async fn post(
    context: &Context,
    url: &Url,
    headers: HeaderMap,
    body: Vec<u8>,
    tls: &Tls,
    advice: impl Fn(&Answered) -> Option<Cow<'static, str>>,
) -> Result<Answered, Attempt> {
    let mut request =
        HttpRequest { method: Method::POST, url: url.clone(), headers, body: body.into(), records_certificates: false };
    request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let exchange = async {
        let response = send(context, &request, tls).await?;
        let retry_after = response.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|value| pause(value, SystemTime::now()));
        Ok::<_, CheckError>(Answered { status: response.status, retry_after, body: rest(context, response).await })
    };
    match timeout_at(context.deadline(), exchange).await {
        Ok(Ok(answered)) => match judge(&answered, &advice) {
            None => Ok(answered),
            Some(attempt) => Err(attempt),
        },
        Ok(Err(error)) => Err(failed(&error, sent(context) && !is_of_the_way(&error))),
        Err(_elapsed) => Err(timed_out(context, sent(context))),
    }
}

/// A value as JSON. It cannot fail for maps with text keys, as all bodies are.
pub fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// The failure of an attempt that got no answer.
pub fn failed(error: &CheckError, may_have_arrived: bool) -> Attempt {
    Attempt::Failed { answer: format!("{}: {error}", error.code()), retry_after: None, may_have_arrived }
}

/// The failure of an attempt that the deadline has ended.
pub fn timed_out(context: &Context, may_have_arrived: bool) -> Attempt {
    let (after, doing) = (rounded(context.timeout().as_secs_f64(), 3), context.phase().doing());
    let answer = format!("TimeoutError after {after} s ({doing})");
    Attempt::Failed { answer, retry_after: None, may_have_arrived }
}

/// Whether the request was on its way.
fn sent(context: &Context) -> bool {
    context.phase() == Phase::Query
}

/// Whether a proxy, or this process, kept the request from the receiver.
fn is_of_the_way(error: &CheckError) -> bool {
    matches!(error, CheckError::Authentication { .. } | CheckError::Configuration(_))
}

/// The rest of an answer, if it comes soon. It is read also where it is not needed, so that the receiver can finish writing.
async fn rest(context: &Context, response: Box<HttpResponse>) -> Option<Vec<u8>> {
    // A little before the deadline: the status is known already.
    let limit = BODY_TIMEOUT.min(context.time_left() / 2);
    timeout(limit, response.body()).await.ok()?.ok()
}

/// What a status means; none where it is a success.
fn judge(answered: &Answered, advice: impl Fn(&Answered) -> Option<Cow<'static, str>>) -> Option<Attempt> {
    let Answered { status, retry_after, .. } = *answered;
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let mut answer = format!("{status} {}", reason.unwrap_or_default()).trim_end().to_owned();
    if let Some(advice) = advice(answered) {
        answer += &format!(": {advice}");
    }
    match status {
        200..=299 => None,
        // An answer of 1xx is none: what comes after it is not known.
        100..=199 | 300..=399 | 408 | 425 | 429 | 500.. => {
            if let Some(pause) = retry_after {
                answer += &format!(", again in {}", in_words(pause));
            }
            Some(Attempt::Failed { answer, retry_after, may_have_arrived: !(200..500).contains(&status) })
        }
        _ => Some(Attempt::Refused { answer }),
    }
}

/// What `Retry-After` means: a number of seconds, or a date.
fn pause(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let pause = match value.parse::<f64>() {
        // Also a number that no duration can hold.
        Ok(seconds) if seconds >= 0.0 && seconds.is_finite() => {
            Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_PAUSE)
        }
        Ok(_) => return None,
        Err(_) => {
            let at: Timestamp = DateTimeParser::new().parse_timestamp(value).ok()?;
            SystemTime::try_from(at).ok()?.duration_since(now).unwrap_or_default()
        }
    };
    Some(pause.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, retry_after: Option<u64>) -> Option<Attempt> {
        let answered = Answered { status, body: None, retry_after: retry_after.map(Duration::from_secs) };
        judge(&answered, |answered| (answered.status == 404).then(|| "is `url` right?".into()))
    }

    #[test]
    fn status_of_a_receiver() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(judged(status, None), None);
        }
        for (status, answer) in [
            (400, "400 Bad Request"),
            (401, "401 Unauthorized"),
            (403, "403 Forbidden"),
            (404, "404 Not Found: is `url` right?"),
            (405, "405 Method Not Allowed"),
            (410, "410 Gone"),
            (413, "413 Payload Too Large"),
            (422, "422 Unprocessable Entity"),
            (499, "499"),
        ] {
            assert_eq!(judged(status, Some(5)), Some(Attempt::Refused { answer: answer.to_owned() }));
        }
        for (status, pause, answer, may_have_arrived) in [
            (101, None, "101 Switching Protocols", true),
            (302, None, "302 Found", false),
            (408, None, "408 Request Timeout", false),
            (425, None, "425 Too Early", false),
            (429, Some(30), "429 Too Many Requests, again in 30 s", false),
            (500, None, "500 Internal Server Error", true),
            (503, Some(120), "503 Service Unavailable, again in 2 min", true),
            (599, None, "599", true),
        ] {
            let retry_after = pause.map(Duration::from_secs);
            let expected = Attempt::Failed { answer: answer.to_owned(), retry_after, may_have_arrived };
            assert_eq!(judged(status, pause), Some(expected));
        }
    }

    #[test]
    fn retry_after_in_seconds_or_as_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, pause_in_seconds) in [
            ("0", Some(0)),
            ("120", Some(120)),
            (" 30 ", Some(30)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sun, 06 Nov 1994 07:49:37 GMT", Some(0)),
            ("60.0", Some(60)),
            ("18446744073709551615", Some(86_400)),
            ("99999999999999999999999", Some(86_400)),
            ("Thu, 31 Dec 9998 23:59:59 GMT", Some(86_400)),
            ("-1", None),
            ("soon", None),
            ("", None),
            ("nan", None),
            ("inf", None),
        ] {
            assert_eq!(pause(value, now), pause_in_seconds.map(Duration::from_secs), "{value:?}");
        }
    }
}
