//! The way to a Redis server for commands that read keys: by its own address, by sentinels, or to all nodes of a cluster.

use std::sync::Arc;

use redis::{Cmd, Value};
use tokio::time::timeout;

use super::cluster::ClusterNodes;
use super::connect::{self, KeptSession};
use super::errors::is_unreachable;
use super::sentinel;
use super::{RedisServer, RedisServerOptions, Topology};
use crate::model::{CheckError, Phase};
use crate::runtime::Context;

/// Sends commands to one server, in its database.
pub struct Link<'a> {
    context: &'a Context,
    route: Route,
    /// The server as it stands in messages.
    pub target: String,
}

enum Route {
    Direct { kept: Arc<KeptSession>, server: Box<RedisServer> },
    Cluster(ClusterNodes),
}

impl<'a> Link<'a> {
    /// Finds the server; connects to nothing but sentinels.
    pub async fn open(context: &'a Context, options: &RedisServerOptions) -> Result<Self, CheckError> {
        let server = RedisServer { database: options.database, ..options.server.clone() };
        let (kept, server) = match &options.topology {
            Topology::Single => (KeptSession::of(context, &server, ""), server),
            Topology::Sentinel { sentinels, master } => {
                let kept = sentinel::kept(context, &server, sentinels, master);
                let address = sentinel::master(context, sentinels, master).await?;
                (kept, RedisServer { address, ..server })
            }
            Topology::Cluster { nodes } => {
                let target = nodes.first().map(|node| connect::target(&node.address)).unwrap_or_default();
                return Ok(Self { context, route: Route::Cluster(ClusterNodes::new(context, nodes)), target });
            }
        };
        let target = connect::target(&server.address);
        Ok(Self { context, route: Route::Direct { kept, server: Box::new(server) }, target })
    }

    /// Send `commands` at once and return the replies in their order.
    pub async fn send(&self, commands: &[Cmd]) -> Result<Vec<Value>, CheckError> {
        match &self.route {
            _ if commands.is_empty() => Ok(Vec::new()),
            Route::Direct { kept, server } => kept.send(self.context, server, commands).await,
            Route::Cluster(cluster) => cluster.send(self.context, commands).await,
        }
    }

    pub fn is_cluster(&self) -> bool {
        matches!(self.route, Route::Cluster(_))
    }
}

/// What `attempt` finds on the first server that is there: clients with a list of servers use one after the other.
/// All are unreachable: the first one's error, which is the one in use by default.
pub async fn on_first<'a, T, F>(
    context: &Context,
    server: &'a RedisServerOptions,
    alternatives: &'a [RedisServerOptions],
    attempt: impl Fn(&'a RedisServerOptions) -> F,
) -> Result<T, CheckError>
where
    F: Future<Output = Result<T, CheckError>>,
{
    let mut failure = None;
    for (left, server) in (0..=alternatives.len()).rev().zip(std::iter::once(server).chain(alternatives)) {
        let outcome = if left > 0 {
            // The next one gets the other half.
            let after = context.time_left() / 2;
            timeout(after, attempt(server)).await.unwrap_or(Err(CheckError::Timeout { after, phase: Phase::Connect }))
        } else {
            attempt(server).await
        };
        match outcome {
            Err(error) if is_unreachable(&error) => failure = failure.or(Some(error)),
            outcome => return outcome,
        }
    }
    Err(failure.unwrap_or(CheckError::Configuration("no server is configured".into())))
}
