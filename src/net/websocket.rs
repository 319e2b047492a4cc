//! The client's end of a WebSocket (RFC 6455): the handshake, and bytes there and back in binary messages.
//!
//! Where one message ends and the next starts is lost: the protocols that are spoken over it say so themselves.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use uuid::Uuid;

use super::io_error;
use crate::model::{CheckError, Phase};

/// The longest head of an answer to the handshake, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// The longest frame that is taken, in bytes.
const MAX_FRAME: usize = 128 * 1024;
/// What the server appends to the key (RFC 6455, 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const CONTINUATION: u8 = 0;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;

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

/// A frame from the server.
#[derive(Debug, PartialEq)]
struct WebSocketFrame {
    opcode: u8,
    payload: Bytes,
}

/// Why bytes are no frame.
#[derive(Debug, PartialEq)]
enum WebSocketFrameError {
    Malformed,
    TooLarge,
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
                Ok(Some(_)) | Err(WebSocketFrameError::Malformed) => return Err(no_websocket(&self.target)),
                Err(WebSocketFrameError::TooLarge) => {
                    return Err(CheckError::TooLarge { target: self.target.clone(), limit: MAX_FRAME });
                }
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
    CheckError::Protocol { target: target.to_owned(), expected: "WebSocket".into() }
}

/// A frame of a client, whose payload is masked (RFC 6455, 5.3).
fn encode(opcode: u8, payload: &[u8], mask: [u8; 4]) -> BytesMut {
    let mut frame = BytesMut::with_capacity(payload.len() + 14);
    frame.put_u8(FIN | opcode);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..126), _) => frame.put_u8(MASKED | length),
        (_, Ok(length)) => {
            frame.put_u8(MASKED | 126);
            frame.put_u16(length);
        }
        _ => {
            frame.put_u8(MASKED | 127);
            frame.put_u64(payload.len() as u64);
        }
    }
    frame.put_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// The next frame of a server; `None` while it has not arrived.
fn decode(bytes: &mut BytesMut) -> Result<Option<WebSocketFrame>, WebSocketFrameError> {
    let &[first, second, ..] = bytes.as_ref() else { return Ok(None) };
    // No extension was agreed on, and servers do not mask.
    if first & 0x70 != 0 || second & MASKED != 0 {
        return Err(WebSocketFrameError::Malformed);
    }
    let mut rest = bytes.as_ref();
    rest.advance(2);
    let length = match second {
        126 => rest.try_get_u16().map(u64::from),
        127 => rest.try_get_u64(),
        short => Ok(u64::from(short)),
    };
    let Ok(length) = length else { return Ok(None) };
    let head = bytes.len() - rest.len();
    let length =
        usize::try_from(length).ok().filter(|length| *length <= MAX_FRAME).ok_or(WebSocketFrameError::TooLarge)?;
    if rest.len() < length {
        return Ok(None);
    }
    bytes.advance(head);
    Ok(Some(WebSocketFrame { opcode: first & 0x0F, payload: bytes.split_to(length).freeze() }))
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

    #[test]
    fn client_frames_are_masked() {
        // RFC 6455, 5.7, as a binary message.
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        let frame = encode(BINARY, b"Hello", mask);
        assert_eq!(frame, b"\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"[..]);
        for (length, head) in [(125, 6), (126, 8), (65_535, 8), (65_536, 14)] {
            assert_eq!(encode(BINARY, &vec![0; length], mask).len(), head + length);
        }
    }

    #[test]
    fn server_frames_each_length() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let payload = vec![7; length];
            // A client's frame, without its mask.
            let masked = encode(BINARY, &payload, [0; 4]);
            let head = masked.len() - length - 4;
            let mut bytes = BytesMut::from(masked.get(..head).unwrap());
            if let Some(second) = bytes.get_mut(1) {
                *second &= !MASKED;
            }
            bytes.extend_from_slice(&payload);
            let whole = bytes.clone();
            for cut in [0, 1, 2, head.saturating_sub(1), whole.len() - 1] {
                assert_eq!(decode(&mut BytesMut::from(whole.get(..cut.min(whole.len() - 1)).unwrap())), Ok(None));
            }
            assert_eq!(decode(&mut bytes), Ok(Some(WebSocketFrame { opcode: BINARY, payload: payload.into() })));
            assert!(bytes.is_empty());
        }
    }

    #[test]
    fn malformed_server_frames() {
        for bytes in [&b"\xc2\x00"[..], b"\x82\x80", b"SS"] {
            assert_eq!(decode(&mut bytes.into()), Err(WebSocketFrameError::Malformed), "{bytes:?}");
        }
        let huge = b"\x82\x7f\x00\x00\x00\x02\x00\x00\x00\x00";
        assert_eq!(decode(&mut huge.as_slice().into()), Err(WebSocketFrameError::TooLarge));
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
