//! A tunnel through a proxy: `CONNECT`, after which the stream leads to the server.

use std::pin::pin;

use futures_util::future::{Either, select};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::Builder;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::errors::failure;
use super::proxy::Proxy;
use super::request_first::RequestFirst;
use super::server::HttpServer;
use super::{MAX_FIELDS, MAX_HEAD};
use crate::model::{CheckError, Phase};
use crate::net::{Limited, NOT_TLS, ReadBudget};
use crate::runtime::Context;

/// Request, from the proxy that `stream` leads to, a tunnel to `server`.
pub async fn tunnel<S: AsyncRead + AsyncWrite + Unpin>(
    context: &Context,
    stream: S,
    proxy: &Proxy,
    server: &HttpServer<'_>,
) -> Result<S, CheckError> {
    context.enter(Phase::Connect);
    let failed = |error: hyper::Error| match failure(&proxy.target, &error) {
        CheckError::Closed { target, .. } => CheckError::Closed { target, phase: Phase::Connect },
        other => other,
    };
    // Interim answers count, too.
    let stream = TokioIo::new(Limited::new(RequestFirst::new(stream), ReadBudget::new(MAX_HEAD)));
    let made = Builder::new().max_header_size(MAX_HEAD).max_headers(MAX_FIELDS).handshake(stream).await;
    let (mut sender, connection) = made.map_err(failed)?;
    let sent = sender.send_request(request(proxy, server)?);
    let mut connection = pin!(connection.without_shutdown());
    let (response, ended) = match select(pin!(sent), &mut connection).await {
        Either::Left((response, _)) => (response.map_err(failed)?, None),
        Either::Right((ended, sent)) => (sent.await.map_err(failed)?, Some(ended)),
    };
    judge(&response, proxy, server)?;
    let parts = match ended {
        Some(ended) => ended,
        None => connection.await,
    };
    let parts = parts.map_err(failed)?;
    if !parts.read_buf.is_empty() {
        // In TLS the client speaks first.
        return Err(CheckError::Tls { target: server.target.clone(), reason: NOT_TLS.into() });
    }
    Ok(parts.io.into_inner().into_inner().into_inner())
}

fn request(proxy: &Proxy, server: &HttpServer<'_>) -> Result<Request<Full<Bytes>>, CheckError> {
    let unusable = || CheckError::Configuration("the URL's host cannot be requested from a proxy".into());
    let authority = server.authority();
    let mut request = Request::new(Full::default());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = Uri::try_from(authority.as_str()).map_err(|_| unusable())?;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(&authority).map_err(|_| unusable())?);
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("lifesigns/", env!("CARGO_PKG_VERSION"))));
    if let Some(credentials) = &proxy.credentials {
        headers.insert(PROXY_AUTHORIZATION, credentials.clone());
    }
    Ok(request)
}

fn judge(response: &Response<Incoming>, proxy: &Proxy, server: &HttpServer<'_>) -> Result<(), CheckError> {
    let status = response.status().as_u16();
    let target = proxy.target.clone();
    match status {
        200..=299 => Ok(()),
        407 => Err(proxy.login_refused()),
        500.. => {
            let reason = format!("{target} answered HTTP status {status}").into();
            Err(CheckError::Unreachable { target: server.target.clone(), reason })
        }
        _ => Err(CheckError::Rejected { target, reason: format!("HTTP status {status}").into() }),
    }
}
