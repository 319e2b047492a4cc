//! The sequence of a server's messages, followed byte by byte: nothing else is let through, and not without end.

use crate::model::CheckError;

/// Responses take some kilobytes. A session that has received this much is replaced by the next, which bounds what a
/// hostile server can make us keep, whatever it is.
const SESSION_LIMIT: usize = 16 << 20;
const MESSAGE_LIMIT: usize = 1 << 20;
/// libpq's own limit for messages before a login is done.
const STARTUP_LIMIT: usize = 30_000;
/// The types of the messages that a server sends (PostgreSQL's documentation, "Message Formats").
const TYPES: &[u8] = b"RKS123CDEINTtsnZAHGWcdVv";

/// Bytes after which nothing more is read.
#[derive(Debug, PartialEq)]
pub enum Stray {
    /// Not a message of PostgreSQL's.
    Foreign,
    /// More than this.
    Excess(usize),
}

impl Stray {
    pub fn error(&self, target: String) -> CheckError {
        match self {
            Self::Foreign => CheckError::Protocol { target, expected: "PostgreSQL".into() },
            Self::Excess(limit) => CheckError::TooLarge { target, limit: *limit },
        }
    }
}

/// The position in the sequence of messages.
#[derive(Default)]
pub struct Frames {
    header: Vec<u8>,
    body: usize,
    received: usize,
    /// The login is done.
    pub ready: bool,
}

impl Frames {
    pub fn follow(&mut self, mut bytes: &[u8]) -> Result<(), Stray> {
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
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn message(kind: u8, body: usize) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend(u32::try_from(body + 4).unwrap().to_be_bytes());
        bytes.extend(vec![b'x'; body]);
        bytes
    }

    #[test]
    fn messages_cut_anywhere_are_followed() {
        let bytes: Vec<u8> = [message(b'R', 4), message(b'Z', 1), message(b'D', 100_000), message(b'1', 0)].concat();
        for size in [1, 2, 3, 5, 7, 1000, bytes.len()] {
            let mut frames = Frames::default();
            assert!(bytes.chunks(size).all(|part| frames.follow(part).is_ok()), "{size}");
            assert_eq!((frames.body, frames.header.len(), frames.ready), (0, 0, true));
        }
    }

    #[test]
    fn other_protocols_are_refused() {
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
    fn huge_and_endless_messages_are_refused() {
        let mut frames = Frames { ready: true, ..Frames::default() };
        assert_eq!(frames.follow(b"D\x7f\xff\xff\xff"), Err(Stray::Excess(MESSAGE_LIMIT)));
        let mut frames = Frames { ready: true, ..Frames::default() };
        let notice = message(b'N', 60_000);
        let taken = (0..10_000).take_while(|_| frames.follow(&notice).is_ok()).count();
        assert_eq!(taken, SESSION_LIMIT / notice.len());
    }
}
