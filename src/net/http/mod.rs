//! One bounded HTTP/1.1 request on a kept connection.
//!
//! - The request is sent once, since it may cost money: it is never sent beside another. It is repeated only where the
//!   kept connection that it went over has ended without a byte of an answer: the server had given the connection up, or
//!   nothing reaches it over this one, and it never saw the request; or where a kept connection brings a 408, by which the
//!   server says so itself.
//! - That it never saw the request is likely, not certain. One whose repetition does harm (`POST`, `PATCH`) goes over a
//!   new connection, and is never repeated.
//! - A server may answer before it has read the request, as one does that is full: see [`request_first`].
//! - A connection has one exchange at a time: it is taken out for it, and kept again once the body was read to its end.
//!   A run that comes meanwhile opens another; one of them is kept, for [`IDLE`] at most.
//! - What a server sends is bounded in head, body and all ([`MAX_HEAD`], [`MAX_BODY`], [`MAX_READ`]), and in time by the
//!   deadline of the run. A redirect is an answer: it is not followed.
//! - Proxies are those of the environment: see [`proxy`].

mod connection;
mod errors;
mod proxy;
mod request_first;
mod server;
mod tunnel;

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;
use hyper::{Method, Response, StatusCode};
use url::Url;

use crate::model::{CheckError, Phase};
use crate::net::{InUse, Kept, Presented, Tls};
use crate::runtime::Context;
use connection::{HttpConnection, SendFailure};
use errors::failure;
use server::HttpServer;

/// The longest head of an answer, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// How many fields it may have.
const MAX_FIELDS: usize = 100;
/// The longest body that is read, in bytes.
const MAX_BODY: usize = 1 << 20;
/// How much is read for one answer in all, in bytes: interim answers and the borders of chunks count, too.
const MAX_READ: usize = 8 * MAX_BODY;
/// How long a connection is kept without a request: a little less than the 60 s of most load balancers.
const IDLE: Duration = Duration::from_secs(55);

/// What is requested.
#[derive(Clone)]
pub struct HttpRequest {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whether the server's certificates are wanted: those that it presents now, so that no kept connection is used.
    pub records_certificates: bool,
}

impl HttpRequest {
    fn may_use_kept_connection(&self) -> bool {
        self.method.is_idempotent() && !self.records_certificates
    }
}

/// What a server answered, but for the body, which is read by [`HttpResponse::body`].
pub struct HttpResponse {
    /// `scheme://host[:port]` of the server, as it stands in messages.
    pub target: String,
    pub status: u16,
    pub headers: HeaderMap,
    body: Incoming,
    exchange: Exchange,
    kept: Arc<Kept<HttpConnection>>,
}

/// A connection, while a request and its answer pass over it.
struct Exchange {
    connection: HttpConnection,
    _in_use: InUse,
}

impl HttpResponse {
    /// The certificates of the server, where the request records them and they were presented.
    pub fn presented(&self) -> Option<&Presented> {
        self.exchange.connection.presented()
    }

    /// The body, bounded in length. The connection is kept for the next request once it was read.
    pub async fn body(mut self: Box<Self>) -> Result<Vec<u8>, CheckError> {
        let mut body = Vec::new();
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| failure(&self.target, &error))?;
            // Trailers are no part of it.
            let chunk = frame.into_data().unwrap_or_default();
            if body.len() + chunk.len() > MAX_BODY {
                return Err(CheckError::TooLarge { target: self.target, limit: MAX_BODY });
            }
            body.extend_from_slice(&chunk);
        }
        self.kept.put(self.exchange.connection);
        Ok(body)
    }
}

/// `GET`s a URL.
pub async fn get(context: &Context, url: Url, headers: HeaderMap, tls: &Tls) -> Result<Box<HttpResponse>, CheckError> {
    let request = HttpRequest { method: Method::GET, url, headers, body: Bytes::new(), records_certificates: false };
    send(context, &request, tls).await
}

/// Sends a request, and returns when the head of the answer is there.
pub async fn send(context: &Context, request: &HttpRequest, tls: &Tls) -> Result<Box<HttpResponse>, CheckError> {
    context.enter(Phase::Tls);
    let server = HttpServer::of(context, &request.url, tls).await?;
    let message = server.request(request)?;
    let kept = context.process.shared::<Kept<HttpConnection>>(&server.key());
    context.enter(Phase::Query);
    if request.may_use_kept_connection()
        && let Some(connection) = kept.take(|connection| connection.serves(&server))
    {
        let mut exchange = Exchange::start(connection);
        let sent = match exchange.connection.ready().await {
            Ok(()) => exchange.connection.send(message.clone()).await,
            Err(failed) => Err(failed),
        };
        match sent {
            // The end of an idle connection, which has crossed the request.
            Ok(response) if response.status() == StatusCode::REQUEST_TIMEOUT => {}
            Ok(response) => return respond(server, response, exchange, kept),
            Err(failed) => {
                if let Some(error) = exchange.error(&server.target, &failed) {
                    return Err(error);
                }
            }
        }
    }
    // Apart, since it is seldom: each run would be three times as large.
    let connection = Box::pin(HttpConnection::open(context, &server, request.records_certificates)).await?;
    context.enter(Phase::Query);
    let mut exchange = Exchange::start(connection);
    let failed = |failed: SendFailure| failure(&server.target, &failed.error);
    exchange.connection.ready().await.map_err(failed)?;
    let response = exchange.connection.send(message).await.map_err(failed)?;
    respond(server, response, exchange, kept)
}

fn respond(
    server: HttpServer<'_>,
    response: Response<Incoming>,
    exchange: Exchange,
    kept: Arc<Kept<HttpConnection>>,
) -> Result<Box<HttpResponse>, CheckError> {
    let (head, body) = response.into_parts();
    match server.plain_proxy() {
        // By its meaning it is of no server's.
        Some(proxy) if head.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(proxy.login_refused()),
        _ => Ok(Box::new(HttpResponse {
            target: server.target,
            status: head.status.as_u16(),
            headers: head.headers,
            body,
            exchange,
            kept,
        })),
    }
}

impl Exchange {
    fn start(connection: HttpConnection) -> Self {
        Self { _in_use: connection.in_use(), connection }
    }

    /// The error of a request on a kept connection; `None` where the server has never seen it, so that it may be repeated:
    /// the connection had ended, or was given up by the kernel since nothing reaches the server.
    fn error(&self, target: &str, failed: &SendFailure) -> Option<CheckError> {
        match failure(target, &failed.error) {
            _ if failed.is_unsent => None,
            CheckError::Closed { .. } | CheckError::Unreachable { .. } if self.connection.is_unanswered() => None,
            error => Some(error),
        }
    }
}

#[cfg(test)]
mod tests;
