//! The responses of a probe server as HTTP: methods, headers, who sees details.

use std::net::IpAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::header::{
    ACCEPT, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap,
    HeaderName, HeaderValue, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};

use super::access::Access;
use super::media::{MediaType, parameter};
use super::page;
use super::responses::{ProbeRequest, Probes};
use super::route::{Probe, route};
use crate::metrics::Format;
use crate::runtime::process;

/// Responds to the requests of one process.
pub struct Handler {
    pub access: Access,
    pub probes: Probes,
}

impl Handler {
    pub async fn respond(&self, request: Request<Incoming>, peer: Option<IpAddr>) -> Response<Full<Bytes>> {
        let has_body = !request.body().is_end_stream();
        let mut response = match route(request.uri().path()) {
            None => text(StatusCode::NOT_FOUND, "no such probe\n"),
            Some(_) if request.method() != Method::GET && request.method() != Method::HEAD => {
                let response = text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD only\n");
                with(response, ALLOW, "GET, HEAD")
            }
            Some(_) if has_body => text(StatusCode::PAYLOAD_TOO_LARGE, "a probe has no body\n"),
            Some(probe) => {
                let query = request.uri().query().unwrap_or_default();
                self.probe(probe, query, request.headers(), peer).await
            }
        };
        if has_body || process::draining() {
            // A body is not read, so nothing after it can be understood; and the next request is for another process, if
            // this one is about to end.
            response = with(response, CONNECTION, "close");
        }
        response
    }

    async fn probe(
        &self,
        probe: Probe<'_>,
        query: &str,
        headers: &HeaderMap,
        peer: Option<IpAddr>,
    ) -> Response<Full<Bytes>> {
        let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        let vary = if probe == Probe::Alive { "Accept" } else { "Accept, Authorization" };
        let request = ProbeRequest {
            caller: self.access.caller(peer, headers.get(AUTHORIZATION).map(HeaderValue::as_bytes)),
            media: MediaType::preferred(query, accept),
            metrics: Format::accepted(accept),
            refresh: parameter(query, "refresh").is_some_and(|value| value != "0" && value != "false"),
        };
        let found = self.probes.respond(probe, request).await;
        let code = StatusCode::from_u16(found.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let response = with(response(code, found.content_type, found.body), VARY, vary);
        let response = if found.content_type == MediaType::Html.content_type() {
            with(response, CONTENT_SECURITY_POLICY, page::policy())
        } else {
            response
        };
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
    // A cached response is about the past.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
