//! A server as one check names it: where it is, how it is reached, what a request to it looks like.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, HOST, HeaderValue, PROXY_AUTHORIZATION, USER_AGENT};
use hyper::{Request, Uri};
use percent_encoding::percent_decode_str;
use rustls::ClientConfig;
use url::{Position, Url};

use super::HttpRequest;
use super::proxy::{Proxies, Proxy};
use crate::model::CheckError;
use crate::net::{self, Tls};
use crate::runtime::Context;

pub struct HttpServer<'a> {
    /// `scheme://host[:port]`, as it stands in messages.
    pub target: String,
    pub host: String,
    pub port: u16,
    pub is_encrypted: bool,
    pub tls: &'a Tls,
    /// What `tls` stands for now, where anything is encrypted: its files may be renewed.
    pub config: Option<Arc<ClientConfig>>,
    pub proxy: Option<Proxy>,
}

impl<'a> HttpServer<'a> {
    pub async fn of(context: &Context, url: &Url, tls: &'a Tls) -> Result<Self, CheckError> {
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(CheckError::Configuration("the URL has no host".into()));
        };
        let is_encrypted = url.scheme() == "https";
        let proxy = Proxies::of(context).select(url)?;
        // No TLS, no certificates to load, which a small container may not even have.
        let config = if is_encrypted || proxy.as_ref().is_some_and(|proxy| proxy.is_encrypted) {
            // Apart: each run would be half as large again.
            Some(Box::pin(net::tls_config(&context.process, tls)).await?)
        } else {
            None
        };
        let target = url.origin().ascii_serialization();
        Ok(Self { target, host: host.to_owned(), port, is_encrypted, tls, config, proxy })
    }

    /// What distinguishes its connections from others. It may hold a password, so it is never shown.
    pub fn key(&self) -> String {
        let tls = self.config.as_ref().map(|_| self.tls.key());
        format!("{} {tls:?}", self.target)
    }

    /// The proxy that is given the request itself, and not requested a tunnel.
    pub fn plain_proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|_| !self.is_encrypted)
    }

    /// `host:port`, of a tunnel.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The request as it is sent. What its `headers` set is left as it is.
    pub fn request(&self, request: &HttpRequest) -> Result<Request<Full<Bytes>>, CheckError> {
        let HttpRequest { method, url, headers, body, .. } = request;
        let unusable = || CheckError::Configuration("the URL cannot be requested: it is too long".into());
        let path = &url[Position::BeforePath..Position::AfterQuery];
        let proxy = self.plain_proxy();
        // A proxy for plain HTTP is given the whole URL.
        let uri = if proxy.is_some() { format!("{}{path}", self.target) } else { path.to_owned() };
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = method.clone();
        *request.uri_mut() = Uri::try_from(uri).map_err(|_| unusable())?;
        *request.headers_mut() = headers.clone();
        let mut set = |name, value| _ = request.headers_mut().entry(name).or_insert(value);
        let host = &url[Position::BeforeHost..Position::AfterPort];
        set(HOST, HeaderValue::from_str(host).map_err(|_| unusable())?);
        set(ACCEPT, HeaderValue::from_static("*/*"));
        set(USER_AGENT, HeaderValue::from_static(concat!("lifesigns/", env!("CARGO_PKG_VERSION"))));
        if let Some(credentials) = basic(url) {
            set(AUTHORIZATION, credentials);
        }
        if let Some(credentials) = proxy.and_then(|proxy| proxy.credentials.clone()) {
            set(PROXY_AUTHORIZATION, credentials);
        }
        Ok(request)
    }
}

/// The user and password of a URL as a header.
fn basic(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy();
    let login = format!("{}:{}", decoded(url.username()), decoded(url.password().unwrap_or_default()));
    let mut value = HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(login))).ok()?;
    value.set_sensitive(true);
    Some(value)
}
