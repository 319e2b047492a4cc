//! Redis: one server, the master that sentinels name, or a cluster by any of its nodes.

mod cluster;
mod connect;
mod errors;
mod fleet;
mod judge;
mod link;
mod protocol;
mod queues;
mod sentinel;
mod spec;

use std::sync::Arc;

use async_trait::async_trait;
use redis::{Value, cmd};

use crate::checks::Check;
use crate::model::{CheckError, Finding};
use crate::net::first_success;
use crate::runtime::Context;
use connect::KeptSession;
pub use fleet::FleetServer;
use judge::{Cluster, Info, Seen};
pub use queues::{RedisFailedTasksCheck, RedisPendingTasksCheck, RedisTaskBrokerCheck, RedisTaskWorkersCheck};
pub use spec::{Credentials, RedisAddress, RedisCheck, RedisServer, RedisServerOptions, Topology};

#[async_trait]
impl Check for RedisCheck {
    /// PING and INFO, over the one connection that this process keeps to the server.
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let RedisServerOptions { server, topology, .. } = &self.0;
        match topology {
            Topology::Single => self.probe(context, KeptSession::of(context, server, ""), server.clone()).await,
            Topology::Sentinel { sentinels, master } => {
                let kept = sentinel::kept(context, server, sentinels, master);
                let address = sentinel::master(context, sentinels, master).await?;
                self.probe(context, kept, RedisServer { address, ..server.clone() }).await
            }
            Topology::Cluster { nodes } => {
                let probe = |node: &RedisServer| self.probe(context, KeptSession::of(context, node, ""), node.clone());
                let attempts = nodes.iter().map(probe).collect();
                // A refused login, or the state of the cluster, says more than a node that is down.
                let says_more = |_: &CheckError, known: &CheckError| {
                    known.trips_breaker() && !matches!(known, CheckError::Unavailable { .. })
                };
                let found = first_success(attempts, sentinel::STAGGER, says_more).await;
                found.map_err(|failure| failure.unwrap_or(CheckError::Configuration("no node is configured".into())))
            }
        }
    }
}

impl RedisCheck {
    /// Probes one server. What its ACL forbids the user is a detail: connected and authenticated is healthy.
    async fn probe(
        &self,
        context: &Context,
        kept: Arc<KeptSession>,
        server: RedisServer,
    ) -> Result<Finding, CheckError> {
        let target = connect::target(&server.address);
        let is_cluster = matches!(self.0.topology, Topology::Cluster { .. });
        // Checks of several databases share the connection, so each run selects its own. PING and INFO know none, but
        // a database that the server does not have must be found.
        let database = self.0.database.filter(|number| *number != 0);
        let mut commands = vec![cmd("PING"), cmd("INFO")];
        commands.extend(is_cluster.then(|| cmd("CLUSTER").arg("INFO").take()));
        commands.extend(database.map(|number| cmd("SELECT").arg(number).take()));

        let mut replies = kept.send(context, &server, &commands).await?.into_iter();
        let mut reply = move || replies.next().unwrap_or(Value::Nil);
        let mut seen = Seen::default();
        match reply() {
            Value::SimpleString(text) if text == "PONG" => {}
            Value::ServerError(error) if error.code() == "NOPERM" => seen.forbidden.push("PING"),
            Value::ServerError(error) => return Err(errors::refusal(&target, "PING", &error)),
            _ => return Err(CheckError::Protocol { target, expected: "Redis".into() }),
        }
        match judge::text(&target, "INFO", reply())? {
            Some(text) => seen.info = Some(Info::parse(&text)),
            None => seen.forbidden.push("INFO"),
        }
        if is_cluster {
            match judge::text(&target, "CLUSTER INFO", reply())? {
                Some(text) => seen.cluster = Some(Cluster::parse(&text)),
                None => seen.forbidden.push("CLUSTER INFO"),
            }
        }
        match (database, reply()) {
            (Some(_), Value::ServerError(error)) if error.code() == "NOPERM" => seen.forbidden.push("SELECT"),
            (Some(number), Value::ServerError(error)) => {
                return Err(connect::unusable(errors::refusal(&target, "SELECT", &error), number));
            }
            _ => {}
        }
        let of_sentinels = matches!(self.0.topology, Topology::Sentinel { .. });
        if of_sentinels && seen.info.as_ref().is_some_and(Info::is_replica) {
            let reason = "the sentinels name it as the master, but it is a replica".into();
            return Err(CheckError::Unavailable { target, reason });
        }
        judge::judge(&target, &seen)
    }
}
