//! HTTP/1.1 on the connections of a probe server, and the limits that keep any client from costing more than it may.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::header::{
    ACCEPT, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    WWW_AUTHENTICATE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::access::Access;
use super::probes::Probes;
use super::route::{Probe, route};
use super::socket::{Accepted, Socket};
use crate::metrics::Format;

const MAX_CONNECTIONS: usize = 1_000;
/// How long a request may take to arrive, and how long a connection may wait for one.
const IDLE: Duration = Duration::from_secs(15);
/// How long a connection lives: what a slow reader can hold on to.
const LIFETIME: Duration = Duration::from_secs(60);
/// What a request may take before its body, which it has none of.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
/// How long to let descriptors become free when there are none.
const PAUSE: Duration = Duration::from_millis(50);

/// What answers the requests of one process.
pub struct Handler {
    pub access: Access,
    pub probes: Probes,
}

/// Accepts and serves connections until `stop` is dropped.
pub async fn serve(mut socket: Socket, handler: Arc<Handler>, mut stop: oneshot::Receiver<()>) {
    let mut connections = Connections::default();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            _ = &mut stop => return,
        };
        match accepted {
            Ok(accepted) => connections.admit(tokio::spawn(connection(accepted, handler.clone())).abort_handle()),
            // The client is gone already, or there are no descriptors left.
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// The connections there are, the oldest first.
#[derive(Default)]
struct Connections(VecDeque<AbortHandle>);

impl Connections {
    /// Beyond the limit the oldest one goes: whoever opens many cannot keep a probe out.
    fn admit(&mut self, connection: AbortHandle) {
        if self.0.len() >= MAX_CONNECTIONS {
            self.0.retain(|connection| !connection.is_finished());
        }
        if self.0.len() >= MAX_CONNECTIONS
            && let Some(oldest) = self.0.pop_front()
        {
            oldest.abort();
        }
        self.0.push_back(connection);
    }
}

async fn connection(accepted: Accepted, handler: Arc<Handler>) {
    match accepted {
        Accepted::Tcp(mut stream, peer) => requests(&mut *stream, Some(peer), handler).await,
        #[cfg(unix)]
        Accepted::Unix(mut stream) => requests(&mut *stream, None, handler).await,
    }
}

async fn requests(stream: impl AsyncRead + AsyncWrite + Unpin, peer: Option<IpAddr>, handler: Arc<Handler>) {
    let service = service_fn(|request| {
        let handler = handler.clone();
        async move { Ok::<_, Infallible>(handler.respond(request, peer).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        // An answer is small: one buffer goes out with less ado than head and body.
        .writev(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    if timeout(LIFETIME, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        // Whatever ends it, it has ended.
        let _ = timeout(IDLE, connection).await;
    }
}

impl Handler {
    async fn respond(&self, request: Request<Incoming>, peer: Option<IpAddr>) -> Response<Full<Bytes>> {
        let has_body = !request.body().is_end_stream();
        let mut response = match route(request.uri().path()) {
            None => text(StatusCode::NOT_FOUND, "no such probe\n"),
            Some(_) if request.method() != Method::GET && request.method() != Method::HEAD => {
                let response = text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
                with(response, ALLOW, "GET, HEAD")
            }
            Some(_) if has_body => text(StatusCode::PAYLOAD_TOO_LARGE, "a probe has no body\n"),
            Some(probe) => self.answer(probe, request.headers(), peer).await,
        };
        if has_body {
            // It is not read, so nothing after it can be understood.
            response = with(response, CONNECTION, "close");
        }
        response
    }

    async fn answer(&self, probe: Probe<'_>, headers: &HeaderMap, peer: Option<IpAddr>) -> Response<Full<Bytes>> {
        let shown = self.access.shown(peer, headers.get(AUTHORIZATION).map(HeaderValue::as_bytes));
        let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        let answer = self.probes.answer(probe, shown, Format::accepted(accept)).await;
        let code = StatusCode::from_u16(answer.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let response = response(code, answer.content_type, answer.body);
        if code == StatusCode::UNAUTHORIZED { with(response, WWW_AUTHENTICATE, "Bearer") } else { response }
    }
}

fn with(mut response: Response<Full<Bytes>>, name: HeaderName, value: &'static str) -> Response<Full<Bytes>> {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}

fn text(code: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    response(code, "text/plain; charset=utf-8", body)
}

fn response(code: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // A cached answer, whoever keeps it, is about the past.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
