//! Slack: an incoming webhook, or a bot that updates its message when the incident changes.
//!
//! - A webhook cannot edit: each notice is a message.
//! - A bot posts the trigger, and turns that message green (or blue, once acknowledged) by `chat.update`. What is to be
//!   noticed again, a reminder or a severity that rose, is a reply in its thread that the channel sees as well. Where the
//!   message cannot be edited any more, a new one is posted.
//! - Slack takes one message a second for each channel: a notice waits for its turn.
//! - The Web API says `ok: false` in a 200: its `error` is a word, which decides, and is shown.

mod blocks;
mod web_api;

use std::borrow::Cow;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use hyper::header::{AUTHORIZATION, HeaderMap};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep_until};
use url::Url;

use super::answer::{self, Answered, post};
use super::{Attempt, Channel};
use crate::checks::fields;
use crate::model::{Notice, NoticeKind, Phase, Secret, SpecError};
use crate::net::Tls;
use crate::runtime::{Context, lock};
use web_api::{BotFailure, PostedMessage, judge, word};

const API: &str = "https://slack.com/api";
/// How far apart messages to one channel are.
const INTERVAL: Duration = Duration::from_secs(1);
/// Errors by which a message cannot be updated, though another can be posted.
const NOT_EDITABLE: [&str; 5] =
    ["message_not_found", "cant_update_message", "edit_window_closed", "channel_not_found", "thread_not_found"];

/// A channel of Slack: its `webhook_url`, or `bot_token` and `channel`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlackSpec {
    /// The whole URL of an incoming webhook is a secret.
    #[serde(default)]
    pub webhook_url: Option<Secret>,
    /// `xoxb-...`, of a bot with the scope `chat:write` that is a member of the channel.
    #[serde(default)]
    pub bot_token: Option<Secret>,
    /// Its id (`C0123456789`) or its name.
    #[serde(default)]
    pub channel: Option<String>,
    /// Default `https://slack.com/api`.
    #[serde(default)]
    pub api_url: Option<Secret>,
    #[serde(default)]
    pub tls: Tls,
}

impl SlackSpec {
    pub fn build(self, name: &str) -> Result<SlackChannel, SpecError> {
        let access = match (self.webhook_url, self.bot_token) {
            (Some(_), Some(_)) => return Err(SpecError::new("webhook_url and bot_token exclude each other")),
            (None, None) => return Err(SpecError::new("webhook_url is required, or bot_token and channel")),
            (Some(url), None) => {
                if self.channel.is_some() || self.api_url.is_some() {
                    return Err(SpecError::new(
                        "channel and api_url need bot_token: a webhook_url has its own channel",
                    ));
                }
                SlackAccess::Webhook(fields::url("webhook_url", url.expose())?)
            }
            (None, Some(token)) => {
                let channel = self.channel.filter(|channel| !channel.trim().is_empty());
                let api = self.api_url.as_ref().map_or(API, Secret::expose);
                if token.is_empty() {
                    return Err(SpecError::new("bot_token must not be empty"));
                }
                let bearer = fields::header_value("bot_token", &format!("Bearer {}", token.expose()))?;
                SlackAccess::Bot(Box::new(Bot {
                    channel: channel.ok_or_else(|| SpecError::new("channel is required with bot_token"))?,
                    post: fields::url_below("api_url", api, &["chat.postMessage"])?,
                    update: fields::url_below("api_url", api, &["chat.update"])?,
                    headers: HeaderMap::from_iter([(AUTHORIZATION, bearer)]),
                }))
            }
        };
        Ok(SlackChannel { name: name.to_owned(), access, tls: self.tls })
    }
}

enum SlackAccess {
    Webhook(Url),
    Bot(Box<Bot>),
}

/// A bot, and where it posts.
struct Bot {
    channel: String,
    post: Url,
    update: Url,
    headers: HeaderMap,
}

pub struct SlackChannel {
    name: String,
    access: SlackAccess,
    tls: Tls,
}

