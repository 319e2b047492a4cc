//! Messages of dramatiq that have failed for good.

use super::names;
use crate::checks::redis::link::Link;
use crate::checks::redis::queues::Queues;
use crate::checks::redis::queues::batch::Batch;
use crate::checks::redis::queues::depths::FailedCount;
use crate::checks::redis::queues::discovery::Discovery;
use crate::model::CheckError;

/// Messages that became dead letters since a time.
pub async fn failed(
    link: &Link<'_>,
    queues: &Queues<'_>,
    discovery: &Discovery,
    since: f64,
) -> Result<FailedCount, CheckError> {
    let names = names(link, queues, discovery).await?;
    let since = (since * 1000.0).floor().to_string();
    let mut batch = Batch::default();
    let counts: Vec<_> = names
        .iter()
        .map(|name| batch.add("ZCOUNT", &[&format!("{}:{name}.XQ", queues.prefix), &since, "+inf"]))
        .collect();
    let replies = batch.send(link).await?;
    let count = counts.into_iter().map(|sent| replies.count(sent)).sum::<Result<u64, CheckError>>()?;
    Ok(FailedCount { count, not_measured: discovery.not_measured(&names) })
}
