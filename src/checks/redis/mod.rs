//! Redis: one server, the master that sentinels name, or a node of a cluster.

mod connection;
mod info;
mod refusal;
mod sentinel;
mod wire;

use async_trait::async_trait;
use redis::{Value, cmd};

use crate::checks::{Check, Context};
use crate::outcome::{CheckError, Finding};
use crate::spec::{self, Topology};
use connection::Kept;
use info::{Cluster, Info};

/// PING and INFO, over the one connection that this process keeps to the server.
pub struct Ping(pub spec::Redis);

#[async_trait]
impl Check for Ping {
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let spec::Redis { server, database, topology } = &self.0;
        let (kept, server) = match topology {
            Topology::Sentinel { sentinels, master } => {
                // The master's connection is kept under the name of the master: its address changes.
                let kept = Kept::of(context, server, &format!("{master} {sentinels:?}"));
                let address = sentinel::master(context, sentinels, master).await?;
                (kept, &spec::RedisServer { address, ..server.clone() })
            }
            Topology::Single | Topology::Cluster => (Kept::of(context, server, ""), server),
        };
        let target = connection::target(&server.address);
        let is_cluster = *topology == Topology::Cluster;
        // Checks of several databases share the connection, so each run selects its own. PING and INFO know none, but
        // a database that the server does not have must be found.
        let database = database.filter(|number| *number != 0);
        let mut commands = vec![cmd("PING"), cmd("INFO")];
        commands.extend(is_cluster.then(|| cmd("CLUSTER").arg("INFO").take()));
        commands.extend(database.map(|number| cmd("SELECT").arg(number).take()));

        let mut answers = kept.ask(context, server, &commands).await?.into_iter();
        let mut answer = move || answers.next().unwrap_or(Value::Nil);
        match answer() {
            Value::SimpleString(text) if text == "PONG" => {}
            Value::ServerError(error) => return Err(refusal::refusal(&target, "PING", &error)),
            _ => return Err(CheckError::Protocol { target, expected: "Redis".into() }),
        }
        let info = info::text(&target, "INFO", answer())?.map(|text| Info::parse(&text));
        let cluster = match is_cluster {
            true => Some(info::text(&target, "CLUSTER INFO", answer())?.map(|text| Cluster::parse(&text))),
            false => None,
        };
        if let (Some(number), Value::ServerError(error)) = (database, answer()) {
            return Err(match refusal::refusal(&target, "SELECT", &error) {
                CheckError::Rejected { target, .. } => {
                    CheckError::Rejected { target, reason: format!("database {number} cannot be used").into() }
                }
                other => other,
            });
        }
        if matches!(topology, Topology::Sentinel { .. }) && info.as_ref().is_some_and(Info::is_replica) {
            let reason = "the sentinels name it as the master, but it is a replica".into();
            return Err(CheckError::Unavailable { target, reason });
        }
        info::judge(&target, info.as_ref(), cluster.as_ref().map(Option::as_ref))
    }
}
