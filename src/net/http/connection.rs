//! A connection to an HTTP server: dialled directly or through a proxy, driven by a task.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, TryFutureExt};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::errors::failure;
use super::request_first::RequestFirst;
use super::server::HttpServer;
use super::tunnel::tunnel;
use super::{IDLE, MAX_FIELDS, MAX_HEAD, MAX_READ};
use crate::model::CheckError;
use crate::net::{self, Driver, InUse, Limited, Presented, ReadBudget};
use crate::runtime::Context;

/// An idle connection is probed, until it is given up: one that a firewall has dropped is noticed by the kernel within
/// 25 s, and not by a request that gets no answer.
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(10)).with_interval(Duration::from_secs(5)).with_retries(3);

/// A stream to a server or proxy, encrypted once, twice (to a server, through an encrypted proxy) or not.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// An open connection, and the task that drives it.
pub struct HttpConnection {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
    budget: Arc<ReadBudget>,
    made_of: Option<Arc<ClientConfig>>,
    /// What the server presented, if that was to be recorded.
    presented: Option<Presented>,
}

impl HttpConnection {
    /// `recorded`: in a full handshake, whose certificates are kept with the connection.
    pub async fn open(context: &Context, server: &HttpServer<'_>, recorded: bool) -> Result<Self, CheckError> {
        let mut stream = dial(context, server).await?;
        let mut presented = None;
        if server.is_encrypted {
            let HttpServer { host, target, tls, .. } = server;
            let protocols: &[&[u8]] = &[b"http/1.1"];
            // Apart: connections that are opened without a handshake would be three times as large meanwhile.
            let secured = if recorded {
                let shaking = Box::pin(net::secure_recorded(context, stream, host, target, tls, protocols));
                let (secured, seen) = shaking.await;
                presented = Some(seen);
                secured?
            } else {
                Box::pin(net::secure_named(context, stream, host, target, tls, protocols)).await?
            };
            stream = Box::new(secured);
        }
        let budget = ReadBudget::new(MAX_READ);
        let stream = TokioIo::new(Limited::new(RequestFirst::new(stream), budget.clone()));
        let made = Builder::new().max_header_size(MAX_HEAD).max_headers(MAX_FIELDS).handshake(stream).await;
        let (sender, connection) = made.map_err(|error| failure(&server.target, &error))?;
        // How it ended is known to the request.
        let driver = Driver::spawn(connection.map(drop), IDLE);
        Ok(Self { sender, driver, budget, made_of: server.config.clone(), presented })
    }

    /// Whether the connection is alive, as far as is known, and made of the certificates that the server's options name.
    pub fn serves(&self, server: &HttpServer<'_>) -> bool {
        let same = match (&self.made_of, &server.config) {
            (None, None) => true,
            (Some(then), Some(now)) => Arc::ptr_eq(then, now),
            _ => false,
        };
        same && !self.sender.is_closed() && self.driver.serves()
    }

    pub fn in_use(&self) -> InUse {
        self.driver.in_use()
    }

    /// The certificates of a connection that was opened to record them.
    pub fn presented(&self) -> Option<&Presented> {
        self.presented.as_ref()
    }

    /// Waits until it can take a request: its task may have to finish the previous exchange.
    pub async fn ready(&mut self) -> Result<(), SendFailure> {
        self.budget.refill();
        self.sender.ready().await.map_err(|error| SendFailure { error, is_unsent: true })
    }

    /// Sends a request, once [`Self::ready`] says so.
    pub fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = Result<Response<Incoming>, SendFailure>> + use<> {
        self.sender.try_send_request(request).map_err(SendFailure::from)
    }

    /// Whether no byte of an answer has come.
    pub fn is_unanswered(&self) -> bool {
        self.budget.is_untouched()
    }
}

/// Why a request got no answer.
pub struct SendFailure {
    pub error: hyper::Error,
    /// No byte of it was written: the connection had ended before.
    pub is_unsent: bool,
}

impl<T> From<TrySendError<T>> for SendFailure {
    fn from(failed: TrySendError<T>) -> Self {
        Self { is_unsent: failed.message().is_some(), error: failed.into_error() }
    }
}

/// A stream to the server, perhaps through a proxy; for plain HTTP, to the proxy.
async fn dial(context: &Context, server: &HttpServer<'_>) -> Result<Box<dyn Io>, CheckError> {
    let HttpServer { host, port, target, tls, .. } = server;
    let Some(proxy) = &server.proxy else {
        let stream = net::connect_named(context, host, *port, target).await?;
        keep_alive(&stream);
        return Ok(Box::new(stream));
    };
    let stream = net::connect_named(context, &proxy.host, proxy.port, &proxy.target).await?;
    keep_alive(&stream);
    let mut stream: Box<dyn Io> = Box::new(stream);
    if proxy.is_encrypted {
        let protocols: &[&[u8]] = &[b"http/1.1"];
        let shaking = Box::pin(net::secure_named(context, stream, &proxy.host, &proxy.target, tls, protocols));
        stream = Box::new(shaking.await?);
    }
    if server.is_encrypted { Box::pin(tunnel(context, stream, proxy, server)).await } else { Ok(stream) }
}

fn keep_alive(stream: &TcpStream) {
    // Where it cannot be set, a dead connection is noticed by the next request only.
    SockRef::from(stream).set_tcp_keepalive(&KEEPALIVE).ok();
}
