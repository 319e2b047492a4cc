//! The broker of a task queue answers.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde::Deserialize;

use super::batch::Batch;
use crate::checks::Check;
use crate::checks::redis::RedisServerOptions;
use crate::checks::redis::link::{Link, on_first};
use crate::model::{CheckError, Finding};
use crate::runtime::Context;

/// `PING` of the Redis server that the task queue `backend` has as its broker.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisTaskBrokerCheck {
    pub server: RedisServerOptions,
    /// Used in this order while `server` is unreachable, as by clients with several URLs.
    #[serde(default)]
    pub alternatives: Vec<RedisServerOptions>,
    pub backend: String,
}

impl RedisTaskBrokerCheck {
    async fn ping(&self, context: &Context, server: &RedisServerOptions) -> Result<String, CheckError> {
        let link = Link::open(context, server).await?;
        let mut batch = Batch::default();
        let pong = batch.add("PING", &[]);
        let replies = batch.send(&link).await?;
        // Who is logged in is connected, even where an ACL forbids the command.
        replies.is_known(pong, &mut BTreeSet::new())?;
        Ok(link.target)
    }
}

#[async_trait]
impl Check for RedisTaskBrokerCheck {
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let ping = |server| self.ping(context, server);
        let broker = on_first(context, &self.server, &self.alternatives, ping).await?;
        Ok(Finding::healthy("Connected to the broker")
            .with("task_tables_available", true)
            .with("table_count", 0)
            .with("backend", self.backend.as_str())
            .with("broker", broker))
    }
}
