//! The frames of a WebSocket (RFC 6455, 5).

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::net::FrameError;

/// The longest frame that is taken, in bytes.
const MAX_FRAME: usize = 128 * 1024;

pub const CONTINUATION: u8 = 0;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;
const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;

/// A frame from the server.
#[derive(Debug, PartialEq)]
pub struct WebSocketFrame {
    pub opcode: u8,
    pub payload: Bytes,
}

/// A frame of a client, whose payload is masked (RFC 6455, 5.3).
pub fn encode(opcode: u8, payload: &[u8], mask: [u8; 4]) -> BytesMut {
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
pub fn decode(bytes: &mut BytesMut) -> Result<Option<WebSocketFrame>, FrameError> {
    let &[first, second, ..] = bytes.as_ref() else { return Ok(None) };
    // No extension was agreed on, and servers do not mask.
    if first & 0x70 != 0 || second & MASKED != 0 {
        return Err(FrameError::Malformed);
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
        usize::try_from(length).ok().filter(|length| *length <= MAX_FRAME).ok_or(FrameError::TooLarge(MAX_FRAME))?;
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
            assert_eq!(decode(&mut bytes.into()), Err(FrameError::Malformed), "{bytes:?}");
        }
        let huge = b"\x82\x7f\x00\x00\x00\x02\x00\x00\x00\x00";
        assert_eq!(decode(&mut huge.as_slice().into()), Err(FrameError::TooLarge(MAX_FRAME)));
    }
}
