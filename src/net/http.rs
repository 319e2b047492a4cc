//! One bounded HTTP request on a kept connection.
//!
//! A forked child inherits a copy of the pooled connections, as reqwest 0.13 gives no access to their sockets
//! (`connector_layer` sees an opaque connection). The child never uses the copy, but a server that waits for the end of
//! the connection sees it only once the child has exited too.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::iter;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use rustls::ClientConfig;
use tokio::time::Instant;

use crate::model::{CheckError, Phase};
use crate::net::{self, Resolver};
use crate::net::{Tls, Verify};
use crate::runtime::Context;
use crate::runtime::{Process, lock};

/// The longest body that is read, in bytes.
const MAX_BODY: usize = 1 << 20;
/// How long a connection is kept without a request: a little less than the 60 s of most load balancers.
const IDLE: Duration = Duration::from_secs(55);
/// When an idle connection is probed, and how often until it is given up: one that a firewall has dropped is noticed by
/// the kernel within 25 s, and not by a request that gets no answer.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;

/// What a server answered, but for the body, which is read by [`HttpResponse::body`].
pub struct HttpResponse {
    /// `scheme://host[:port]` of the server, as it stands in messages.
    pub target: String,
    pub status: u16,
    response: Response,
}

impl HttpResponse {
    /// The body, bounded in length. The connection is kept for the next request once it was read.
    pub async fn body(mut self) -> Result<Vec<u8>, CheckError> {
        let mut body = Vec::new();
        while let Some(chunk) = self.response.chunk().await.map_err(|error| failure(&self.target, &error))? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(CheckError::TooLarge { target: self.target, limit: MAX_BODY });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// `GET`s a URL. A redirect is an answer: it is not followed.
///
/// The request is sent once, since it may cost money. It is repeated only where the kept connection that it went over was
/// closed without an answer: the server had given the connection up, and never saw the request.
pub async fn get(context: &Context, url: Url, headers: HeaderMap, tls: &Tls) -> Result<HttpResponse, CheckError> {
    context.enter(Phase::Tls);
    // No TLS, no certificates to load, which a small container may not even have.
    let plain = Tls { verify: Verify::Nothing, ..Tls::default() };
    let client = client(&context.process, if url.scheme() == "https" { tls } else { &plain }).await?;
    let target = url.origin().ascii_serialization();
    let send = async || {
        let sent = client.get(url.clone()).headers(headers.clone()).send().await;
        sent.map_err(|error| failure(&target, &error))
    };
    context.enter(Phase::Query);
    let last = context.process.shared::<LastAnswer>(&target);
    let response = match send().await {
        Err(CheckError::Closed { .. }) if last.is_recent() => send().await?,
        sent => sent?,
    };
    last.is_now();
    Ok(HttpResponse { status: response.status().as_u16(), target, response })
}

/// When a server answered last: as long as its connection is kept, the next request goes over it.
#[derive(Default)]
struct LastAnswer(Mutex<Option<Instant>>);

impl LastAnswer {
    fn is_recent(&self) -> bool {
        lock(&self.0).is_some_and(|at| at.elapsed() < IDLE)
    }

    fn is_now(&self) {
        *lock(&self.0) = Some(Instant::now());
    }
}

/// The client of one set of TLS options, and the configuration that it was made of.
#[derive(Default)]
struct KeptClient(Mutex<Option<(Arc<ClientConfig>, Client)>>);

async fn client(process: &Arc<Process>, tls: &Tls) -> Result<Client, CheckError> {
    let config = net::tls_config(process, tls).await?;
    let kept = process.shared::<KeptClient>(&tls.key());
    let mut kept = lock(&kept.0);
    if let Some((_, client)) = kept.as_ref().filter(|(made_of, _)| Arc::ptr_eq(made_of, &config)) {
        return Ok(client.clone());
    }
    let client = Client::builder()
        .user_agent(concat!("lifesigns/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(ClientConfig::clone(&config))
        .dns_resolver(Arc::new(Resolver(Arc::downgrade(process))))
        .redirect(Policy::none())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(1)
        .tcp_keepalive(KEEPALIVE)
        .tcp_keepalive_interval(KEEPALIVE_INTERVAL)
        .tcp_keepalive_retries(KEEPALIVE_RETRIES)
        .build()
        .map_err(|_| CheckError::Configuration("no HTTP client can be made of the proxy settings here".into()))?;
    *kept = Some((config, client.clone()));
    Ok(client)
}

/// What reqwest's error means, in our words: the innermost of its causes that says what happened.
fn failure(target: &str, error: &reqwest::Error) -> CheckError {
    let phase = if error.is_connect() { Phase::Connect } else { Phase::Query };
    let causes: Vec<_> = iter::successors(error.source(), |cause| Error::source(*cause)).collect();
    let explained = causes.into_iter().rev().find_map(|cause| explain(target, phase, cause));
    explained.unwrap_or_else(|| CheckError::Unreachable {
        target: target.to_owned(),
        reason: "the request failed on the way".into(),
    })
}

fn explain(target: &str, phase: Phase, cause: &(dyn Error + 'static)) -> Option<CheckError> {
    let protocol = || CheckError::Protocol { target: target.to_owned(), expected: "HTTP".into() };
    if let Some(error) = cause.downcast_ref::<CheckError>() {
        return Some(error.clone());
    }
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return Some(match net::io_error(target, phase, error) {
            // hyper's word for a body that is not encoded as its header says.
            CheckError::Unreachable { .. }
                if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::InvalidInput) =>
            {
                protocol()
            }
            known => known,
        });
    }
    let error = cause.downcast_ref::<hyper::Error>()?;
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        Some(CheckError::Closed { target: target.to_owned(), phase })
    } else if error.is_parse() || error.source().is_none() {
        // The one without a cause: it spoke before it was asked.
        Some(protocol())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

    /// Runs `check` against a server that answers one connection after another with `answers`, then closes it.
    fn against<F: Future>(answers: &'static [&'static [u8]], check: impl FnOnce(Context, Url) -> F) -> F::Output {
        let process = Process::current().unwrap();
        process.runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = Url::parse(&format!("http://{}/private?key=secret", listener.local_addr().unwrap())).unwrap();
            let server = process.runtime.spawn(async move {
                for answer in answers {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    request(&mut stream).await;
                    stream.write_all(answer).await.unwrap();
                }
            });
            let found = check(Context::new(process.clone(), Instant::now() + Duration::from_secs(5)), url).await;
            server.abort();
            found
        })
    }

