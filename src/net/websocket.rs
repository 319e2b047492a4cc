//! The client's end of a WebSocket (RFC 6455): the handshake, and bytes there and back in binary messages.
//!
//! Where one message ends and the next starts is lost: the protocols that are spoken over it say so themselves.

mod frame;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{Buf, BytesMut};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use uuid::Uuid;

use self::frame::{BINARY, CLOSE, CONTINUATION, PING, PONG, WebSocketFrame, decode, encode};
use super::{FrameError, io_error};
use crate::model::{CheckError, Phase};

/// The longest head of an answer to the handshake, in bytes.
const MAX_HEAD: usize = 16 * 1024;
const PROTOCOL: &str = "WebSocket";
/// What the server appends to the key (RFC 6455, 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What is requested of the server.
pub struct WebSocketRequest<'a> {
    /// `host:port` as it stands in messages.
    pub target: &'a str,
    /// The header `Host`.
    pub host: &'a str,
    /// Path and query: they are in no message, since they may be signed.
    pub path: &'a str,
    /// The protocol that is spoken over it.
    pub protocol: &'static str,
}

/// An open WebSocket over `stream`.
pub struct WebSocket<S> {
    stream: S,
    target: String,
    /// What has arrived and is no whole frame.
    received: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// Makes the handshake on an open stream.
    pub async fn open(mut stream: S, request: &WebSocketRequest<'_>, phase: Phase) -> Result<Self, CheckError> {
        let WebSocketRequest { target, host, path, protocol } = request;
        let failed = |error: std::io::Error| io_error(target, phase, &error);
        let key = BASE64_STANDARD.encode(Uuid::new_v4().as_bytes());
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {protocol}\r\n\
             User-Agent: lifesigns/{}\r\n\r\n",
            env!("CARGO_PKG_VERSION")
        );
        stream.write_all(head.as_bytes()).await.map_err(failed)?;
        stream.flush().await.map_err(failed)?;
        let mut received = BytesMut::new();
        loop {
            if let Some(length) = check_answer(target, &received, &key)? {
                received.advance(length);
                return Ok(Self { stream, target: (*target).to_owned(), received });
            }
            if received.len() > MAX_HEAD {
                return Err(CheckError::TooLarge { target: (*target).to_owned(), limit: MAX_HEAD });
            }
            received.reserve(1024);
            if stream.read_buf(&mut received).await.map_err(failed)? == 0 {
                return Err(CheckError::Closed { target: (*target).to_owned(), phase });
            }
        }
    }

    /// Sends the bytes as one message.
    pub async fn send(&mut self, payload: &[u8], phase: Phase) -> Result<(), CheckError> {
        self.send_frame(BINARY, payload).await.map_err(|error| io_error(&self.target, phase, &error))
    }

    /// Appends what the server sends next to `bytes`.
    pub async fn receive(&mut self, bytes: &mut BytesMut, phase: Phase) -> Result<(), CheckError> {
        let failed = |target: &str, error: std::io::Error| io_error(target, phase, &error);
        loop {
            match decode(&mut self.received) {
                Ok(Some(WebSocketFrame { opcode: CONTINUATION | BINARY, payload })) => {
                    bytes.extend_from_slice(&payload);
                    if !payload.is_empty() {
                        return Ok(());
                    }
                }
                Ok(Some(WebSocketFrame { opcode: PING, payload })) => {
                    self.send_frame(PONG, &payload).await.map_err(|error| failed(&self.target, error))?;
                }
                Ok(Some(WebSocketFrame { opcode: PONG, .. })) => {}
                Ok(Some(WebSocketFrame { opcode: CLOSE, .. })) => {
                    return Err(CheckError::Closed { target: self.target.clone(), phase });
                }
                Ok(Some(_)) => return Err(no_websocket(&self.target)),
                Err(error) => return Err(error.of(&self.target, PROTOCOL)),
                Ok(None) => {
                    self.received.reserve(1024);
                    let read = self.stream.read_buf(&mut self.received).await;
                    if read.map_err(|error| failed(&self.target, error))? == 0 {
                        return Err(CheckError::Closed { target: self.target.clone(), phase });
                    }
                }
            }
        }
    }

    /// Sends the close frame of a normal end. Errors do not matter: what was wanted is done.
    pub async fn close(mut self) {
        if self.send_frame(CLOSE, &1000_u16.to_be_bytes()).await.is_ok() {
            self.stream.shutdown().await.ok();
        }
    }

    async fn send_frame(&mut self, opcode: u8, payload: &[u8]) -> std::io::Result<()> {
        let [a, b, c, d, ..] = Uuid::new_v4().into_bytes();
        self.stream.write_all(&encode(opcode, payload, [a, b, c, d])).await?;
        self.stream.flush().await
    }
}

