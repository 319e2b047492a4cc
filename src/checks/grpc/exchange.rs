//! One call over HTTP/2: request, answer, trailers, with the time that is left as its deadline.

use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use h2::{Reason, RecvStream};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE, USER_AGENT};
use hyper::{Request, Response};
use tokio::time::timeout;

use super::first_byte::Noting;
use super::message::encode_request;
use crate::model::{CheckError, Phase};
use crate::net::{self, Limited, ReadBudget, Stream};
use crate::runtime::Context;

const CONTENT: &str = "application/grpc";
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// What a server may send per run, in bytes.
const MAX_READ: usize = 256 * 1024;
/// The longest message and the longest head of an answer, in bytes. A health message has 7.
const MAX_MESSAGE: usize = 4 * 1024;
const MAX_HEAD: u32 = 16 * 1024;
/// How long to say goodbye at most: the answer is known.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(100);

/// What a server answered.
#[derive(Debug, Default, PartialEq)]
pub struct GrpcAnswer {
    pub http_status: u16,
    /// Whether it is a message of gRPC at all.
    pub is_grpc: bool,
    pub message: Vec<u8>,
    /// `grpc-status`, where there is one.
    pub code: Option<u32>,
}

/// Calls the method at `url` over a connection of its own.
pub async fn call(
    context: &Context,
    stream: Stream,
    target: &str,
    url: &str,
    metadata: HeaderMap,
    service: &str,
) -> Result<GrpcAnswer, CheckError> {
    context.enter(Phase::Query);
    let (stream, first) = Noting::new(stream);
    let stream = Limited::new(stream, ReadBudget::new(MAX_READ));
    let call = exchange_over(context, stream, target, url, metadata, service);
    call.await.map_err(|error| match error {
        // Its answer was on the way when it closed.
        CheckError::Closed { .. } | CheckError::Unreachable { .. } if first.is_foreign() => protocol(target),
        error => error,
    })
}

async fn exchange_over(
    context: &Context,
    stream: Limited<Noting<Stream>>,
    target: &str,
    url: &str,
    metadata: HeaderMap,
    service: &str,
) -> Result<GrpcAnswer, CheckError> {
    let failed = |error: h2::Error| explain(target, &error);
    let made = Builder::new().enable_push(false).max_header_list_size(MAX_HEAD).handshake::<_, Bytes>(stream).await;
    let (client, connection) = made.map_err(failed)?;
    let request = request(context, url, metadata)?;
    let message = Bytes::from(encode_request(service));
    let mut connection = pin!(connection);
    let answer = {
        let mut exchange = pin!(exchange(client, request, message, target));
        tokio::select! {
            answer = &mut exchange => answer,
            ended = &mut connection => match ended {
                Err(error) => Err(failed(error)),
                // What of the answer has come is there.
                Ok(()) => return exchange.await,
            }
        }
    }?;
    context.enter(Phase::Close);
    timeout(CLOSE_TIMEOUT, connection).await.ok();
    Ok(answer)
}

fn request(context: &Context, url: &str, metadata: HeaderMap) -> Result<Request<()>, CheckError> {
    let unusable = || CheckError::Configuration("the host cannot be the authority of a request".to_owned());
    let mut request = Request::post(url).body(()).map_err(|_| unusable())?;
    let headers = request.headers_mut();
    *headers = metadata;
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("lifesigns/", env!("CARGO_PKG_VERSION"))));
    // At most eight digits.
    let left = context.time_left().as_millis().clamp(1, 99_999_999);
    headers.insert(TIMEOUT, HeaderValue::from_str(&format!("{left}m")).map_err(|_| unusable())?);
    Ok(request)
}

async fn exchange(
    client: SendRequest<Bytes>,
    request: Request<()>,
    message: Bytes,
    target: &str,
) -> Result<GrpcAnswer, CheckError> {
    let failed = |error: h2::Error| explain(target, &error);
    let mut client = client.ready().await.map_err(failed)?;
    let (response, mut body) = client.send_request(request, false).map_err(failed)?;
    body.send_data(message, true).map_err(failed)?;
    let response = response.await.map_err(failed)?;
    read(response, target).await
}

async fn read(response: Response<RecvStream>, target: &str) -> Result<GrpcAnswer, CheckError> {
    let (head, mut body) = response.into_parts();
    let content = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let mut answer = GrpcAnswer {
        http_status: head.status.as_u16(),
        is_grpc: content.starts_with(CONTENT.as_bytes()),
        // A call that fails at once has no message, and its trailers come as the head.
        code: code(&head.headers),
        ..GrpcAnswer::default()
    };
    if !answer.is_grpc {
        return Ok(answer);
    }
    while let Some(chunk) = body.data().await {
        let chunk = chunk.map_err(|error| explain(target, &error))?;
        body.flow_control().release_capacity(chunk.len()).map_err(|error| explain(target, &error))?;
        if answer.message.len() + chunk.len() > MAX_MESSAGE {
            return Err(CheckError::TooLarge { target: target.to_owned(), limit: MAX_MESSAGE });
        }
        answer.message.extend_from_slice(&chunk);
    }
    let trailers = body.trailers().await.map_err(|error| explain(target, &error))?;
    answer.code = trailers.as_ref().and_then(code).or(answer.code);
    Ok(answer)
}

fn code(headers: &HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// What an error of HTTP/2 means.
fn explain(target: &str, error: &h2::Error) -> CheckError {
    if let Some(error) = error.get_io() {
        // The codec keeps the kind of an error of the stream, and loses what it is made of.
        if error.kind() == io::ErrorKind::QuotaExceeded {
            return CheckError::TooLarge { target: target.to_owned(), limit: MAX_READ };
        }
        return match net::io_error(target, Phase::Query, error) {
            CheckError::Unreachable { .. } if error.kind() == io::ErrorKind::InvalidData => protocol(target),
            known => known,
        };
    }
    let closed = || CheckError::Closed { target: target.to_owned(), phase: Phase::Query };
    match error.reason() {
        Some(Reason::REFUSED_STREAM | Reason::ENHANCE_YOUR_CALM) if error.is_remote() => {
            let reason = "it takes no further calls now".into();
            CheckError::Unavailable { target: target.to_owned(), reason }
        }
        Some(Reason::NO_ERROR | Reason::CANCEL | Reason::INTERNAL_ERROR) if error.is_remote() => closed(),
        _ => protocol(target),
    }
}

fn protocol(target: &str) -> CheckError {
    CheckError::Protocol { target: target.to_owned(), expected: "HTTP/2".into() }
}
