//! The way to the Redis server that the hosts of a fleet share: by the connection that this process keeps to it.

use async_trait::async_trait;
use redis::{Cmd, ServerError, Value};
use serde::Deserialize;

use super::connect::target;
use super::errors::refusal;
use super::link::Link;
use super::{RedisServerOptions, Topology};
use crate::model::CheckError;
use crate::runtime::Context;
use crate::state::backend::fleet::FleetClient;

/// A Redis or Valkey server, by the fields of the specification of a `redis` check.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct FleetServer(RedisServerOptions);

#[async_trait]
impl FleetClient for FleetServer {
    async fn send(&self, context: &Context, commands: &[Cmd]) -> Result<Vec<Value>, CheckError> {
        Link::open(context, &self.0).await?.send(commands).await
    }

    fn refusal(&self, command: &'static str, error: &ServerError) -> CheckError {
        refusal(&self.target(), command, error)
    }

    fn target(&self) -> String {
        match &self.0.topology {
            Topology::Single => target(&self.0.server.address),
            Topology::Sentinel { master, .. } => master.clone(),
            Topology::Cluster { nodes } => nodes.first().map(|node| target(&node.address)).unwrap_or_default(),
        }
    }
}
