//! The settings of a channel of Slack, and the pace of messages.

#![allow(clippy::unwrap_used)]

use serde_json::json;
use tokio::time::advance;

use super::*;

fn channel(fields: Value) -> Result<SlackChannel, String> {
    let spec: SlackSpec = serde_json::from_value(fields).unwrap();
    spec.build("chat").map_err(|error| error.0)
}

#[test]
fn spec_each_form() {
    for fields in [
        json!({"webhook_url": "https://hooks.slack.com/services/T0/B0/secret"}),
        json!({"bot_token": "xoxb-secret", "channel": "#alerts"}),
        json!({"bot_token": "xoxb-secret", "channel": "C1", "api_url": "http://127.0.0.1:8000/api"}),
    ] {
        assert!(channel(fields.clone()).is_ok(), "{fields}");
    }
    for (fields, said) in [
        (json!({}), "webhook_url is required, or bot_token and channel"),
        (json!({"webhook_url": "a", "bot_token": "b"}), "webhook_url and bot_token exclude each other"),
        (json!({"webhook_url": "T0/B0/secret"}), "webhook_url must start with http:// or https://"),
        (json!({"bot_token": "xoxb-secret"}), "channel is required with bot_token"),
        (json!({"bot_token": "", "channel": "C1"}), "bot_token must not be empty"),
        (
            json!({"webhook_url": "https://hooks.slack.com/secret", "channel": "C1"}),
            "channel and api_url need bot_token: a webhook_url has its own channel",
        ),
        (
            json!({"bot_token": "xoxb-secret\n", "channel": "C1"}),
            "bot_token holds characters that an HTTP header cannot carry, such as a line end",
        ),
    ] {
        assert_eq!(channel(fields).err().unwrap(), said);
    }
}

#[tokio::test(start_paused = true)]
async fn messages_are_a_second_apart_and_none_waits_past_its_deadline() {
    let (pace, start) = (Pace::default(), Instant::now());
    let deadline = start + Duration::from_millis(2_500);
    let turns: Vec<_> = (0..4).map(|_| pace.reserve(deadline).map(|turn| (turn - start).as_secs())).collect();
    assert_eq!(turns, [Ok(0), Ok(1), Ok(2), Err(Duration::from_secs(3))]);
    advance(Duration::from_secs(10)).await;
    assert_eq!(pace.reserve(start + Duration::from_secs(20)), Ok(start + Duration::from_secs(10)));
}
