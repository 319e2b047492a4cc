//! One message and the rows of its response.

use std::pin::pin;

use futures_util::StreamExt;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

use super::response::{DataRow, Response};

/// More rows than any statement of ours returns.
pub const ROW_LIMIT: usize = 10_000;

/// Why a response is not complete.
pub enum Incomplete {
    Failed(Error),
    TooLarge,
}

/// Sends `statements` and adds their rows to `response`.
pub async fn receive(client: &Client, statements: &str, response: &mut Response) -> Result<(), Incomplete> {
    let mut messages = pin!(client.simple_query_raw(statements).await.map_err(Incomplete::Failed)?);
    let mut rows = Vec::new();
    let mut count = 0;
    while let Some(message) = messages.next().await {
        count += 1;
        if count > ROW_LIMIT {
            return Err(Incomplete::TooLarge);
        }
        match message.map_err(Incomplete::Failed)? {
            SimpleQueryMessage::Row(row) => {
                let value = |column| row.try_get(column).map(|value| value.map(str::to_owned));
                rows.push(DataRow((0..row.len()).map(value).collect::<Result<_, _>>().map_err(Incomplete::Failed)?));
            }
            SimpleQueryMessage::CommandComplete(_) => response.sets.push(std::mem::take(&mut rows)),
            _ => {}
        }
    }
    Ok(())
}