#[async_trait]
impl Channel for SlackChannel {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, context: &Context, notice: &Notice, reference: Option<&str>) -> Attempt {
        match &self.access {
            SlackAccess::Webhook(url) => {
                match self.request(context, url, HeaderMap::new(), blocks::message(notice)).await {
                    Ok(answered) => Attempt::Delivered { answer: answered.text(), reference: None },
                    Err(attempt) => attempt,
                }
            }
            SlackAccess::Bot(bot) => {
                let message = reference.and_then(PostedMessage::read);
                match self.send_as_bot(context, bot, notice, message).await {
                    Ok(message) => Attempt::Delivered {
                        answer: "200".to_owned(),
                        reference: message.map(|message| message.to_string()),
                    },
                    Err(failure) => failure.into_attempt(),
                }
            }
        }
    }
}

impl SlackChannel {
    /// Posts the notice, or updates the message of its incident, and returns the message to update by the next.
    async fn send_as_bot(
        &self,
        context: &Context,
        bot: &Bot,
        notice: &Notice,
        known: Option<PostedMessage>,
    ) -> Result<Option<PostedMessage>, BotFailure> {
        let of_channel = |channel: &str| with(blocks::message(notice), "channel", channel);
        let Some(message) = known else {
            return self.call(context, &bot.post, bot, of_channel(&bot.channel)).await;
        };
        if matches!(notice.kind, NoticeKind::Acknowledged | NoticeKind::Resolved) {
            let body = with(of_channel(&message.channel), "ts", &message.ts);
            return match self.call(context, &bot.update, bot, body).await {
                Ok(_) => Ok(Some(message)),
                Err(BotFailure::Error(error)) if NOT_EDITABLE.contains(&error.as_str()) => {
                    self.call(context, &bot.post, bot, of_channel(&bot.channel)).await
                }
                Err(failure) => Err(failure),
            };
        }
        let mut body = with(of_channel(&message.channel), "thread_ts", &message.ts);
        body.insert("reply_broadcast".to_owned(), true.into());
        self.call(context, &bot.post, bot, body).await?;
        // The message to update remains the first.
        Ok(Some(message))
    }

    /// Sends a message once it is its turn.
    async fn request(
        &self,
        context: &Context,
        url: &Url,
        headers: HeaderMap,
        body: Map<String, Value>,
    ) -> Result<Answered, Attempt> {
        // Other processes have their own pace: where they collide, Slack says so (429).
        let pace = context.process.shared::<Pace>(&self.pace_key());
        match pace.reserve(context.deadline()) {
            Ok(turn) => {
                context.enter(Phase::Queued);
                sleep_until(turn).await;
                post(context, url, headers, answer::json(&body), &self.tls, advice).await
            }
            Err(wait) => Err(Attempt::Failed {
                answer: "not sent yet: Slack takes one message a second for each channel".to_owned(),
                retry_after: Some(wait),
                may_have_arrived: false,
            }),
        }
    }

    /// Calls a method of the Web API, and returns the message that it posted or updated, if it names one.
    async fn call(
        &self,
        context: &Context,
        method: &Url,
        bot: &Bot,
        body: Map<String, Value>,
    ) -> Result<Option<PostedMessage>, BotFailure> {
        let answered = self.request(context, method, bot.headers.clone(), body).await.map_err(BotFailure::Attempt)?;
        judge(answered.body.as_deref())
    }

    /// What distinguishes its channel from others: never shown.
    fn pace_key(&self) -> String {
        match &self.access {
            SlackAccess::Webhook(url) => url.to_string(),
            SlackAccess::Bot(bot) => format!("{} {}", bot.post, bot.channel),
        }
    }
}

fn with(mut body: Map<String, Value>, key: &str, value: &str) -> Map<String, Value> {
    body.insert(key.to_owned(), value.into());
    body
}

/// An incoming webhook names the error in the body.
fn advice(answered: &Answered) -> Option<Cow<'static, str>> {
    word(answered.body.as_deref()?).map(|word| word.to_owned().into())
}

/// When the next message to a channel may be sent.
#[derive(Default)]
struct Pace(Mutex<Option<Instant>>);

impl Pace {
    /// The next turn, which is reserved; or how long it is until then, if that is after the deadline.
    fn reserve(&self, deadline: Instant) -> Result<Instant, Duration> {
        let now = Instant::now();
        let mut next = lock(&self.0);
        let turn = next.map_or(now, |next| next.max(now));
        if turn >= deadline {
            return Err(turn.saturating_duration_since(now));
        }
        *next = Some(turn + INTERVAL);
        Ok(turn)
    }
}

#[cfg(test)]
mod tests;
