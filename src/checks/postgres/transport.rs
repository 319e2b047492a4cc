//! The bytes of a PostgreSQL session, followed message by message: nothing else is let through, and not without end.

use std::future::Ready;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context as Task, Poll, ready};

use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use crate::model::{CheckError, Phase};
use crate::net::{self, Stream};

/// Our answers take some kilobytes. A session that has received this much is replaced by the next, which bounds what
/// a hostile server can make us keep, whatever it is.
const SESSION_LIMIT: usize = 16 << 20;
const MESSAGE_LIMIT: usize = 1 << 20;
/// libpq's own limit for what is answered before a login is done.
const STARTUP_LIMIT: usize = 30_000;
/// The types of the messages that a server sends (PostgreSQL's documentation, "Message Formats").
const TYPES: &[u8] = b"RKS123CDEINTtsnZAHGWcdVv";

/// Why a session cannot go on; set once, by whoever sees it first.
pub type Fault = Arc<OnceLock<CheckError>>;

/// A connection that only PostgreSQL's messages pass.
pub struct Transport {
    stream: Stream,
    target: String,
    frames: Frames,
    fault: Fault,
}

impl Transport {
    pub fn new(stream: Stream, target: String) -> Self {
        Self { stream, target, frames: Frames::default(), fault: Fault::default() }
    }

    pub fn fault(&self) -> Fault {
        self.fault.clone()
    }

    pub fn is_encrypted(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    fn fails(&self, error: &io::Error) {
        let phase = if self.frames.ready { Phase::Query } else { Phase::Authenticate };
        self.fault.set(net::io_error(&self.target, phase, error)).ok();
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, task: &mut Task<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        if let Err(error) = ready!(Pin::new(&mut this.stream).poll_read(task, buffer)) {
            this.fails(&error);
            return Poll::Ready(Err(error));
        }
        let fault = match buffer.filled().get(before..).unwrap_or_default() {
            [] => {
                this.fails(&io::ErrorKind::UnexpectedEof.into());
                return Poll::Ready(Ok(()));
            }
            bytes => this.frames.follow(bytes),
        };
        Poll::Ready(fault.map_err(|stray| {
            this.fault.set(stray.error(this.target.clone())).ok();
            io::ErrorKind::InvalidData.into()
        }))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, task: &mut Task<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write(task, data));
        Poll::Ready(written.inspect_err(|error| this.fails(error)))
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = ready!(Pin::new(&mut this.stream).poll_flush(task));
        Poll::Ready(flushed.inspect_err(|error| this.fails(error)))
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(task)
    }
}

/// The TLS handshake is done before tokio-postgres gets the connection; this tells it so.
pub struct Secured;

impl<S: TlsStream + Unpin> TlsConnect<S> for Secured {
    type Stream = S;
    type Error = io::Error;
    type Future = Ready<io::Result<S>>;

    fn connect(self, stream: S) -> Self::Future {
        std::future::ready(Ok(stream))
    }
}

/// A connection that is written to and then kept: its user does not get to close it.
pub struct Lent<'a>(pub &'a mut Transport);

impl AsyncRead for Lent<'_> {
    fn poll_read(self: Pin<&mut Self>, task: &mut Task<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().0).poll_read(task, buffer)
    }
}

impl AsyncWrite for Lent<'_> {
    fn poll_write(self: Pin<&mut Self>, task: &mut Task<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.get_mut().0).poll_write(task, data)
    }

    fn poll_flush(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().0).poll_flush(task)
    }

    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(task)
    }
}

impl TlsStream for Lent<'_> {
    fn channel_binding(&self) -> ChannelBinding {
        self.0.channel_binding()
    }
}

impl TlsStream for Transport {
    fn channel_binding(&self) -> ChannelBinding {
        let Stream::Tls(stream) = &self.stream else { return ChannelBinding::none() };
        let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        certificate.and_then(|certificate| end_point(certificate)).map_or_else(
            // SCRAM then proves the password without the certificate.
            ChannelBinding::none,
            ChannelBinding::tls_server_end_point,
        )
    }
}

/// RFC 5929's `tls-server-end-point`: the certificate's hash, by the hash function of its own signature.
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (fields, _) = element(certificate)?;
    let (_, after_body) = element(fields)?;
    let (algorithm, _) = element(after_body)?;
    let (identifier, _) = element(algorithm)?;
    Some(digest(hash_of(identifier)?, certificate).as_ref().to_vec())
}

/// The content of a DER element, and what follows it.
fn element(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match der {
        [_, short @ ..=0x7f, rest @ ..] => (usize::from(*short), rest),
        [_, 0x81, a, rest @ ..] => (usize::from(*a), rest),
        [_, 0x82, a, b, rest @ ..] => (usize::from(u16::from_be_bytes([*a, *b])), rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// The hash function of a signature algorithm; MD5 and SHA-1 are replaced by SHA-256 there.
fn hash_of(identifier: &[u8]) -> Option<&'static Algorithm> {
    match identifier {
        // 1.2.840.113549.1.1: RSA with MD5, SHA-1, SHA-256, SHA-384, SHA-512.
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, hash] => match hash {
            4 | 5 | 11 => Some(&SHA256),
            12 => Some(&SHA384),
            13 => Some(&SHA512),
            _ => None,
        },
        // 1.2.840.10045.4: ECDSA with SHA-1, SHA-256, SHA-384, SHA-512.
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01] | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 2] => Some(&SHA256),
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 3] => Some(&SHA384),
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 4] => Some(&SHA512),
        _ => None,
    }
}

