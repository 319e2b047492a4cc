//! What RabbitMQ's management plugin knows beside the broker: the messages that consumers have taken.

use std::time::{SystemTime, UNIX_EPOCH};

use hyper::header::HeaderMap;
use serde::Deserialize;

use super::spec::{AmqpPendingTasksCheck, AmqpServer};
use crate::checks::api::below;
use crate::checks::fields::validated;
use crate::model::{CheckError, Phase};
use crate::net::http::get;
use crate::runtime::Context;

const COLUMNS: &str = "name,messages_unacknowledged,head_message_timestamp";

/// Messages that consumers have taken and not finished, and the age of the oldest that waits, where messages have a time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Taken {
    pub messages: Option<u64>,
    pub oldest_seconds: Option<f64>,
}

#[derive(Deserialize)]
struct QueueRow {
    name: String,
    messages_unacknowledged: Option<u64>,
    /// Seconds since 1970; the plugin leaves it empty, or out.
    head_message_timestamp: Option<serde_json::Value>,
}

/// Requests the queues of the virtual host; `None` where no URL is configured.
pub async fn taken(
    context: &Context,
    check: &AmqpPendingTasksCheck,
    server: &AmqpServer,
) -> Option<Result<Taken, CheckError>> {
    let base = check.management_url.as_ref()?;
    // It may use half of the time that is left, so that what the broker itself has said is not lost.
    let time = context.time_left() / 2;
    let request = async {
        let mut url = validated(below(base.expose(), &["api", "queues", &server.vhost]))?;
        if url.username().is_empty() && url.password().is_none() {
            // The library encodes what else a URL must, and takes a '%' for what is encoded already.
            let encoded = |text: &str| text.replace('%', "%25");
            url.set_username(&encoded(&server.username)).ok();
            url.set_password(Some(&encoded(server.password.expose()))).ok();
        }
        url.query_pairs_mut().append_pair("columns", COLUMNS);
        let response = get(context, url, HeaderMap::new(), &check.management_tls).await?;
        let target = response.target.clone();
        if response.status != 200 {
            let reason = format!("HTTP status {}", response.status).into();
            return Err(CheckError::Rejected { target, reason });
        }
        parse(&response.body().await?, &check.queues)
            .ok_or_else(|| CheckError::Protocol { target, expected: "the API of RabbitMQ's management plugin".into() })
    };
    let late = CheckError::Timeout { after: time, phase: Phase::Query };
    Some(tokio::time::timeout(time, request).await.unwrap_or(Err(late)))
}

fn parse(body: &[u8], queues: &[String]) -> Option<Taken> {
    let rows: Vec<QueueRow> = serde_json::from_slice(body).ok()?;
    let ours = || rows.iter().filter(|row| queues.contains(&row.name));
    let oldest = ours().filter_map(|row| row.head_message_timestamp.as_ref()?.as_f64()).reduce(f64::min);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
    Some(Taken {
        messages: Some(ours().filter_map(|row| row.messages_unacknowledged).sum()),
        oldest_seconds: oldest.map(|at| ((now - at).max(0.0) * 10.0).round() / 10.0),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn taken_of_our_queues() {
        let body = br#"[{"name": "a", "messages_unacknowledged": 3, "head_message_timestamp": ""},
            {"name": "b", "messages_unacknowledged": 4, "head_message_timestamp": 1},
            {"name": "other", "messages_unacknowledged": 50}, {"name": "c"}]"#;
        let queues: Vec<String> = ["a", "b", "c"].map(Into::into).to_vec();
        let taken = parse(body, &queues).unwrap();
        assert_eq!(taken.messages, Some(7));
        assert!(taken.oldest_seconds.unwrap() > 1e9);
        assert_eq!(parse(b"[]", &queues), Some(Taken { messages: Some(0), oldest_seconds: None }));
        assert_eq!(parse(b"{\"error\": \"not_authorised\"}", &queues), None);
    }
}
