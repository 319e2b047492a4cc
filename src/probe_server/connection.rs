//! The connections of a probe server, and the limits that keep any client from costing more than it may.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};

use super::capacity::{Counted, OpenConnection, capacity};
use super::http::Handler;
use super::listener::{Accepted, Listener};
use crate::runtime::{process, tasks};

/// How long the first request may take to arrive.
const FIRST_REQUEST: Duration = Duration::from_secs(2);
/// How long a later one may take, and how long a connection may wait for it.
const IDLE: Duration = Duration::from_secs(15);
/// How long a connection lives: what a slow reader can hold on to.
const LIFETIME: Duration = Duration::from_secs(60);
/// What a request may take before its body, which it has none of.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
/// How long to let descriptors become free when there are none.
const PAUSE: Duration = Duration::from_millis(50);
/// How soon kept connections are closed once this process is draining.
const DRAIN_EVERY: Duration = Duration::from_millis(250);

/// Accepts and serves connections for ever.
pub async fn serve(listener: &Listener, handler: Arc<Handler>) {
    loop {
        let capacity = capacity();
        capacity.make_room().await;
        match listener.accept().await {
            Ok(accepted) => {
                let counted = capacity.count();
                let connection = counted.connection().clone();
                let task = tasks::spawn(serve_connection(accepted, counted, handler.clone()));
                connection.set_task(task.abort_handle());
            }
            Err(error) if process::is_out_of_descriptors(&error) && capacity.evict().await => (),
            // The client is gone already, or this process has no descriptors left that are the probe server's.
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Closes kept connections while this process is draining, so that their clients find another one. Never ends.
pub async fn close_while_draining() {
    loop {
        process::drained().await;
        capacity().close_kept();
        sleep(DRAIN_EVERY).await;
    }
}

/// A connection of either kind, so that all that serves one is compiled once.
trait ProbeStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ProbeStream for T {}

async fn serve_connection(accepted: Accepted, counted: Counted, handler: Arc<Handler>) {
    let connection = counted.connection().clone();
    // Closed before `counted` is dropped, which a parameter would not be.
    let mut accepted = accepted;
    let (stream, peer): (&mut dyn ProbeStream, _) = match &mut accepted {
        Accepted::Tcp(stream, peer) => (&mut **stream, Some(*peer)),
        #[cfg(unix)]
        Accepted::Unix(stream) => (&mut **stream, None),
    };
    requests(stream, peer, &connection, handler).await;
}

async fn requests(stream: &mut dyn ProbeStream, peer: Option<IpAddr>, state: &OpenConnection, handler: Arc<Handler>) {
    let service = service_fn(|request| {
        let handler = handler.clone();
        state.requested();
        async move {
            let response = handler.respond(request, peer).await;
            state.responded();
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // A client may say that it has sent all, and read on.
        .half_close(true)
        .header_read_timeout(IDLE)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        // A response is small: one buffer goes out with less ado than head and body.
        .writev(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    if timeout(FIRST_REQUEST, connection.as_mut()).await.is_ok() || !state.is_used() {
        return;
    }
    if timeout(LIFETIME, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        // Whatever ends it, it has ended.
        let _ = timeout(IDLE, connection).await;
    }
}
