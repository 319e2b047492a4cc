//! AMQP 0-9-1 (RabbitMQ): the broker lets the application in, takes messages, and knows what waits in its queues.

mod connect;
mod errors;
mod judge;
mod management;
mod protocol;
mod queue;
mod spec;

use std::time::Duration;

use async_trait::async_trait;

use crate::checks::Check;
use crate::checks::postgres::FinishedTasksOptions;
use crate::model::{CheckError, Finding};
use crate::net::first_success;
use crate::runtime::Context;
use connect::AmqpSession;
use judge::BrokerState;
pub use spec::{AmqpCheck, AmqpPendingTasksCheck, AmqpServer};

/// How long a broker may be silent before the next one of a list is tried beside it.
const STAGGER: Duration = Duration::from_millis(500);

#[async_trait]
impl Check for AmqpCheck {
    /// Connects to the first broker that answers.
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        first_of(&self.servers, |server| self.probe(context, server)).await
    }
}

impl AmqpCheck {
    async fn probe(&self, context: &Context, server: &AmqpServer) -> Result<Finding, CheckError> {
        let mut session = AmqpSession::open(context, server).await?;
        let queues = session.count(&self.queues).await?;
        let published = if self.publish { Some(session.publish().await?) } else { None };
        let seen = BrokerState { version: session.version.clone(), queues, published };
        session.close().await;
        Ok(judge::judge_broker(self, server, &seen))
    }
}

#[async_trait]
impl Check for AmqpPendingTasksCheck {
    async fn run(&self, context: &Context) -> Result<Finding, CheckError> {
        let broker = first_of(&self.servers, |server| self.probe(context, server));
        FinishedTasksOptions::beside(self.finished.as_ref(), context, broker).await
    }
}

impl AmqpPendingTasksCheck {
    async fn probe(&self, context: &Context, server: &AmqpServer) -> Result<Finding, CheckError> {
        let counted = async {
            let mut session = AmqpSession::open(context, server).await?;
            let queues = session.count(&self.queues).await?;
            let target = session.target.clone();
            session.close().await;
            Ok((target, queues))
        };
        let (counted, taken) = tokio::join!(counted, management::taken(context, self, server));
        let (target, queues) = counted?;
        judge::judge_pending(self, &target, &queues, taken)
    }
}

/// What the first of the brokers answers that can be used. Where none can, a refusal says more than a broker that is down.
async fn first_of<'a, F: Future<Output = Result<Finding, CheckError>>>(
    servers: &'a [AmqpServer],
    probe: impl Fn(&'a AmqpServer) -> F,
) -> Result<Finding, CheckError> {
    let says_more =
        |_: &CheckError, known: &CheckError| known.trips_breaker() && !matches!(known, CheckError::Unavailable { .. });
    let found = first_success(servers.iter().map(probe).collect(), STAGGER, says_more).await;
    found.map_err(|failure| failure.unwrap_or(CheckError::Configuration("no broker is configured".into())))
}