    async fn request(stream: &mut TcpStream) {
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            seen.push(stream.read_u8().await.unwrap());
        }
    }

    fn code(answer: &'static [u8]) -> String {
        against(Box::leak(Box::new([answer, answer])), async |context, url| {
            let response = get(&context, url, HeaderMap::new(), &Tls::default()).await;
            let found = match response {
                Ok(response) => {
                    let status = response.status;
                    response.body().await.map(|_| status)
                }
                Err(error) => Err(error),
            };
            match found {
                Ok(status) => status.to_string(),
                Err(error) => {
                    assert!(!error.to_string().contains("secret"), "{error}");
                    error.code().to_owned()
                }
            }
        })
    }

    #[test]
    fn what_servers_answer() {
        for (answer, found) in [
            (OK, "200"),
            (b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n", "302"),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nok", "ConnectionResetError"),
            (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n", "ProtocolError"),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 1048577\r\n\r\n", "ConnectionResetError"),
            (b"SSH-2.0-OpenSSH_9.2\r\n", "ProtocolError"),
            (b"\x15\x03\x01\x00\x02\x02\x0a", "ProtocolError"),
            (b"", "ConnectionResetError"),
        ] {
            assert_eq!(code(answer), found, "{}", String::from_utf8_lossy(answer));
        }
    }

    #[test]
    fn a_kept_connection_that_is_dead_is_replaced_once() {
        let statuses = against(&[OK, OK, b"", OK], async |context, url| {
            let mut statuses = Vec::new();
            for _ in 0..3 {
                let response = get(&context, url.clone(), HeaderMap::new(), &Tls::default()).await.unwrap();
                statuses.push(response.status);
                response.body().await.unwrap();
            }
            statuses
        });
        assert_eq!(statuses, [200, 200, 200]);
    }

    #[test]
    fn the_length_of_a_body_is_bounded() {
        let long: &'static [u8] =
            [&b"HTTP/1.1 200 OK\r\ncontent-length: 1048577\r\n\r\n"[..], &vec![b'x'; MAX_BODY + 1]].concat().leak();
        assert_eq!(code(long), "ResponseTooLargeError");
    }

    #[test]
    fn names_that_do_not_resolve_and_ports_that_refuse() {
        let process = Process::current().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        for (url, found) in [
            ("http://unknown.invalid/".to_owned(), "NameResolutionError"),
            (format!("http://127.0.0.1:{port}/"), "ConnectionRefusedError"),
            (format!("http://localhost:{port}/"), "ConnectionRefusedError"),
        ] {
            let context = Context::new(process.clone(), Instant::now() + Duration::from_secs(5));
            let url = Url::parse(&url).unwrap();
            let failed = process.runtime.block_on(get(&context, url, HeaderMap::new(), &Tls::default()));
            assert_eq!(failed.err().unwrap().code(), found);
        }
    }
}