/// The length of the answer's head once it is there and accepts the handshake; `None` while it has not arrived.
fn check_answer(target: &str, received: &[u8], key: &str) -> Result<Option<usize>, CheckError> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut answer = httparse::Response::new(&mut headers);
    let length = match answer.parse(received).map_err(|_| no_websocket(target))? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Ok(None),
    };
    let status = answer.code.unwrap_or_default();
    if status != 101 {
        return Err(refusal(target, status));
    }
    let header = |name: &str| {
        let found = answer.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok()).map(str::trim)
    };
    let accepted = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
    let upgraded = header("Upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
    if upgraded && header("Sec-WebSocket-Accept") == Some(&*BASE64_STANDARD.encode(accepted)) {
        Ok(Some(length))
    } else {
        Err(no_websocket(target))
    }
}

fn refusal(target: &str, status: u16) -> CheckError {
    let target = target.to_owned();
    let reason = format!("no WebSocket at this path (HTTP status {status})").into();
    match status {
        401 | 403 => CheckError::Authentication { target, reason: format!("HTTP status {status}").into() },
        500.. => CheckError::Unavailable { target, reason },
        _ => CheckError::Rejected { target, reason },
    }
}

fn no_websocket(target: &str) -> CheckError {
    FrameError::Malformed.of(target, PROTOCOL)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    // The example of RFC 6455, 1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn answered(head: &str) -> Result<Option<usize>, String> {
        check_answer("h:80", head.as_bytes(), KEY).map_err(|error| error.code().to_owned())
    }

    #[test]
    fn answer_each_kind() {
        let good =
            format!("HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n");
        assert_eq!(answered(&good), Ok(Some(good.len())));
        assert_eq!(answered(&good[..40]), Ok(None));
        assert_eq!(answered(""), Ok(None));
        for (head, code) in [
            (good.replace(ACCEPT, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo"), "ProtocolError"),
            (good.replace("upgrade", "x-upgrade"), "ProtocolError"),
            ("SSH-2.0-OpenSSH\r\n".to_owned(), "ProtocolError"),
            ("\u{10}\u{2}\0\0".to_owned(), "ProtocolError"),
            ("HTTP/1.1 404 Not Found\r\n\r\n".to_owned(), "RequestRejectedError"),
            ("HTTP/1.1 302 Found\r\n\r\n".to_owned(), "RequestRejectedError"),
            ("HTTP/1.1 403 Forbidden\r\n\r\n".to_owned(), "AuthenticationError"),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n".to_owned(), "UnavailableError"),
        ] {
            assert_eq!(answered(&head), Err(code.to_owned()), "{head}");
        }
    }

    #[tokio::test]
    async fn pings_are_answered_and_a_close_ends_it() {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let mut socket = WebSocket { stream: ours, target: "h:80".to_owned(), received: BytesMut::new() };
        theirs.write_all(b"\x89\x01p\x8a\x00\x02\x01a\x80\x00\x80\x01b\x88\x00").await.unwrap();
        let mut bytes = BytesMut::new();
        socket.receive(&mut bytes, Phase::Query).await.unwrap();
        socket.receive(&mut bytes, Phase::Query).await.unwrap();
        assert_eq!(bytes, b"ab"[..]);
        let error = socket.receive(&mut bytes, Phase::Query).await.unwrap_err();
        assert_eq!(error.code(), "ConnectionResetError");
        let mut pong = [0; 7];
        theirs.read_exact(&mut pong).await.unwrap();
        assert_eq!(pong.first_chunk(), Some(&[0x8a, 0x81]));
    }
}