/// What a server sent that we do not read on.
#[derive(Debug, PartialEq)]
enum Stray {
    /// No message of PostgreSQL's.
    Foreign,
    /// More than this.
    Excess(usize),
}

impl Stray {
    fn error(&self, target: String) -> CheckError {
        match self {
            Self::Foreign => CheckError::Protocol { target, expected: "PostgreSQL".into() },
            Self::Excess(limit) => CheckError::TooLarge { target, limit: *limit },
        }
    }
}

/// Where in the sequence of messages we are.
#[derive(Default)]
struct Frames {
    header: Vec<u8>,
    body: usize,
    received: usize,
    /// The login is done.
    ready: bool,
}

impl Frames {
    fn follow(&mut self, mut bytes: &[u8]) -> Result<(), Stray> {
        self.received += bytes.len();
        if self.received > SESSION_LIMIT {
            return Err(Stray::Excess(SESSION_LIMIT));
        }
        loop {
            let skipped = self.body.min(bytes.len());
            self.body -= skipped;
            let (_, rest) = bytes.split_at_checked(skipped).unwrap_or_default();
            let [next, rest @ ..] = rest else { return Ok(()) };
            bytes = rest;
            self.header.push(*next);
            if self.header.len() == 1 && !TYPES.contains(next) {
                return Err(Stray::Foreign);
            }
            if let [kind, a, b, c, d] = *self.header {
                // The length counts itself.
                let length = u32::from_be_bytes([a, b, c, d]).checked_sub(4).ok_or(Stray::Foreign)?;
                self.body = usize::try_from(length).unwrap_or(usize::MAX);
                self.header.clear();
                self.ready |= kind == b'Z';
                if !self.ready && self.body > STARTUP_LIMIT {
                    return Err(Stray::Foreign);
                }
                if self.body > MESSAGE_LIMIT {
                    return Err(Stray::Excess(MESSAGE_LIMIT));
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn message(kind: u8, body: usize) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend(u32::try_from(body + 4).unwrap().to_be_bytes());
        bytes.extend(vec![b'x'; body]);
        bytes
    }

    #[test]
    fn follows_messages_however_they_are_cut() {
        let bytes: Vec<u8> = [message(b'R', 4), message(b'Z', 1), message(b'D', 100_000), message(b'1', 0)].concat();
        for size in [1, 2, 3, 5, 7, 1000, bytes.len()] {
            let mut frames = Frames::default();
            assert!(bytes.chunks(size).all(|part| frames.follow(part).is_ok()), "{size}");
            assert_eq!((frames.body, frames.header.len(), frames.ready), (0, 0, true));
        }
    }

    #[test]
    fn stops_what_is_not_postgresql() {
        let cases: [(&[u8], Option<Stray>); 8] = [
            (b"HTTP/1.1 400 Bad Request\r\n", Some(Stray::Foreign)),
            (b"SSH-2.0-OpenSSH_9.6\r\n", Some(Stray::Foreign)),
            (b"220 mail ESMTP\r\n", Some(Stray::Foreign)),
            (b"-ERR unknown command\r\n", Some(Stray::Foreign)),
            (b"\0\0\0\0", Some(Stray::Foreign)),
            (b"R\0\0\0\x03", Some(Stray::Foreign)),
            (b"R\xff\xff\xff\xff", Some(Stray::Foreign)),
            (b"R\0\0\0\x08", None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Frames::default().follow(bytes).err(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn reads_neither_a_huge_message_nor_without_end() {
        let mut frames = Frames { ready: true, ..Frames::default() };
        assert_eq!(frames.follow(b"D\x7f\xff\xff\xff"), Err(Stray::Excess(MESSAGE_LIMIT)));
        let mut frames = Frames { ready: true, ..Frames::default() };
        let notice = message(b'N', 60_000);
        let taken = (0..10_000).take_while(|_| frames.follow(&notice).is_ok()).count();
        assert_eq!(taken, SESSION_LIMIT / notice.len());
    }

    #[test]
    fn finds_the_hash_function_of_a_certificate() {
        let rsa = |hash| vec![0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, hash];
        let certificate = |identifier: &[u8]| {
            let algorithm = [&[0x06, u8::try_from(identifier.len()).unwrap()], identifier].concat();
            let algorithm = [&[0x30, u8::try_from(algorithm.len()).unwrap()], &*algorithm].concat();
            let fields = [&[0x30, 0x81, 0x02, 0xff, 0xff], &*algorithm, &[0x03, 0x01, 0x00]].concat();
            [&[0x30, 0x82, 0x00, u8::try_from(fields.len()).unwrap()], &*fields].concat()
        };
        let cases =
            [(rsa(11), Some(32)), (rsa(5), Some(32)), (rsa(12), Some(48)), (rsa(13), Some(64)), (rsa(10), None)];
        for (identifier, length) in cases {
            assert_eq!(end_point(&certificate(&identifier)).map(|hash| hash.len()), length, "{identifier:?}");
        }
        for cut in 0..certificate(&rsa(11)).len() {
            end_point(&certificate(&rsa(11))[..cut]);
        }
    }
}
