//! Redis: one server, the master that sentinels name, or a node of a cluster.

mod connect;
mod errors;
mod judge;
mod protocol;
mod sentinel;
mod spec;

use async_trait::async_trait;
use redis::{Value, cmd};

use crate::checks::Check;
use crate::model::{CheckError, Finding};
use crate::runtime::Context;
use connect::Kept;
use judge::{Cluster, Info};
pub use spec::{Credentials, RedisAddress, RedisCheck, RedisServer, Topology};

#[async_trait]
impl Check for RedisCheck {
    /// PING and INFO, over the one connection that this process keeps to the server.
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let Self { server, database, topology } = self;
        let (kept, server) = match topology {
            Topology::Sentinel { sentinels, master } => {
                // The master's connection is kept under the name of the master: its address changes.
                let kept = Kept::of(context, server, &format!("{master} {sentinels:?}"));
                let address = sentinel::master(context, sentinels, master).await?;
                (kept, &RedisServer { address, ..server.clone() })
            }
            Topology::Single | Topology::Cluster => (Kept::of(context, server, ""), server),
        };
        let target = connect::target(&server.address);
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
            Value::ServerError(error) => return Err(errors::refusal(&target, "PING", &error)),
            _ => return Err(CheckError::Protocol { target, expected: "Redis".into() }),
        }
        let info = judge::text(&target, "INFO", answer())?.map(|text| Info::parse(&text));
        let cluster = match is_cluster {
            true => Some(judge::text(&target, "CLUSTER INFO", answer())?.map(|text| Cluster::parse(&text))),
            false => None,
        };
        if let (Some(number), Value::ServerError(error)) = (database, answer()) {
            return Err(match errors::refusal(&target, "SELECT", &error) {
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
        judge::judge(&target, info.as_ref(), cluster.as_ref().map(Option::as_ref))
    }
}
