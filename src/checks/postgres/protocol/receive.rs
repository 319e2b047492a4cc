//! One message and the rows of its response.

use std::pin::pin;

use futures_util::{FutureExt, StreamExt};
use tokio_postgres::{Client, Error, SimpleQueryMessage, SimpleQueryStream};

use super::response::{DataRow, Response};

/// More rows than any statement of ours returns.
pub const ROW_LIMIT: usize = 10_000;

/// Why a response is not complete.
pub enum Incomplete {
    Failed(Error),
    TooLarge,
}

/// Sends `statements` as the connection's next message. `None`: they are not sent.
pub fn send(client: &Client, statements: &str) -> Option<Result<SimpleQueryStream, Error>> {
    // It hands the message to the connection before it would first wait.
    client.simple_query_raw(statements).now_or_never()
}

/// Adds the rows that a message returns to `response`.
pub async fn receive(messages: SimpleQueryStream, response: &mut Response) -> Result<(), Incomplete> {
    let mut messages = pin!(messages);
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
